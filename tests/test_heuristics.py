import pytest
from hypothesis import given
from hypothesis import strategies as st

from soar.domains.arc.domain import Arc
from soar.domains.complete import complete
from soar.heuristics import closeness, heuristics
from soar.scoring import accuracy
from soar.types import Example, Failure, Origin, Program, Task


def grid(*rows):
    return tuple(tuple(map(int, row)) for row in rows)


WANTED = grid("1111", "0000")
TASK = Task(
    "t", (Example(grid("0000", "0000"), WANTED), Example(grid("12"), grid("2", "1"))), (Example(grid("0"), None),)
)

HEURISTICS = heuristics(Arc())


def closer(task, program):
    return closeness(task, program, similarity=Arc().similarity)


cells = st.integers(0, 9)
grids = st.tuples(st.integers(1, 4), st.integers(1, 4)).flatmap(
    lambda shape: st.tuples(*[st.tuples(*[cells] * shape[1])] * shape[0])
)


def program(*train):
    return Program(Origin("train", 0, "t", "sample", 0, 0, 0), "code", train, (grid("0"),), accuracy(TASK, train))


def test_a_program_that_does_nothing_is_not_promising_and_a_right_one_is_wholly():
    assert closer(TASK, program(*(e.input for e in TASK.train))) == 0.0
    assert closer(TASK, program(*(e.output for e in TASK.train))) == 1.0


def test_programs_right_on_no_pair_are_told_apart_by_how_far_they_go():
    half, three_quarters = program(grid("1100", "0000"), grid("12")), program(grid("1110", "0000"), grid("12"))
    assert half.accuracy == three_quarters.accuracy == 0.0
    assert closer(TASK, half) == pytest.approx(0.25)
    assert closer(TASK, three_quarters) == pytest.approx(0.375)


def test_what_fails_or_leads_away_counts_as_nothing():
    assert closer(TASK, program(grid("0000", "5555"), Failure("ValueError", "x"))) == 0.0


@pytest.mark.parametrize("name", HEURISTICS)
@given(outputs=st.tuples(grids, grids))
def test_a_heuristic_lies_between_nothing_and_one_and_is_one_for_what_is_right_alone(name, outputs):
    found = HEURISTICS[name](TASK, program(*outputs))
    assert 0.0 <= found <= 1.0
    assert (found == 1.0) == (program(*outputs).accuracy == 1.0)


@given(grids, grids)
def test_similarity_is_symmetric_and_one_for_equal_grids_alone(a, b):
    assert Arc().similarity(a, b) == Arc().similarity(b, a)
    assert (Arc().similarity(a, b) == 1.0) == (a == b)


def test_values_of_a_domain_without_a_similarity_of_its_own_are_alike_item_by_item():
    class Plain:
        def load(self, source):
            return []

        def parse(self, value):
            return value

    assert complete(Plain()).similarity((1, (2, 3), "a"), (1, (2, 4), "b")) == pytest.approx(0.5)
    assert complete(Plain()).similarity((1, 2), (1, 2, 3)) == 0.0
    assert complete(Plain()).similarity(7, 7) == 1.0


def test_a_domain_may_bring_heuristics_of_its_own():
    class Shouting(Arc):
        heuristics = {"long": lambda task, program: min(1.0, len(program.code) / 100)}  # noqa: RUF012

    assert set(heuristics(Shouting())) == {"accuracy", "closeness", "long"}
