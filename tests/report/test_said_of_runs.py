"""What is said of one small run, command by command, held against files. A change of a word, a number or a mark shows
here; where it is meant, `GOLDEN=write python -m pytest tests/report/test_said_of_runs.py` writes the files anew, and
their diff is to be read. Hours and paths are made equal first; nothing else is."""

import asyncio
import itertools
import json
import os
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from rich.console import Console
from scripted_runs import HOSTILE, search

import soar
from soar import session
from soar.archive.checks import checksum_sql, offer_checksum
from soar.budget import Tokens
from soar.cli import main
from soar.config import load_config
from soar.report import show
from soar.report.html.style import SHEET
from soar.report.overview import overview
from soar.report.show_solution import show_solution
from soar.report.show_task import show_program
from soar.report.solution import Ended, solution
from soar.report.task_view import program_of, task_view, taught_in
from soar.types import text_hash

GOLDEN = Path(__file__).parent / "said_of_runs"

SAID = {
    "report": ["report", "still"],
    "report-unknown": ["report", "unknown"],
    "report-unknown-json": ["report", "unknown", "--json"],
    "show-unknown": ["show", "unknown", "secret-task"],
    "show-unknown-json": ["show", "unknown", "secret-task", "--json"],
    "report-json": ["report", "still", "--json"],
    "report-other-vote": ["report", "still", "--set", "answer.voter=soar.examples.my_voter:one_each"],
    "report-two": ["report", "still", "reseeded", "--together"],
    "report-two-json": ["report", "still", "reseeded", "--together", "--json"],
    "status": ["status", "still"],
    "status-json": ["status", "still", "--json"],
    "status-stopped": ["status", "stopped"],
    "report-stopped": ["report", "stopped"],
    "show-solved": ["show", "still", "flip"],
    "show-solved-json": ["show", "still", "flip", "--json"],
    "show-unsolved": ["show", "still", "sums"],
    "show-hostile": ["show", "still", HOSTILE],
    "show-hidden": ["show", "still", "secret-task"],
    "show-wrong-vote": ["show", "still", "quiz"],
    "show-wrong-vote-json": ["show", "still", "quiz", "--json"],
}
"""The commands whose words are held; `still` and `reseeded` are finished runs, `stopped` met a limit."""

PRICES = [
    *(
        "--set",
        "budget.max_tokens_per_task=900",
        "--set",
        "budget.max_tokens=1000",
        "--set",
        "budget.max_cost=0.5",
        "--set",
        "budget.max_seconds=100",
    ),
    *("--set", "budget.price_per_million_prompt_tokens=2.0", "--set", "budget.price_per_million_completion_tokens=4.0"),
]
SAME_PRECISION = ["--set", 'finetune.dtype="float32"']
"""By default a processor with instructions for bfloat16 uses them, and takes less memory."""

EXPECTED = {
    "dry-run": ["CONFIG", "still"],
    "dry-run-json": ["CONFIG", "still", "--json"],
    "dry-run-limits": ["CONFIG", "new", *PRICES],
    "dry-run-limits-measured": ["CONFIG", "still", *PRICES],
    "dry-run-embedded": ["demo", "new", *SAME_PRECISION],
    "dry-run-sequences-json": ["sequences", "new", *SAME_PRECISION, "--json"],
}
"""What a run is expected to take, before it starts and from what it took so far."""

REFUSED = [
    ["export", "stopped", "--submission", "no.json"],
    ["export", "stopped", "--programs", "no.jsonl"],
    ["export", "still", "--programs", "no.jsonl", "--stage", "nope"],
    ["export", "still"],
    ["export", "still", "--submission", "no.json", "--challenges", "nowhere.json"],
    ["export", "still", "--submission", "no.json", "--with", "stopped"],
    ["show", "still", "nope"],
    ["show", "still", "flip", "nope"],
    ["show", "nowhere", "flip"],
    ["report", "nowhere"],
    ["report", "still", "stopped", "--together"],
    ["report", "still", "stopped", "--together", "--stage", "train"],
    ["report", "still", "reseeded", "--html", "no.html"],
    ["report", "stopped", "--figures", "no", "--stage", "target"],
    ["report", "still", "--set", "search.samples=3"],
    ["report", "still", "--set", "answer.voter=nope"],
    ["export", "still", "--programs", "no.jsonl", "--set", "answer.filters=[]"],
    ["status", "nowhere"],
]
"""Commands that are told why they cannot be done, or what they leave out."""

WRITTEN = {
    "page.html": ["report", "still", "--html", "page.html"],
    "page-unknown.html": ["report", "unknown", "--html", "page-unknown.html"],
    "page-stopped.html": ["report", "stopped", "--html", "page-stopped.html"],
    "submission.json": ["export", "still", "--submission", "submission.json"],
    "programs.jsonl": ["export", "still", "--programs", "programs.jsonl"],
    "programs.parquet": ["export", "still", "--programs", "programs.parquet"],
    "dataset": ["export", "still", "--dataset", "dataset"],
    "figures": ["report", "still", "reseeded", "--figures", "figures"],
}
"""The commands that write something, by what they write."""

TEXTS = (".html", ".json", ".jsonl", ".md", ".csv", ".svg")


@pytest.fixture(scope="module")
def folder(scripted, finished, reseeded, stopped, tmp_path_factory):
    """A folder with copies of runs whose seconds are always the same, and one whose answers nobody knows."""
    folder = tmp_path_factory.mktemp("golden")
    for name, run in (("still", finished), ("reseeded", reseeded), ("stopped", stopped)):
        shutil.copytree(run, folder / name)
        stand_still(folder / name / "archive.sqlite")
    (folder / "hidden.txt").write_text("secret-task\n")
    search(scripted, folder / "unknown", "stages.0.iterations=1", f"stages.1.ids_file={folder / 'hidden.txt'}")
    stand_still(folder / "unknown" / "archive.sqlite")
    return folder


def stand_still(archive):
    """Give every search, finetuning, call and execution of an archive the same seconds in every run of the tests."""
    with closing(sqlite3.connect(archive, isolation_level=None)) as connection:
        offer_checksum(connection)
        connection.execute("UPDATE iterations SET seconds = 70.0 * (rowid + 1)")
        connection.execute("UPDATE iterations SET finetune_seconds = 41.5 WHERE finetune_seconds > 0")
        connection.execute("UPDATE completions SET seconds = 0.25")
        connection.execute("UPDATE executions SET cpu_seconds = 0.0078125")
        for table in ("iterations", "completions", "executions"):
            connection.execute(f"UPDATE {table} SET checksum = {checksum_sql(table)}")


def in_lines(page):
    """Return a page with an element a line, for who reads a diff."""
    return page.replace("><", ">\n<")


def in_short(page):
    """Return a page in lines, its style sheet, and drawings by their hash: `page.html` has all of them in full."""
    drawn = re.sub(r"<svg.*?</svg>", lambda svg: f"<svg {text_hash([svg[0]])[:12]}>", page, flags=re.DOTALL)
    return in_lines(drawn.replace(SHEET, "SHEET"))


def same_everywhere(text, folder, sources):
    """Return a text without what differs from machine to machine: folders, and the time of day."""
    for place in (folder, sources):
        text = text.replace(json.dumps(str(place))[1:-1], "FOLDER").replace(str(place), "FOLDER")
    text = re.sub(r"free here now [\d.]+ [KMGT]iB", "free here now SOME", text)
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "NOW", text)


@pytest.fixture
def hold(folder, finished, monkeypatch):
    """Compare a text with the file of this name, or write it."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # estimates name the device

    def compare(name, text):
        path, text = GOLDEN / name, same_everywhere(text, folder, finished.parent)
        if os.environ.get("GOLDEN") == "write":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), f"{path} holds something else: see its beginning"

    return compare


@pytest.mark.parametrize("name", SAID)
def test_a_command_says_what_it_said(name, hold, capsys):
    assert main(SAID[name]) == 0
    captured = capsys.readouterr()
    hold(f"{name}.txt", captured.out + captured.err)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_dry_run_expects_what_it_expected(name, hold, scripted, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "500")  # no line is broken, whatever the numbers
    config, *rest = EXPECTED[name]
    assert main(["run", str(scripted) if config == "CONFIG" else config, *rest, "--dry-run"]) == 0
    captured = capsys.readouterr()
    hold(f"{name}.txt", captured.out + captured.err)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_command_writes_what_it_wrote(name, hold, capsys):
    assert main(WRITTEN[name]) == 0
    captured = capsys.readouterr()
    hold(f"{name}.said.txt", captured.out + captured.err)
    made = Path(name)
    files = sorted(path for path in made.rglob("*") if path.is_file()) if made.is_dir() else [made]
    for file in files:
        if file.suffix == ".parquet":
            table = pytest.importorskip("pyarrow.parquet").read_table(file)
            rows = [json.dumps(row, default=str) for row in table.to_pylist()]
            hold(f"{file}.txt", "\n".join([str(table.schema.remove_metadata()), *rows]))
        if file.suffix in TEXTS:
            text = file.read_text(encoding="utf-8")
            shown = {"page.html": in_lines}.get(name, in_short) if file.suffix == ".html" else str
            hold(str(file), shown(text))


def test_what_cannot_be_done_is_refused_as_it_was(hold, capsys):
    said = []
    for command in REFUSED:
        code = main(command)
        captured = capsys.readouterr()
        said.append(f"$ soar {' '.join(command)}\n{captured.out}{captured.err}exit code {code}\n")
    hold("refused.txt", "\n".join(said))


def test_before_its_first_search_a_run_is_told_as_it_was(hold, scripted, capsys):
    async def begin():
        config = load_config(scripted)
        async with session.open_run(config, Path("begun"), lambda _: None, lambda _: None):
            pass

    asyncio.run(begin())
    for command in (["status", "begun"], ["report", "begun"], ["show", "begun", "flip"], ["show", "begun", "quiz"]):
        main(command)
    assert main(["report", "begun", "--html", "begun.html"]) == 0
    captured = capsys.readouterr()
    hold("begun.txt", captured.out + captured.err)
    hold("begun.html", in_short(Path("begun.html").read_text(encoding="utf-8")))


def test_a_run_ends_with_what_it_said(hold, capsys):
    with session.view_run(Path("still")) as view:
        show.show_run(view, Console(width=120))
    hold("run.txt", capsys.readouterr().out)


def test_the_programs_that_tell_most_are_told_as_they_were(hold, capsys):
    """All of them, and not only the first few: right, right on the training pairs alone, and the nearest."""
    for name in ("still", "reseeded", "stopped"):
        with session.view_run(Path(name)) as view:
            for each in overview(view).telling:
                show.show_telling(each, view, Console(width=120))
    hold("telling.txt", capsys.readouterr().out)


def test_a_notebook_shows_what_it_showed(hold):
    run = soar.open_run("still")
    cells = [run, *(run.task(task_id) for task_id in ("flip", "sums", HOSTILE, "secret-task", "quiz"))]
    hold("notebook.html", in_short("\n\n".join(cell._repr_html_() for cell in cells)))


def test_what_was_found_for_a_task_in_hand_is_told_as_it_was(hold, capsys):
    """Solved, nearly solved, without any answer, and ended by a limit; and the same in a notebook."""
    found = [each for name in ("still", "stopped", "unknown") for each in solutions_of(Path(name))]
    console = Console(width=120)
    for each in found:
        show_solution(each, console)
    hold("solutions.txt", capsys.readouterr().out)
    hold("solutions.html", in_short("\n\n".join(each._repr_html_() for each in found)))
    hold("solutions.json", json.dumps([each.as_json() for each in found], indent=1))


def solutions_of(path):
    """Return what `soar solve` would say of every task of a run, each as if its search had ended in another way."""
    with session.view_run(path) as view:
        ends: itertools.cycle[Ended] = itertools.cycle(["agreed", "spent", "limit", "stopped"])
        for tasks in view.tasks.values():
            for task in tasks:
                seen = task_view(view, task.id)
                votes = view.answering.ballots(task, [each.program for each in seen.found])
                yield solution(seen, votes, next(ends), 12.34, Tokens(1000, 234))


def test_programs_of_every_kind_are_shown_as_they_were(hold, capsys):
    """Of each task the distinct programs, and two refinements with their ancestors; right, wrong and failing."""
    for name in ("still", "unknown"):
        with session.view_run(Path(name)) as view:
            for task in (task for tasks in view.tasks.values() for task in tasks):
                seen = task_view(view, task.id)
                children = [each for each in seen.found if each.program.parents]
                for each in [*seen.programs, *children[:2]]:
                    found = program_of(seen, each.program.key)
                    learnt = taught_in(view, seen, found.program)
                    show_program(seen, found, learnt, view.domain, Console(width=120))
    hold("every-program.txt", capsys.readouterr().out)


def test_every_program_is_shown_as_it_was(hold, capsys):
    """All programs of a task, each by its name: right, wrong, failing, learnt from and not."""
    assert main(["show", "still", "flip", "--json"]) == 0
    programs = [each["program"] for each in json.loads(capsys.readouterr().out)["programs"]]
    for program in programs:
        assert main(["show", "still", "flip", program]) == 0
    hold("show-programs.txt", capsys.readouterr().out)
