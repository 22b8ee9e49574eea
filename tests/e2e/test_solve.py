"""`soar solve` and `soar report --html` as a user types them."""

import json
import signal
import subprocess
import time

import pytest

pytestmark = pytest.mark.slow  # every test starts commands

SECTIONS = """
[search]
samples = 24
refinements = 12
samples_per_request = 12
enough = 0
[[stages]]
name = "train"
"""


@pytest.fixture
def call(soar, environment, tmp_path):
    def run(*arguments, **more):
        command = [*soar, *map(str, arguments)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path, **more)
        return done.returncode, done.stdout, done.stderr

    return run


def test_a_task_is_solved_and_shown_with_all_that_its_answer_is_worth(call, write_config, task_folder):
    code, said, errors = call("solve", task_folder / "flip.json", "--config", write_config(SECTIONS))
    assert (code, errors) == (0, "")
    lines = said.splitlines()
    assert lines[0] == f"searching for programs that solve {task_folder / 'flip.json'}"
    assert "task flip: a program is right on all 3 training pairs" in lines
    for part in (
        *("answer 1, right", "expected", "vote: ", " of the weight", "the best program:", "for row in grid"),
        *("pair 1 right, pair 2 right, pair 3 right, test 1 right", "gives answer 1", "lineage: solve/0/flip/sample/"),
        "36 completions",
    ):
        assert part in said, part
    assert any("flip: " in line and "the best is right on" in line for line in lines), "what it tries"
    assert "\x1b" not in said


def test_several_tasks_are_an_object_each_and_nothing_else_on_standard_output(call, write_config, task_folder):
    config = write_config(SECTIONS)
    code, said, errors = call(
        *(
            "solve",
            task_folder / "flip.json",
            "-",
            "007bbfb7",
            "--config",
            config,
            "--json",
            "--set",
            "search.samples=12",
        ),
        input=(task_folder / "sums.json").read_text(),
    )
    assert code == 0
    assert errors.startswith("searching for programs that solve ")
    found = [json.loads(line) for line in said.splitlines()]
    assert [each["task_id"] for each in found] == ["flip", "stdin", "007bbfb7"]
    assert [each["found"] for each in found] == [True, False, False]
    assert found[0].keys() == {
        *("task_id", "found", "answers", "ballots", "sure", "voters", "program", "train_correct", "train_pairs"),
        *("train_right", "test_right", "gives"),
        *("lineage", "near", "completions", "programs", "ended", "seconds", "tokens"),
    }
    assert all(each["completions"] == 24 for each in found)


def test_where_nothing_is_found_it_is_told_how_near_it_came(call, write_config, task_folder):
    code, said, _ = call("solve", task_folder / "sums.json", "--config", write_config(SECTIONS))
    assert code == 0
    assert "no program is right on all 3 training pairs; the nearest is right on 0 and goes " in said
    assert "the nearest program:" in said
    assert "answer 1, wrong" in said


def test_any_domain_is_solved_by_its_name(call, write_config, task_folder, tmp_path):
    (tmp_path / "words.py").write_text(
        "import json\nfrom pathlib import Path\nfrom soar.types import Example, Task\n\n\nclass Words:\n"
        "    def load(self, source):\n        words = json.loads(Path(source).read_text())\n"
        "        pairs = [Example(x, x[::-1]) for x in words]\n"
        "        return [Task('mirror', tuple(pairs[:2]), tuple(pairs[2:]))]\n\n"
        "    def parse(self, value):\n        return value\n"
    )
    (tmp_path / "words.json").write_text('["<b>ab", "cd", "ef"]')
    (tmp_path / "replies.jsonl").write_text(
        json.dumps({"text": "```python\ndef transform(x):\n    return x[::-1]\n```"})
    )
    config = ["--config", write_config(SECTIONS), "--set", f"lm.model={tmp_path / 'replies.jsonl'}"]
    code, said, errors = call("solve", "words.json", "--domain", "words:Words", *config)
    assert (code, errors) == (0, "")
    assert '"fe"' in said
    code, _, errors = call("solve", "words.json", "--domain", "words:Words")
    assert (code, errors.count("\n")) == (2, 1)
    assert "no shipped model knows the domain 'words:Words', only arc, sequences: name a configuration" in errors


def test_what_cannot_be_used_is_one_line_after_the_first(call, write_config, task_folder, tmp_path):
    config = ("--config", write_config(SECTIONS))
    (tmp_path / "bad.json").write_text('{"train": [{"input": [[1]], "output": [[12]]}], "test": [{"input": [[1]]}]}')
    (tmp_path / "other").mkdir()
    (tmp_path / "other/flip.json").write_text((task_folder / "sums.json").read_text())
    for arguments, given, code, told in (
        (["bad.json"], "", 3, "bad.json, train pair 1, output: cell [0][0] is 12, expected an integer 0 to 9"),
        (["-"], "", 3, "stdin is empty"),
        (["-"], "{", 3, "stdin cannot be read as JSON"),
        (["nowhere.json"], "", 3, "no file at nowhere.json: expected the id of a task of its sets, or a file of tasks"),
        (["xyz"], "", 3, "no task 'xyz' among "),
        ([task_folder / "flip.json", "other/flip.json"], "", 3, "two different tasks are called 'flip'"),
        ([task_folder / "flip.json", "--seconds", "0"], "", 2, "budget.max_seconds"),
        ([task_folder / "flip.json", "--set", "search.sample=1"], "", 2, "did you mean 'samples'?"),
    ):
        got, said, errors = call("solve", *arguments, *config, input=given)
        assert (got, said.count("\n"), errors.count("\n")) == (code, 1, 1), (arguments, errors)
        assert told in errors
    assert call("solve", "a", "--config", "nothing.toml")[0] == 2


def test_a_limit_of_seconds_is_no_error(call, write_config, task_folder):
    long = ("--config", write_config(SECTIONS), "--set", "search.samples=1000000")
    code, said, errors = call("solve", task_folder / "flip.json", "--seconds", "2", *long)
    assert (code, errors) == (0, "")
    assert "task flip: a program is right on all 3 training pairs" in said
    assert "the search ended because a limit is reached" in said


def test_a_signal_ends_the_search_and_what_was_found_is_printed(soar, environment, write_config, task_folder, tmp_path):
    long = ("--config", str(write_config(SECTIONS)), "--set", "search.samples=1000000")
    command = [*soar, "solve", str(task_folder / "flip.json"), *long]
    with subprocess.Popen(command, env=environment, cwd=tmp_path, text=True, stdout=-1, stderr=-1) as process:
        assert process.stdout
        assert process.stderr
        until = time.monotonic() + 60
        while "right on 3 of 3" not in process.stdout.readline():
            assert time.monotonic() < until
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate(timeout=60)
    assert process.returncode == 75
    assert "task flip: a program is right on all 3 training pairs" in said
    assert "because it was stopped" in said
    assert errors == "soar: stopped; everything found so far is printed\n"


def test_a_run_is_reported_as_a_page_that_lies_over_no_file_of_it(call, write_config, task_folder, tmp_path):
    assert call("run", write_config(SECTIONS), "mine")[0] == 0
    code, said, errors = call("report", "mine", "--html", "page.html")
    assert (code, errors) == (0, "")
    assert said.startswith("page.html: 0.")
    page = (tmp_path / "page.html").read_text()
    assert page.startswith("<!DOCTYPE html>\n<html ")
    assert page.count("<li class=") == 6
    assert call("report", "mine", "--html", "/dev/stdout")[1].startswith("<!DOCTYPE html>")
    for arguments, told in (
        (["mine", "--html", "mine/page.html"], "lies in the run directory"),
        (["mine", "--html", "tasks/flip.json"], "which is the input"),
        (["mine", "mine", "--html", "p"], "takes one run directory"),
        (["mine", "--json", "--html", "p"], "without --json"),
        (["tasks", "--html", "p"], "is not a run directory"),
    ):
        code, said, errors = call("report", *arguments)
        assert (code, said, errors.count("\n")) == (2, "", 1), arguments
        assert told in errors
    assert not (tmp_path / "p").exists()
