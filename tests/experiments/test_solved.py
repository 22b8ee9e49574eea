import asyncio
import json

import numpy as np
import pytest

from experiments.solved import Made, at_equal_seconds, chances, counts, interval, line, measure, read_rows
from soar.domains.arc.domain import Arc

CELL = {"tasks": "some", "seed": 0}


def row(task, first, programs, right, seconds=1.0, **changes):
    return {**CELL, "task": task, "first": first, "programs": programs, "right": right, "seconds": seconds, **changes}


def test_programs_made_later_are_added_and_those_behind_a_gap_are_not():
    rows = [row("a", 8, 56, 2), row("a", 0, 8, 1), row("b", 0, 8, 0), row("b", 16, 8, 5), row("a", 0, 8, 8, seed=1)]
    assert counts(rows, CELL) == {"a": Made(64, 3), "b": Made(8, 0)}


def test_the_chance_of_a_right_program_among_k_is_the_share_of_draws_that_hold_one():
    found = {"a": Made(4, 1), "b": Made(4, 0), "c": Made(4, 4)}
    assert chances(found, 1).tolist() == [0.25, 0, 1]
    assert chances(found, 2).tolist() == [0.5, 0, 1]
    assert chances(found, 5).size == 0


def test_of_distinct_programs_the_first_k_count():
    rows = [row("a", 0, 8, 0, earliest=None, drawing="distinct"), row("a", 8, 8, 2, earliest=1, drawing="distinct")]
    rows += [row("a", 16, 8, 1, earliest=0, drawing="distinct"), row("b", 0, 24, 0, earliest=None, drawing="distinct")]
    found = counts(rows, CELL)
    assert found["a"] == Made(24, 3, 9, True)
    assert [chances(found, k).tolist() for k in (9, 10, 24)] == [[0, 0], [1, 0], [1, 0]]
    assert chances(found, 25).size == 0


def test_the_interval_holds_the_sum_and_shrinks_to_nothing_where_all_tasks_are_alike():
    low, high = interval(np.array([1.0] * 30 + [0.0] * 70))
    assert low < 30 < high
    assert high - low == pytest.approx(4 * np.sqrt(100 * 0.3 * 0.7), rel=0.1)
    assert interval(np.ones(50)) == (50, 50)


def test_what_was_not_made_is_shown_as_missing():
    rows = [row("a", 0, 8, 1), row("b", 0, 8, 0)]
    shown = line(rows, CELL, 2)
    assert shown.count("missing") == 3
    assert line(rows, CELL, 3).count("missing") == 5


def test_equal_seconds_give_the_faster_maker_more_programs():
    slow, fast = [row("a", 0, 10, 5, seconds=10)], [row("a", 0, 100, 1, seconds=10)]
    assert at_equal_seconds(slow, fast, 2) == (pytest.approx(1 - 20 / 90), pytest.approx(0.2), 2, 20)


@pytest.mark.slow
def test_only_missing_programs_are_made_and_run(tmp_path):
    tasks, path, asked = Arc().load("arc1-training")[:2], tmp_path / "rows.jsonl", []
    answer = json.dumps(tasks[0].test[0].output)
    programs = [f"def transform(grid):\n    return {answer}", "def transform(grid):\n    return grid"]

    async def make(task, first, stop):
        asked.append((task.id, first, stop))
        return programs[first:stop]

    for count in (1, 2, 2):
        asyncio.run(measure(path, CELL, tasks, count, make, 1))
    assert asked == [(task.id, first, first + 1) for first in (0, 1) for task in tasks]
    assert [(r["first"], r["programs"], r["whole"], r["right"]) for r in read_rows(path)] == [(0, 1, 1, 0)] * 2 + [
        (1, 1, 1, 0)
    ] * 2


def test_the_place_of_the_first_right_program_counts_those_that_hold_no_code(tmp_path):
    task, path = Arc().load("arc1-training")[0], tmp_path / "rows.jsonl"
    pairs = [(e.input, e.output) for e in (*task.train, *task.test)]
    right = f"def transform(grid):\n    return [o for i, o in {pairs!r} if tuple(map(tuple, grid)) == i][0]"
    programs = [None, "def transform(grid):\n    return grid", None, right]

    async def make(task, first, stop):
        return programs[first:stop]

    asyncio.run(measure(path, {**CELL, "drawing": "distinct"}, [task], 4, make, 1))
    assert counts(read_rows(path), CELL) == {task.id: Made(4, 1, 3, True)}
