"""A run that was searched, read as if its programs voted otherwise."""

import json
import shutil
import sys
from contextlib import ExitStack

import pytest
from scripted_runs import search

import soar
from soar.cli import main
from soar.ensemble import Ballot
from soar.report.html.page import page
from soar.report.metrics import report
from soar.report.pool import voices_of, voting_differently
from soar.session import view_run
from soar.types import canonical_json

pytestmark = pytest.mark.slow  # every test makes whole runs

VOTE = ("answer.voter=test_other_vote:worst", "answer.filters=[]")


def worst(programs):
    """A voter: the programs that are right on the fewest training pairs, one by one."""
    ranked = sorted(programs, key=lambda each: (each.accuracy, each.key))
    return [Ballot(each.test, 1 - each.accuracy, 1, each.key) for each in ranked]


def by_accuracy(sign):
    """A voter that is written once and is two: both have the same name."""

    def vote(programs):
        ranked = sorted(programs, key=lambda each: (sign * each.accuracy, each.key))
        return [Ballot(each.test, 1.0, 1, each.key) for each in ranked]

    return vote


lowest, highest = by_accuracy(1), by_accuracy(-1)


class Rejects:
    """A filter that is an object: one that rejects programs by their accuracy."""

    def __init__(self, accuracy):
        self.accuracy = accuracy

    def __call__(self, task, program):
        return program.accuracy == self.accuracy


rejects = Rejects(2.0)


@pytest.fixture
def by_own_vote(scripted, tmp_path):
    """A run that votes by a user's own function."""
    vote = ("answer.voter=test_other_vote:lowest", 'answer.filters=["test_other_vote:rejects"]')
    search(scripted, tmp_path / "run", "stages.0.iterations=1", *vote)
    return tmp_path / "run"


def test_a_vote_that_has_the_name_of_the_runs_own_is_another(by_own_vote):
    with view_run(by_own_vote, ["answer.voter=test_other_vote:highest"]) as other, view_run(by_own_vote) as own:
        told = report(other)
        assert told != report(own)
        shutil.rmtree(by_own_vote / "results", ignore_errors=True)
        assert report(other) == told


def test_runs_that_vote_by_functions_of_one_name_vote_differently(finished, short):
    with ExitStack() as stack:
        lowest, highest, lowest_too = (
            stack.enter_context(view_run(path, [f"answer.voter=test_other_vote:{name}"]))
            for path, name in ((finished, "lowest"), (short, "highest"), (short, "lowest"))
        )
        assert [voice.view for voice in voting_differently(voices_of([lowest, highest], "train"))] == [highest]
        assert voting_differently(voices_of([lowest, lowest_too], "train")) == []


def test_a_vote_or_a_filter_that_was_edited_counts_as_it_is_now(by_own_vote, monkeypatch):
    with view_run(by_own_vote) as view:
        before = report(view)["iterations"]
    monkeypatch.setattr(sys.modules[__name__], "rejects", Rejects(1.0))
    with view_run(by_own_vote) as view:
        assert report(view)["iterations"][0]["filtered"] != before[0]["filtered"]
    monkeypatch.undo()
    monkeypatch.setattr(sys.modules[__name__], "lowest", by_accuracy(-1))
    with view_run(by_own_vote) as view:
        assert report(view)["iterations"][0]["solved"] > before[0]["solved"]


def test_a_report_counts_what_another_vote_answers(finished):
    with view_run(finished) as usual, view_run(finished, VOTE) as other:
        for before, after in zip(report(usual)["iterations"], report(other)["iterations"], strict=True):
            name = after["stage"]
            tasks = [task for task in other.tasks[name] if task.answered]
            programs = [other.reader.programs(task.id, name, after["iteration"]) for task in tasks]
            voted = [
                [ballot.outputs for ballot in worst([each for each in found if each.ran])[:2]] for found in programs
            ]
            right = [tuple(pair.output for pair in task.test) for task in tasks]
            assert after["solved"] == sum(answer in two for answer, two in zip(right, voted, strict=True))
            assert after["oracle"] == before["oracle"]
            assert after["filtered"].keys() == {"failed"}
        assert report(other)["iterations"][0]["solved"] < report(usual)["iterations"][0]["solved"]


def test_python_and_the_submission_vote_the_same_way(finished, tmp_path):
    run = soar.open_run(finished, *VOTE)
    out = tmp_path / "submission.json"
    assert main(["export", str(finished), "--submission", str(out), "--set", VOTE[0], "--set", VOTE[1]]) == 0
    for task_id, entries in json.loads(out.read_text()).items():
        answers = [[json.loads(canonical_json(output)) for output in each.outputs] for each in run.votes(task_id)[:2]]
        pairs = zip(*answers, strict=True)
        assert entries == [{"attempt_1": first, "attempt_2": second} for first, second in pairs]


def test_a_page_says_that_its_vote_is_another(finished):
    with view_run(finished, VOTE) as view:
        assert f"vote changed: {', '.join(VOTE)}" in page(view)
    with view_run(finished) as view:
        assert "vote changed" not in page(view)


def test_a_run_keeps_the_vote_it_was_started_with(finished):
    frozen = (finished / "config.toml").read_text()
    assert main(["report", str(finished), "--set", VOTE[0]]) == 0
    assert (finished / "config.toml").read_text() == frozen


@pytest.mark.parametrize("setting", ["seed=2", "search.samples=3", "stages.0.iterations=1", "answer"])
def test_only_the_vote_can_be_another(finished, setting, capsys):
    assert main(["report", str(finished), "--set", setting]) == 2
    assert "only the vote can be another; expected answer.voter" in capsys.readouterr().err
