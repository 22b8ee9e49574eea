"""What a run found for a task, of finished and stopped runs, with known, hidden and missing answers."""

import json
import re
import shutil

import pytest
from rich.console import Console
from scripted_runs import ANSWER, HOSTILE

from soar import session
from soar.errors import DataError, StoreError
from soar.report.metrics import report
from soar.report.show_task import lineage_line, program_json, show_program, show_task, task_json
from soar.report.task_view import ancestors, descent, program_of, task_view, taught_in
from soar.types import Failure


def seen_in(path, task_id):
    with session.view_run(path) as view:
        return task_view(view, task_id)


def printed(show, columns=80):
    console = Console(width=columns)
    with console.capture() as captured:
        show(console)
    return captured.get()


def shown(path, task_id, key=None, columns=80):
    """Return what `soar show` prints, and its JSON as text."""
    with session.view_run(path) as view:
        seen = task_view(view, task_id)
        if key is None:
            return printed(lambda console: show_task(seen, view.domain, console), columns), json.dumps(task_json(seen))
        found = program_of(seen, key)
        learnt = taught_in(view, seen, found.program)
        said = printed(lambda console: show_program(seen, found, learnt, view.domain, console), columns)
        return said, json.dumps(program_json(seen, found, learnt))


def test_a_task_is_shown_with_its_answers_votes_and_the_best_program(finished):
    seen = seen_in(finished, "flip")
    with session.view_run(finished) as view:
        reported = report(view)["iterations"]
    assert [search.step.key for search in seen.searches] == [("train", 0), ("train", 1)]
    assert all(search.completions == 20 for search in seen.searches)
    assert isinstance(reported, list)
    assert all(record["solved"] >= search.solved for search, record in zip(seen.searches, reported, strict=False))
    best = seen.best
    assert best is not None
    assert (best.right, best.test_right, best.rejected) == (3, (True,), None)
    assert best.program.code.endswith("return [row[::-1] for row in grid]")
    text, _ = shown(finished, "flip")
    for said in (
        "3 training pairs, 1 to answer",
        "answer 1",
        "expected",
        "right on 3 of 3 training pairs",
        "lineage: ",
    ):
        assert said in text
    assert max(map(len, text.splitlines())) <= 120


def test_programs_are_told_once_each_by_worth_with_their_votes(finished):
    seen = seen_in(finished, "flip")
    programs = seen.programs
    assert sum(each.copies for each in programs) == len(seen.found)
    assert len({each.program.code for each in programs}) == len(programs) < len(seen.found)
    assert [each.right for each in programs] == sorted((each.right for each in programs), reverse=True)
    for search in seen.searches:
        mine = [each for each in seen.found if each.program.key.startswith("{}/{}/".format(*search.step.key))]
        voters = [each for each in mine if each.program.ballot == search.ballots[0].key]
        assert {each.votes for each in voters} == {search.ballots[0].votes} == {len(voters)}
        assert all(each.votes == 0 and each.rejected == "failed" for each in mine if not each.program.ran)


def test_the_lineage_of_a_refinement_goes_back_to_a_sample_and_each_comes_after_what_it_was_made_from(finished):
    seen = seen_in(finished, "flip")
    for found in seen.found:
        line = ancestors(seen, found.program)
        keys = [each.key for each in line]
        assert keys[-1] == found.program.key
        assert line[0].origin.phase == "sample"
        assert all(keys.index(parent) < keys.index(each.key) for each in line for parent in each.parents)
        assert descent(seen, found.program)[0].origin.phase == "sample"
    refined = next(each.program for each in seen.found if each.program.parents)
    assert lineage_line(seen, refined).startswith("lineage: train/")
    assert " → " in lineage_line(seen, refined)


def test_a_program_is_shown_with_what_it_gave_for_each_input_and_where_it_failed(finished):
    seen = seen_in(finished, "flip")
    failed = next(each for each in seen.found if "grid[7][7]" in each.program.code)
    text, record = shown(finished, "flip", failed.program.key)
    assert text.count("IndexError") == 4
    assert "(line 2:" in text
    record = json.loads(record)
    assert [pair["failure"]["line"] for pair in record["train"]] == [2, 2, 2]
    assert record["test"] == [{"output": None, "failure": record["test"][0]["failure"], "correct": False}]
    half = next(each for each in seen.found if "grid[7]\n" in each.program.code)
    assert [isinstance(output, Failure) for output in half.program.outputs] == [False, True, True, True]
    text, record = shown(finished, "flip", half.program.key)
    assert text.count("IndexError") == 3
    assert [pair["correct"] for pair in json.loads(record)["train"]] == [True, False, False]


def test_what_was_learnt_from_a_program_is_told_by_the_data_of_the_run(finished):
    rows = [json.loads(line) for line in (finished / "data/1/examples.jsonl").read_text().splitlines()]
    taught = next(row for row in rows if row["task"] == "flip")
    text, record = shown(finished, "flip", taught["program"])
    learnt = json.loads(record)["learnt"]
    assert {(each["stage"], each["iteration"]) for each in learnt} == {("train", 1)}
    assert taught["kind"] in {each["kind"] for each in learnt}
    assert "used in the finetuning before train iteration 1: " in text
    assert taught["why"] in text
    assert taught["why"] in [why for each in learnt for why in each["why"]]
    last = next(each for each in seen_in(finished, "quiz").found)
    assert json.loads(shown(finished, "quiz", last.program.key)[1])["learnt"] == []


def test_data_that_does_not_say_why_a_program_was_chosen_is_told_without_it(finished, tmp_path):
    copy = shutil.copytree(finished, tmp_path / "copy")
    data = copy / "data/1/examples.jsonl"
    rows = [json.loads(line) for line in data.read_text().splitlines()]
    taught = next(row for row in rows if row["task"] == "flip")
    data.write_text("".join(json.dumps({**row, "why": ""}) + "\n" for row in rows))
    text, _ = shown(copy, "flip", taught["program"])
    assert re.search(r"used in the finetuning before train iteration 1: \d examples? \(\w+\)$", text, re.MULTILINE)


def test_damaged_data_is_named(finished, tmp_path):
    copy = shutil.copytree(finished, tmp_path / "copy")
    (copy / "data/1/examples.jsonl").write_text('{"task": "flip"')
    with session.view_run(copy) as view:
        seen = task_view(view, "flip")
        with pytest.raises(StoreError, match=r"examples\.jsonl is damaged"):
            taught_in(view, seen, seen.found[0].program)


def test_where_answers_are_missing_all_else_is_shown(finished):
    seen = seen_in(finished, "secret-task")
    (search,) = seen.searches
    assert (search.right, search.solved, search.oracle) == (None, None, None)
    assert seen.best is not None
    assert (seen.best.right, seen.best.test_right) == (3, None)
    text, record = shown(finished, "secret-task")
    assert "right on 3 of 3 training pairs, " in text
    assert "test outputs" not in text
    assert json.loads(record)["searches"][0]["voted"][0]["right"] is None
    assert shown(finished, "secret-task", seen.best.program.key)[0].count("?") >= 1


def test_a_hidden_answer_is_shown_nowhere_but_judged_as_in_the_report(finished):
    seen = seen_in(finished, "quiz")
    assert (seen.searches[0].right, seen.searches[0].solved) == ((False, False), False)
    assert seen.task == seen.task.without_answers()
    text, record = shown(finished, "quiz")
    one, detailed = shown(finished, "quiz", seen.found[0].program.key)
    for said in (text, one):
        assert "9 8 7 6" not in said
    for said in (record, detailed):
        assert json.dumps(ANSWER) not in said


def test_a_run_that_was_stopped_is_shown_as_far_as_it_came(stopped):
    with session.view_run(stopped) as view:
        ids = [task.id for task in view.tasks["train"]]
    searches = [seen_in(stopped, task_id).searches for task_id in ids]
    assert all([search.finished for search in each] == [True, False] for each in searches)
    assert min(each[1].completions for each in searches) == 0
    text, _ = shown(stopped, "sums")
    assert "1 so far" in text
    text, record = shown(stopped, "quiz")
    assert "no search of this task has begun" in text
    assert (json.loads(record)["searches"], json.loads(record)["programs"]) == ([], [])


def test_hostile_ids_code_and_messages_stay_text(finished):
    seen = seen_in(finished, HOSTILE)
    raised = next(each for each in seen.found if "raise" in each.program.code)
    for text, record in (shown(finished, HOSTILE), shown(finished, HOSTILE, raised.program.key)):
        assert "\x1b" not in text
        assert "\x1b" not in record
        assert "[bold red]x\\x1b[2J :smile:" in text
    assert json.loads(record)["train"][0]["failure"]["message"] == HOSTILE


def test_an_unknown_task_or_program_is_told_with_what_is_there(finished):
    with session.view_run(finished) as view:
        with pytest.raises(DataError, match=r"no task 'flop' in .*it has 5, like 'flip'"):
            task_view(view, "flop")
        seen = task_view(view, "flip")
        with pytest.raises(DataError, match=r"no program 'train/0/flip/sample/0/9/9' .* like 'train/0/flip/"):
            program_of(seen, "train/0/flip/sample/0/9/9")
