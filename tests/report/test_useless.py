"""A run whose model writes no programs: every command says so, says why, and shows a completion."""

import json

import pytest
from scripted_runs import search, standing, write_config

from soar.cli import main
from soar.errors import EndpointError
from soar.report.snapshot import line

SAID = "12 of 12 completions hold no program (12 no-entry-point). Most likely the code does not define the function"


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = write_config(tmp_path_factory.mktemp("useless"))
    text = "I mirror it.\n```python\ndef solve(grid):\n    return grid\n```\n\x1b[2J"
    (path.parent / "replies.jsonl").write_text(json.dumps({"text": text}) + "\n")
    return path


@pytest.fixture(scope="module")
def useless(config):
    """A finished run: fewer completions than it takes to be sure that a model cannot write programs."""
    run = config.parent / "useless"
    search(config, run, "search.samples=4", "search.refinements=0", "stages.0.iterations=1", "stages.1.iterations=1")
    return run


def test_status_and_report_say_why(useless, capsys):
    said = line(standing(useless))
    assert said.startswith("finished: 2 searches; the last, target iteration 0: 8 completions; 0/2 tasks")
    assert "\n8 of 8 completions hold no program (8 no-entry-point). Most likely the code does not" in said
    assert main(["report", str(useless)]) == 0
    assert f"train 0: {SAID}" in capsys.readouterr().out


def test_show_prints_a_completion_as_it_is(useless, capsys):
    assert main(["show", str(useless), "flip"]) == 0
    said = capsys.readouterr().out
    assert "4 of 4 completions hold no program: no-entry-point 4" in said
    assert "the first of them (no-entry-point), train/0/flip/sample/0/0/0:" in said
    assert said.endswith("def solve(grid):\n    return grid\n```\n\\x1b[2J\n")


def test_a_program_that_is_not_there_is_not_promised(useless, capsys):
    assert main(["show", str(useless), "flip", "train/0/flip/sample/0/0/0"]) == 3
    assert "no program 'train/0/flip/sample/0/0/0' of task 'flip': it has none" in capsys.readouterr().err


def test_a_run_that_failed_for_it_fails_again(config):
    run, many = config.parent / "many", "search.samples=40"
    for _ in range(2):
        with pytest.raises(EndpointError, match="none of 120 completions is usable"):
            search(config, run, many, "search.refinements=0")
    assert "run the same `soar run` command again to resume" in line(standing(run))
    assert "\n120 of 120 completions hold no program" in line(standing(run))
