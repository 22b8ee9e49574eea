"""Which rows of all tasks stay: one per prompt, those that solve a task first, and no more than are asked for."""

import numpy as np
import pytest

from soar.domains.sequences.compact import Compact
from soar.domains.sequences.domain import task_of
from soar.learning.examples import Row, own_prompt
from soar.learning.settings import LearningSettings
from soar.learning.together import rows_together

RENDERING = Compact()
SQUARES, CUBES = (task_of(name, [n**power for n in range(24)]) for name, power in (("A1", 2), ("A2", 3)))


def row(prompt, completion: str, task: str = "A1") -> Row:
    return {"prompt": prompt, "completion": completion, "kind": "sample", "task": task, "program": completion}


def together(rows, seed=0, **settings):
    return rows_together(LearningSettings(**settings), RENDERING, rows, [SQUARES, CUBES], np.random.default_rng(seed))


def test_of_rows_with_one_prompt_the_shortest_stays_where_that_is_asked_for():
    rows = [row("a", "xyz"), row("b", "xy"), row("a", "x"), row("a", "y")]
    assert together(rows, per_prompt="shortest") == [rows[2], rows[1]]
    assert together(rows) == rows


def test_what_solves_another_task_is_taught_as_its_solution_as_often_as_true_ones_are():
    found = row(own_prompt(RENDERING, CUBES), " mul x mul x x", task="A1")
    longer = row(own_prompt(RENDERING, CUBES), " mul mul x x add x 0", task="A2")
    other = row("a", "x")
    assert together([other, longer, found], per_prompt="shortest", true_copies=3) == [found] * 3 + [other]
    assert together([other, longer, found], true_copies=3) == [other, longer, found]


@pytest.mark.parametrize("seed", range(5))
def test_of_more_rows_than_are_asked_for_those_stay_that_solve_a_task_and_the_others_are_drawn(seed):
    rows = [row(f"p{n}", "x") for n in range(40)]
    rows[7:7] = [row(own_prompt(RENDERING, task), "y") for task in (SQUARES, CUBES)]
    kept = together(rows, seed, most_examples=12)
    solving, others = kept[:2], kept[2:]
    assert solving == rows[7:9]
    assert len(others) == 10
    assert all(each in rows for each in others)
    assert len({each["prompt"] for each in others}) == 10
    assert together(rows, seed, most_examples=12) == kept != together(rows, seed + 5, most_examples=12)
    assert together(rows, most_examples=1) == solving
    assert together(rows, most_examples=100) == [*solving, *(each for each in rows if each not in solving)]
