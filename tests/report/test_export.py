"""Answers and programs as files: what is in them is in the archive, fits the tasks, and never lies over a run."""

import json
from dataclasses import replace
from typing import cast

import pytest

from soar import session
from soar.domains.arc.domain import Arc
from soar.errors import ConfigError, DataError
from soar.protocols import Domain
from soar.report.export import check, program_lines, submission, write_programs, write_submission


def test_a_finished_run_exports_the_answers_that_it_wrote(finished, tmp_path):
    for stage, number in (("train", 1), ("target", 2), (None, 2)):
        with session.view_run(finished) as view:
            told = write_submission(view, tmp_path / "submission.json", stage)
        written = json.loads((tmp_path / "submission.json").read_text())
        assert written == json.loads((finished / "answers" / f"{number}.json").read_text())
        assert f"{len(written)} of {len(written)} tasks" in told


def test_a_stopped_run_answers_every_task_by_what_was_finished(stopped):
    with session.view_run(stopped) as view:
        found = submission(view, "train")
        assert json.loads(found.text) == json.loads((stopped / "answers/0.json").read_text())
        with pytest.raises(DataError, match=r"no search of stage 'target' .* has begun; stages that have: 'train'"):
            submission(view)
        with pytest.raises(ConfigError, match=r"no stage 'exam' in .*: it has 'train', 'target'"):
            submission(view, "exam")


def test_a_task_without_an_answer_is_in_the_submission_all_the_same(finished):
    with session.view_run(finished) as view:
        silent = replace(view, answering=replace(view.answering, voter=lambda programs: []))
        found = submission(silent, "train")
    assert (found.answered, found.tasks) == (0, 3)
    entries = [entry for each in json.loads(found.text).values() for entry in each]
    assert {entry["attempt_1"] == entry["attempt_2"] == [[0, 0], [0, 0]] for entry in entries} == {True}


def broken(given, damage):
    damage(given)
    return given


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda given: given.pop("flip"), "exactly the stage's 3 tasks: ..flip"),
        (lambda given: given.update(more=[]), "exactly the stage's 3 tasks: ..more"),
        (lambda given: given["flip"].append({}), "task 'flip' is not a list of 1"),
        (
            lambda given: given["flip"][0].pop("attempt_2"),
            "'flip', test input 1: expected attempt_1 and attempt_2",
        ),
        (lambda given: given["flip"][0].update(attempt_2=[[1], [2, 3]]), "test input 1, attempt_2: ragged"),
        (lambda given: given["flip"][0].update(attempt_1=None), "test input 1, attempt_1: not a grid"),
    ],
)
def test_what_is_no_submission_is_refused(finished, damage, said):
    with session.view_run(finished) as view:
        given, tasks = json.loads(submission(view, "train").text), view.tasks["train"]
        answers = {task.id: [((1,),)] for task in tasks}
        check(Arc(), tasks, answers, given)
        with pytest.raises(DataError, match=said):
            check(Arc(), tasks, answers, broken(given, damage))
        with pytest.raises(DataError, match="list"):
            check(Arc(), tasks, answers, [])


def test_of_a_long_entry_the_beginning_is_shown(finished):
    with session.view_run(finished) as view:
        given, tasks = json.loads(submission(view, "train").text), view.tasks["train"]
    given["flip"] = [{"answer": "x" * 200}]
    with pytest.raises(DataError) as refused:
        check(Arc(), tasks, {task.id: [] for task in tasks}, given)
    shown = "{'answer': '" + 88 * "x"
    assert len(shown) == 100
    assert str(refused.value).endswith(f"test input 1: expected attempt_1 and attempt_2, found {shown!r}")


def test_programs_are_lines_of_what_the_archive_has(finished, tmp_path):
    with session.view_run(finished) as view:
        assert "programs of stage 'train'" in write_programs(view, tmp_path / "programs.jsonl", "train")
        programs = [p for task in view.tasks["train"] for p in view.reader.programs(task.id, "train")]
    lines = [json.loads(line) for line in (tmp_path / "programs.jsonl").read_text().splitlines()]
    assert [(line["program"], line["code"]) for line in lines] == [(p.key, p.code) for p in programs]
    assert {line["iteration"] for line in lines} == {0, 1}
    assert {line["phase"] for line in lines} == {"sample", "refine"}
    for line, program in zip(lines, programs, strict=True):
        assert sum(line["correct_train_input"]) == round(3 * program.accuracy)
        assert len(line["predicted_train_output"]) == 3
        assert (None in [*line["predicted_train_output"], *line["predicted_test_output"]]) == (not line["ran"])
    right = [line for line in lines if line["task_id"] == "flip" and all(line["correct_train_input"])]
    assert right
    assert all(line["correct_test_input"] == [True] for line in right)


def test_programs_of_a_task_whose_answer_is_missing_say_nothing_of_it(finished):
    with session.view_run(finished) as view:
        lines = [line for line in program_lines(view, "target") if line["task_id"] == "secret-task"]
    assert lines
    assert {line["correct_test_input"] for line in lines} == {None}


def test_a_challenge_file_with_a_task_that_is_none_is_refused(finished, tmp_path):
    known = {path.stem: json.loads(path.read_text()) for path in (finished.parent / "known").glob("*.json")}
    tall = {"train": [{"input": [[1]], "output": [[1]]}], "test": [{"input": [[0]] * 31}]}
    (tmp_path / "c.json").write_text(json.dumps({**known, "tall": tall}))
    with session.view_run(finished) as view, pytest.raises(DataError, match=r"1 tasks of .*c\.json.*task tall.*31"):
        submission(view, "train", str(tmp_path / "c.json"))


class OwnForm:
    """A domain that gives submissions in a form of its own."""

    def __init__(self, form):
        self._form = form

    def __getattr__(self, name):
        return getattr(Arc(), name)

    def submission(self, tasks, answers):
        return self._form(tasks, answers)


def test_a_form_of_a_domains_own_is_written_as_it_is(finished):
    with session.view_run(finished) as view:
        for form in (
            lambda tasks, answers: [[task.id, answers.get(task.id, [None])[0]] for task in tasks],
            lambda tasks, answers: {task.id: answers.get(task.id) for task in tasks},
            lambda tasks, answers: {task.id: [{"answer": 1}] for task in tasks},
        ):
            own = replace(view, domain=cast(Domain, OwnForm(form)))
            found = submission(own, "train")
            assert (found.tasks, "flip" in found.text) == (3, True)
        with pytest.raises(DataError, match="the domain's submission is no JSON: "):
            submission(replace(view, domain=cast(Domain, OwnForm(lambda tasks, answers: {1, 2}))), "train")


def test_a_domain_that_gives_attempts_is_held_to_them_where_there_is_an_answer(finished):
    def damaged(tasks, answers):
        found = Arc().submission(tasks, answers)
        if answers:
            del found["flip"][0]["attempt_2"]
        return found

    with session.view_run(finished) as view, pytest.raises(DataError, match="expected attempt_1 and attempt_2"):
        submission(replace(view, domain=cast(Domain, OwnForm(damaged))), "train")
