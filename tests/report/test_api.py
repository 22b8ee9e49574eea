"""What `import soar` gives: its names, a run to be read, a task to be solved; with a scripted model and real parts."""

import ast
import asyncio
import importlib
import inspect
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest
from scripted_runs import ANSWER, HOSTILE, search

import soar
from soar import session, solving
from soar.config import load_config
from soar.errors import BudgetReached, ConfigError, DataError, StoreError
from soar.report.metrics import report
from soar.report.solution import solution
from soar.report.task_view import task_view
from soar.types import Example, Task

NAMES = ["Example", "RunReader", "Solution", "Task", "__version__", "asolve", "open_run", "open_sandbox", "solve"]
"""What others may rely on."""

LIBRARIES = ("torch", "numba", "scipy", "numpy", "pandas", "pydantic", "openai", "rich", "transformers")


@pytest.fixture(scope="module")
def run(finished):
    return soar.open_run(finished)


def test_the_package_has_these_names_each_documented_and_typed_by_the_stub():
    assert soar.__all__ == NAMES
    stub = ast.parse(Path(soar.__file__).with_suffix(".pyi").read_text())
    assert ast.literal_eval(next(node.value for node in stub.body if isinstance(node, ast.Assign))) == NAMES
    homes = {
        alias.name: str(node.module) for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert sorted([*homes, "__version__"]) == NAMES
    for name, home in homes.items():
        assert getattr(soar, name) is getattr(importlib.import_module(home), name)
        assert len(inspect.getdoc(getattr(soar, name)) or "") > 40, name
    assert set(NAMES) <= set(dir(soar))
    with pytest.raises(AttributeError, match="no attribute 'solves'"):
        _ = soar.solves  # pyright: ignore[reportAttributeAccessIssue]


def test_importing_the_package_loads_no_library():
    loaded = f"import sys, soar; print([name for name in {LIBRARIES} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_run_gives_its_tasks_programs_votes_and_lineage(run, finished):
    with session.view_run(finished) as view:
        assert run.report() == report(view)
        seen = task_view(view, "flip")
    assert run.task("flip") == seen
    assert run.programs("flip") == tuple(seen.programs)
    best = run.programs("flip")[0]
    assert replace(run.program(best.program.key), copies=best.copies, votes=best.votes) == best
    refined = next(each.program for each in seen.found if each.program.parents)
    line = run.lineage(refined.key)
    assert line[-1] == refined
    assert refined.parents[0] in [each.key for each in line]
    votes = run.votes("flip")
    assert votes[:2] == seen.searches[-1].ballots
    voters = [each for each in seen.found if each.votes and each.program.origin.iteration == 1]
    assert sum(ballot.votes for ballot in votes) == len(voters)
    assert run.status().finished
    with pytest.raises(FrozenInstanceError):
        run.path = Path()


def test_a_run_answers_statements_with_text(run):
    (count,) = run.query("SELECT COUNT(*) FROM completions")[0]
    texts = run.query("SELECT text, code, code_hash FROM completions LEFT JOIN executions USING (task_id, code_hash)")
    assert len(texts) == count > 0
    assert {type(text) for text, _, _ in texts} == {str}
    assert any(code and code in text and len(name) == 32 for text, code, name in texts)


def test_a_run_gives_away_no_answer_that_a_stage_hides(run):
    assert run.tasks["flip"].answered
    assert not run.tasks["quiz"].answered
    assert sorted(run.tasks) == sorted(["flip", HOSTILE, "sums", "quiz", "secret-task"])
    assert json.dumps(ANSWER) not in json.dumps([run.task("quiz").task.test[0].output, run.rows()])


def test_a_data_frame_has_a_row_per_program_and_without_pandas_says_what_to_type(run, monkeypatch):
    pandas = pytest.importorskip("pandas")
    frame = run.frame()
    assert isinstance(frame, pandas.DataFrame)
    assert len(frame) == sum(record["programs"] for record in run.report()["iterations"])
    flip = frame[(frame.task_id == "flip") & (frame.iteration == 0)]
    found = [each for each in run.task("flip").found if each.program.origin.iteration == 0]
    assert list(flip.program) == [each.program.key for each in found]
    assert list(flip.train_right) == [each.right for each in found]
    assert set(frame[~frame.ran].failure) == {"IndexError", "ValueError"}
    assert frame[frame.task_id == "secret-task"].test_right.isna().all()
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ConfigError, match=r"^a data frame needs pandas, .*: pip install pandas$"):
        run.frame()


def test_what_is_no_run_or_not_in_it_is_said(run, tmp_path):
    with pytest.raises(ConfigError, match="is not a run directory"):
        soar.open_run(tmp_path)
    with pytest.raises(DataError, match="like 'flip'"):
        run.task("flop")
    with pytest.raises(DataError, match="expected an id like"):
        run.lineage("flip")
    with pytest.raises(DataError, match="no program"):
        run.program("train/0/flip/sample/9/9/9")


@pytest.mark.slow
def test_a_run_that_goes_on_is_read_as_it_stands_at_each_question(scripted, tmp_path):
    path = tmp_path / "run"
    with pytest.raises(BudgetReached):
        search(scripted, path, "budget.max_tokens=3000", "search.tasks_in_flight=1")
    reading = soar.open_run(path)
    before = len(reading.rows())
    assert not is_finished(reading)
    search(scripted, path, "budget.max_tokens=1000000")
    assert 0 < before < len(reading.rows())
    assert is_finished(reading)


def is_finished(reading):
    now = reading.status()
    return now is not None and now.finished


def test_a_notebook_shows_a_run_a_task_and_a_solution(run, scripted):
    found = soar.solve(scripted.parent / "known" / "flip.json", config=scripted)
    for shown in (run, run.task("flip"), found):
        markup = shown._repr_html_()
        assert markup.startswith('<div class="soar"><style>')
        assert "<svg" in markup
        assert "<script" not in markup
    assert "✓ right" in found._repr_html_()
    assert "[bold red]x\\x1b[2J :smile:" in run.task(HOSTILE)._repr_html_()
    assert "\x1b" not in run.task(HOSTILE)._repr_html_()


def test_a_task_in_hand_is_solved_with_what_the_answer_is_worth(scripted):
    found = soar.solve(str(scripted.parent / "known" / "flip.json"), config=str(scripted))
    assert isinstance(found, soar.Solution)
    assert (found.found, found.ended, found.near) == (True, "spent", 1.0)
    assert found.train_right == (True, True, True)
    assert found.test_right == (True,)
    assert found.right is not None
    assert found.right[0]
    assert found.answers[0].outputs == (found.task.test[0].output,)
    assert found.gives == 1
    assert found.code is not None
    assert "row[::-1] for row in grid" in found.code
    assert found.program is not None
    assert found.lineage[-1] == found.program.program
    assert len(found.answers) == 2 < len(found.votes)
    weights = [ballot.weight for ballot in found.votes]
    assert weights == sorted(weights, reverse=True)
    assert found.sure == weights[0] / sum(weights)
    assert replace(found, votes=(*found.votes, found.votes[0])).sure == 0.5
    assert replace(found, votes=()).sure == 0.0
    record = found.as_json()
    assert json.loads(json.dumps(record))["ballots"][0]["votes"] == found.votes[0].votes
    assert record["answers"] == [list(answer.outputs) for answer in found.answers]
    assert found.to_dict() == record
    assert (record["completions"], record["tokens"]["completion"]) == (20, found.tokens.completion)
    with pytest.raises(FrozenInstanceError):
        found.near = 0.5  # pyright: ignore[reportAttributeAccessIssue]


def test_of_the_programs_that_are_right_the_one_is_shown_that_gives_the_first_answer(scripted, tmp_path):
    codes = ("return [row[::-1] for row in grid]", "return [row[::-1] for row in grid] if len(grid[0]) < 5 else grid")
    replies = tmp_path / "replies.jsonl"
    texts = [f"```python\ndef transform(grid):\n    {code}\n```" for code in codes]
    replies.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    found = soar.solve(scripted.parent / "known" / "flip.json", config=load_config(scripted, [f"lm.model={replies}"]))
    assert len(found.votes) == 2
    for first, second in (found.votes, found.votes[::-1]):
        again = solution(found.seen, [replace(first, weight=99.0), second], "spent", 1.0, found.tokens)
        assert again.gives == 1
        assert again.program is not None
        assert again.program.program.test == first.outputs


def test_where_nothing_is_found_it_is_said_how_near_it_came(scripted, tmp_path):
    rows = (((1, 2, 3),), ((4, 5, 6),), ((7, 8, 9),))
    wanted = (((3, 2, 1),), ((6, 5, 4),), ((9, 8, 0),))
    task = Task("near", tuple(map(Example, rows, wanted)), (Example(((1, 2, 2),), None),))
    found = soar.solve(task, config=scripted)
    assert not found.found
    assert found.train_right == (True, True, False)
    assert (found.right, found.test_right) == (None, None)
    assert 2 / 3 < found.near < 1
    assert found.as_json()["near"] == found.near
    assert "the nearest is right on 2" in found._repr_html_()


def test_a_task_of_lists_is_taken_as_it_is_meant_and_what_is_none_is_said(scripted):
    task = Task("mine", (Example([[1, 2]], [[2, 1]]),), (Example([[3, 4]], None),))  # pyright: ignore[reportArgumentType]
    found = soar.solve(task, config=scripted)
    assert found.task.train[0].output == ((2, 1),)
    assert found.answers[0].outputs[0] in (((4, 3),), ((3, 4),))
    bad = Task("mine", (Example(((1, 2),), ((2, 10),)),), (Example(((3,),), None),))
    with pytest.raises(DataError, match=r"task mine, training pair 1: cell \[0\]\[1\] is 10"):
        soar.solve(bad, config=scripted)
    for broken in (replace(task, id="a/b"), replace(task, train=()), replace(task, train=task.test)):
        with pytest.raises(DataError):
            soar.solve(broken, config=scripted)


def test_what_is_no_task_is_said_with_what_was_expected(scripted, tmp_path):
    (tmp_path / "bad.json").write_text("{")
    both = {name: json.loads((scripted.parent / "known" / f"{name}.json").read_text()) for name in ("flip", "sums")}
    (tmp_path / "both.json").write_text(json.dumps(both))
    for named, said in (
        (tmp_path / "none.json", r"no file at .*none\.json: expected the id of a task"),
        (tmp_path, "is a folder"),
        (tmp_path / "bad.json", "cannot be read as JSON"),
        (tmp_path / "both.json", "holds 2 tasks, expected one"),
        ("arc1-training", "is a whole set of tasks"),
        ("007bbfb8", r"no task '007bbfb8' among .*like 007bbfb7"),
    ):
        with pytest.raises(DataError, match=said):
            soar.solve(named, config=scripted)
    with pytest.raises(ConfigError, match="knows the domain 'words', only arc, sequences: name a"):
        soar.solve("A000045", domain="words")
    with pytest.raises(ConfigError, match="max_seconds"):
        soar.solve("007bbfb7", config=scripted, seconds=-1)


def test_it_is_solved_inside_an_event_loop_too(scripted):
    task = scripted.parent / "known" / "flip.json"

    async def notebook():
        beside = soar.solve(task, config=scripted)
        return beside, await soar.asolve(task, config=load_config(scripted))

    beside, awaited = asyncio.run(notebook())
    assert beside.as_json() | {"seconds": 0} == awaited.as_json() | {"seconds": 0}
    assert beside.found


def test_a_search_that_is_interrupted_in_a_notebook_is_cancelled_and_cleans_up():
    ended = []

    async def work():
        try:
            threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    async def notebook():
        solving.waited_for(work)

    loop = asyncio.new_event_loop()  # as a notebook's: it leaves signals alone
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(notebook())
    loop.close()
    assert ended == [True]


def test_a_limit_of_seconds_ends_a_search_with_what_was_found(scripted):
    long = load_config(scripted, ["search.samples=100000", "search.refinements=0", "search.samples_per_request=20"])
    found = soar.solve(scripted.parent / "known" / "flip.json", config=long, seconds=1.5)
    assert found.ended == "limit"
    assert found.seen.searches[0].completions < 100_000
    assert found.found


def test_enough_agreeing_programs_end_a_search(scripted, tmp_path):
    code = "```python\ndef transform(grid):\n    return [row[::-1] for row in grid]  # {n}\n```"
    replies = tmp_path / "replies.jsonl"
    replies.write_text("".join(json.dumps({"text": code.format(n=n)}) + "\n" for n in range(40)))
    config = load_config(scripted, [f"lm.model={replies}", "search.samples=100", "search.agreeing=3"])
    found = soar.solve(scripted.parent / "known" / "flip.json", config=config)
    assert found.ended == "agreed"
    assert found.as_json()["completions"] < 20
    assert found.sure == 1.0


def test_a_run_without_an_archive_is_refused(finished, tmp_path):
    (tmp_path / "lost").mkdir()
    for name in ("config.toml", "manifest.json"):
        (tmp_path / "lost" / name).write_bytes((finished / name).read_bytes())
    with pytest.raises(StoreError, match="no archive"):
        soar.open_run(tmp_path / "lost")


@pytest.mark.slow  # the model is loaded, and compiled where that was not done before
def test_the_model_that_ships_solves_a_task_by_its_own_program():
    config = load_config(
        solving.SHIPPED[None], ["search.samples=64", "search.refinements=0", "search.samples_per_request=64"]
    )
    rows = [tuple(tuple((3 * i + 2 * y + x) % 7 for x in range(3 + i)) for y in range(3)) for i in range(4)]
    flipped = [tuple(row[::-1] for row in grid) for grid in rows]
    task = Task("flip", tuple(map(Example, rows[:3], flipped[:3])), (Example(rows[3], None),))
    found = soar.solve(task, config=config)
    assert found.found
    assert found.answers[0].outputs == (flipped[3],)


def test_a_run_opened_by_a_relative_path_is_read_after_the_folder_has_changed(finished, monkeypatch, tmp_path):
    monkeypatch.chdir(finished.parent)
    run = soar.open_run("finished")
    before = (run.rows(), run.report(), run.status(), run.html(), repr(run))
    assert "finished" in run.html()
    assert str(finished) not in run.html()
    monkeypatch.chdir(tmp_path)
    assert (run.rows(), run.report(), run.status()) == before[:3]
    assert run.task("flip").best is not None
    assert len(run.html()) > 1000
    assert (repr(run), run.path) == (before[4], Path("finished"))
