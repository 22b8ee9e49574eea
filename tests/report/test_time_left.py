"""How long a run takes yet: sums that one can check by hand."""

from soar.archive.rows import IterationRow
from soar.report.time_left import CurrentStep, Left, time_left
from soar.run import Stage, steps

PLAN = steps([Stage("train", 3), Stage("target", 2, "hidden", "train")])
TASKS = {"train": 10, "target": 20}


def row(iteration, seconds=0.0, finetuned=0.0, finished=True, stage="train"):
    return IterationRow(stage, iteration, seconds, finetuned, finished)


def left(rows, current, limit=None):
    return time_left(PLAN, TASKS, 8, rows, current, limit)


def test_nothing_is_said_before_anything_was_measured():
    assert left([row(0, finished=False)], CurrentStep(PLAN[0], 0, None)) == Left(None, None, False)


def test_the_first_search_tells_how_long_searches_take_and_nothing_of_finetunings():
    # 80 completions of 10 tasks at 2/s are 40 s; 2 more searches of 10 tasks, 2 of 20: 40 + 40 + 80 + 80.
    found = left([row(0, finished=False)], CurrentStep(PLAN[0], 20, 2.0))
    assert found == Left(30.0, 30.0 + 240.0, False)


def test_a_finetuning_that_goes_on_tells_how_long_others_take():
    rows = [row(0, 30.0), row(1, finished=False)]
    current = CurrentStep(PLAN[1], 0, None, finetuning=45.0, finetune_left=5.0)
    # 3 s per task: searches of 10, 10, 20 and 20 tasks; this finetuning, and two to come.
    assert left(rows, current) == Left(5.0, 180.0 + 5.0 + 2 * 50.0, True)


def test_a_finetuning_of_which_nothing_is_known_yet_is_not_in_the_sum():
    current = CurrentStep(PLAN[1], 0, None, finetuning=1.0)
    assert left([row(0, 30.0), row(1, finished=False)], current) == Left(None, 180.0, False)


def test_a_finetuning_that_has_made_no_step_yet_takes_as_long_as_the_last_one():
    rows = [row(0, 30.0), row(1, 30.0, 100.0), row(2, finished=False)]
    current = CurrentStep(PLAN[2], 0, None, finetuning=10.0)
    # 3 s per task: searches of 10, 20 and 20 tasks; 90 s of this finetuning, and one to come.
    assert left(rows, current) == Left(90.0, 150.0 + 90.0 + 100.0, True)


def test_the_newest_finetuning_and_all_searches_are_what_the_rest_is_told_by():
    rows = [row(0, 20.0), row(1, 40.0, 100.0), row(2, 0.0, 60.0, finished=False)]
    # 3 s per task; 40 of 80 completions left at 4/s; the target's two searches and one finetuning.
    assert left(rows, CurrentStep(PLAN[2], 40, 4.0)) == Left(10.0, 10.0 + 120.0 + 60.0, True)


def test_the_first_completions_of_a_search_do_not_tell_how_long_it_takes():
    rows = [row(0, 30.0), row(1, 0.0, 60.0, finished=False)]
    # 3 s per task: 76 of 80 completions are left; searches of 10, 20 and 20 tasks, and two finetunings to come.
    assert left(rows, CurrentStep(PLAN[1], 4, 0.5)) == Left(28.5, 28.5 + 150.0 + 2 * 60.0, True)
    assert left(rows, CurrentStep(PLAN[1], 8, 0.5)).phase == 72 / 0.5


def test_the_last_search_is_the_end_and_a_limit_comes_before_it():
    rows = [row(0, 20.0), row(1, 40.0, 9.0), row(2, 40.0, 9.0), row(0, 60.0, stage="target")]
    rows.append(row(1, 0.0, 9.0, finished=False, stage="target"))
    assert left(rows, CurrentStep(PLAN[4], 80, 8.0)) == Left(10.0, 10.0, True)
    assert left(rows, CurrentStep(PLAN[4], 80, 8.0), limit=4.0) == Left(4.0, 4.0, True)
    assert left(rows, CurrentStep(PLAN[4], 80, 8.0), limit=-4.0) == Left(0.0, 0.0, True)
