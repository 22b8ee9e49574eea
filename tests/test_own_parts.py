"""A user's own function that returns something else is named, with what was expected; the right ones pass unchanged."""

import pickle

import numpy as np
import pytest

from soar.ensemble import Ballot
from soar.errors import ConfigError, DataError
from soar.own_parts import held, wrong_choice, wrong_pairs, wrong_vote
from soar.types import Origin, Program, Task

TASK = Task("t", (), ())
PROGRAMS = [
    Program(origin=Origin("s", 0, "t", "sample", 0, 0, n), code=f"{n}", train=(), test=(), accuracy=1.0)
    for n in range(4)
]
PAIRS = [(PROGRAMS[0], PROGRAMS[1]), (PROGRAMS[1], PROGRAMS[2])]


def curated(choose, n=3):
    return held(choose, "learning.curator 'mine:best'", wrong_choice)(TASK, PROGRAMS, n, np.random.default_rng(0))


def paired(choose, n=2):
    return held(choose, "learning.pairing 'mine:pairs'", wrong_pairs)(TASK, PAIRS, n, np.random.default_rng(0))


def voted(vote):
    return held(vote, "answer.voter 'mine:vote'", wrong_vote)(PROGRAMS)


def test_what_is_right_passes_unchanged():
    assert curated(lambda task, programs, n, rng: programs[:n]) == PROGRAMS[:3]
    assert curated(lambda task, programs, n, rng: ()) == ()
    assert paired(lambda task, pairs, n, rng: pairs) == PAIRS
    ballot = Ballot(((1,),), 1.0, 1, "key")
    assert voted(lambda programs: [ballot]) == [ballot]


def last(task: Task, programs: list[Program], n: int, rng: np.random.Generator) -> list[Program]:
    return [programs[-1]] * (2 if rng.integers(2) else 1)


def test_another_process_can_be_given_one_and_it_is_held_to_the_same_there():
    given = pickle.loads(pickle.dumps(held(last, "learning.curator 'mine:last'", wrong_choice)))
    assert given.__wrapped__ is last
    once, twice = (next(s for s in range(99) if np.random.default_rng(s).integers(2) == side) for side in (0, 1))
    assert given(TASK, PROGRAMS, 3, np.random.default_rng(once)) == [PROGRAMS[3]]
    with pytest.raises(ConfigError, match=r"^learning\.curator 'mine:last' returned 2 programs, 1 of them different"):
        given(TASK, PROGRAMS, 3, np.random.default_rng(twice))


@pytest.mark.parametrize(
    ("choose", "said"),
    [
        (lambda task, programs, n, rng: None, "returned None; expected a list of at most 3 of the programs"),
        (lambda task, programs, n, rng: ["code"], "returned a list that holds a str that it was not given; expected"),
        (lambda task, programs, n, rng: [programs[0]] * 2, "returned 2 programs, 1 of them different; expected"),
        (lambda task, programs, n, rng: programs, "returned 4 programs, 4 of them different; expected a list of at"),
    ],
)
def test_a_curator_that_returns_something_else_is_named(choose, said):
    with pytest.raises(ConfigError, match=r"^learning\.curator 'mine:best' ") as refused:
        curated(choose)
    assert said in str(refused.value)
    assert str(refused.value).endswith("none twice")


def test_a_program_that_a_curator_made_itself_is_refused():
    other = Program(origin=PROGRAMS[0].origin, code="other", train=(), test=(), accuracy=1.0)
    with pytest.raises(ConfigError, match="holds a program that it was not given"):
        curated(lambda task, programs, n, rng: [other])


@pytest.mark.parametrize(
    ("choose", "said"),
    [
        (lambda task, pairs, n, rng: None, "returned None; expected a list of at most 1 of the pairs"),
        (lambda task, pairs, n, rng: pairs, "returned 2 pairs; expected"),
        (lambda task, pairs, n, rng: [pairs[0][::-1]], "returned a list that holds a tuple that it was not given"),
        (lambda task, pairs, n, rng: [pairs[0][0]], "returned a list that holds a program that it was not given"),
    ],
)
def test_a_pairing_that_returns_something_else_is_named(choose, said):
    with pytest.raises(ConfigError, match=r"^learning\.pairing 'mine:pairs' ") as refused:
        paired(choose, n=1)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("vote", "said"),
    [
        (lambda programs: ((1,),), "returned a tuple; expected a list of soar.ensemble.Ballot, the strongest first"),
        (lambda programs: [(1,)], "returned a list that holds a tuple; expected a list of soar.ensemble.Ballot"),
    ],
)
def test_a_voter_that_returns_something_else_is_named(vote, said):
    with pytest.raises(ConfigError, match=r"^answer\.voter 'mine:vote' ") as refused:
        voted(vote)
    assert said in str(refused.value)


def test_a_function_that_fails_is_named_with_its_file_and_line():
    with pytest.raises(ConfigError, match=r"failed with ZeroDivisionError: .*\(.*test_own_parts.py, line \d+\)") as it:
        voted(lambda programs: 1 / 0)
    assert isinstance(it.value.__cause__, ZeroDivisionError)


def test_an_error_of_the_package_passes_unchanged():
    def refuses(programs):
        raise DataError("no such table")

    with pytest.raises(DataError, match=r"^no such table$"):
        voted(refuses)
