"""What goes wrong in the released code, and does not here; numbered as in the paper index."""

import json

import numpy as np
import pytest
from made import FAILURE, TASK, acting, made, teaching

from soar.domains.arc.domain import Arc
from soar.ensemble import VOTERS
from soar.learning.curate import CURATORS, greedy_diverse
from soar.learning.dedup import DEDUPLICATIONS
from soar.learning.examples import sampling_example
from soar.learning.select import examples_of
from soar.prompts.chat import Chat
from soar.types import Example, Task


@pytest.mark.parametrize("name", ["text", "outputs", "ngrams", "ngrams-code"])
def test_trap_2_deduplication_keeps_incorrect_programs_and_the_diverse_half_is_not_empty(name):
    wrong = [acting(n, n % 3, 0, n, code=f"def transform(g):\n    return {'[[' + str(n) * n + ']]'}") for n in range(9)]
    right = [acting(20 + n, 4, 2, code=f"def transform(grid): return solve{n}(grid, {n})") for n in range(3)]
    kept = DEDUPLICATIONS[name](TASK, [*wrong, *right])
    assert len([program for program in kept if program.accuracy < 1]) >= 5
    chosen = greedy_diverse(TASK, kept, 6, np.random.default_rng(0))
    assert len(chosen) == 6
    assert all(program.accuracy < 1 for program in chosen[3:])


def test_trap_3_the_target_is_the_child_of_the_parent_that_is_shown():
    parents = [acting(n, n % 4, 0, n, code=f"parent_{n}") for n in range(6)]
    children = [acting(10 + n, 4, 2, parents=(parents[n].key,), code=f"child_{n}") for n in range(6)]
    shuffled = [*reversed(children), *parents]
    rows = examples_of(teaching(), TASK, shuffled, seed=0)
    refinements = [row for row in rows if row["kind"] == "refine"]
    assert len(refinements) == 6
    for row in refinements:
        (number,) = [n for n in range(6) if f"child_{n}\n" in json.loads(json.dumps(row))["completion"][0]["content"]]
        shown = row["prompt"][-1]["content"]  # type: ignore[index]
        assert [n for n in range(6) if f"parent_{n}\n" in shown] == [number]


def test_trap_4_no_training_prompt_shows_a_test_output():
    test = tuple(Example(((n, n, n),), ((6, 4, 6),)) for n in (7, 8))
    task = Task("t", TASK.train, test)
    program = made(0, [e.output for e in task.train], [((4, 6, 4),), ((6, 4, 6),)], task=task)
    for shown in (task, task.without_answers()):
        row = sampling_example(Chat(Arc()), shown, program, np.random.default_rng(0))
        digits = "".join(character for character in json.dumps(row["prompt"]) if character.isdigit())
        assert "777" in digits
        assert "646" not in digits
        assert "464" not in digits


def test_trap_6_an_error_cannot_win_the_vote_nor_teach():
    failed = [made(n, [e.output for e in TASK.train], (FAILURE, FAILURE)) for n in range(50)]
    honest = acting(99, 1)
    for vote in VOTERS.values():
        assert [each.votes for each in vote([*failed, honest])] == [1]
    rows = examples_of(teaching(), TASK, [*failed, honest], seed=0)
    assert {row["program"] for row in rows} == {honest.key}


def test_trap_10_where_answers_are_hidden_a_program_wrong_on_the_test_teaches_like_one_that_is_right():
    right = [acting(n, 4, 2, code=f"right_{n}") for n in range(10)]
    wrong = [acting(10 + n, 4, 0, 3, code=f"wrong_{n}") for n in range(10)]
    hidden = TASK.without_answers()
    for name, curator in CURATORS.items():
        taken = [0, 0]
        for seed in range(60):
            for program in curator(hidden, [*right, *wrong], 6, np.random.default_rng(seed)):
                taken[program in wrong] += 1
        assert taken[1] / sum(taken) == pytest.approx(0.5, abs=0.1), name
    child = acting(20, 4, 0, parents=(acting(21, 1).key,))
    rows = examples_of(teaching(pseudo_labels=False), hidden, [*right, acting(21, 1), child], seed=0)
    assert {row["kind"] for row in rows} == {"sample"}
