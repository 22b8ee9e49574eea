from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soar.domains.arc.domain import Arc
from soar.domains.arc.filters import is_hard_coded
from soar.ensemble import FILTERS, VOTERS, Answering, filtered, mean_vote, sum_vote
from soar.types import Example, Failure, Origin, Program, Task, content_hash

GRID = ((1, 2, 3), (4, 5, 6), (7, 8, 0))
TASK = Task(
    "t",
    (Example(((1,), (2,)), GRID), Example(((3,), (4,)), GRID[::-1])),
    (Example(((5,),), ((1, 1),)), Example(((6,),), ((2, 2),))),
)


def program(name, test, accuracy=0.5, code="def transform(grid): ...", train=(GRID, GRID)):
    return Program(Origin("s", 0, "t", "sample", 0, 0, name), code, tuple(train), tuple(test), accuracy)


def grid(number):
    return ((number,),)


ANSWERS = st.sampled_from([(grid(1), grid(2)), (grid(1), grid(3)), (grid(4), grid(2)), (grid(5), Failure("E", "x"))])
PROGRAMS = st.lists(st.tuples(ANSWERS, st.sampled_from([0.0, 0.25, 0.5, 1.0])), max_size=20).map(
    lambda many: [program(name, test, accuracy) for name, (test, accuracy) in enumerate(many)]
)


@given(PROGRAMS)
def test_a_group_weighs_the_sum_of_its_accuracies_and_the_heaviest_come_first(programs):
    weights, votes = defaultdict(float), defaultdict(int)
    for each in programs:
        if each.ran:
            weights[each.test] += each.accuracy
            votes[each.test] += 1
    ballots = sum_vote(programs)
    assert {b.outputs: (b.weight, b.votes) for b in ballots} == {
        test: (pytest.approx(weights[test]), votes[test]) for test in votes
    }
    assert [(b.weight, b.votes) for b in ballots] == sorted(((b.weight, b.votes) for b in ballots), reverse=True)


@pytest.mark.parametrize("pairs", [3, 6, 7, 10])
def test_shares_that_sum_up_to_as_much_are_a_tie_which_the_larger_group_wins(pairs):
    programs = [program(n, (grid(1), grid(2)), 1 / pairs) for n in range(pairs)]
    ballots = sum_vote([program(99, (grid(3), grid(4)), 1.0), *programs])
    assert [ballot.votes for ballot in ballots] == [pairs, 1]


@given(PROGRAMS, st.randoms(use_true_random=False))
@pytest.mark.parametrize("name", VOTERS)
def test_a_vote_does_not_depend_on_the_order_of_the_programs(name, programs, random):
    # Quarters add up exactly, in any order.
    mixed = list(programs)
    random.shuffle(mixed)
    assert VOTERS[name](programs) == VOTERS[name](mixed)


@given(PROGRAMS)
@pytest.mark.parametrize("name", VOTERS)
def test_a_failure_is_never_a_ballot(name, programs):
    for each in VOTERS[name](programs):
        assert not any(isinstance(output, Failure) for output in each.outputs)
    assert sum(each.votes for each in VOTERS[name](programs)) == sum(p.ran for p in programs)


def test_a_ballot_is_named_by_the_hash_of_its_values():
    voter = program(0, (grid(1), grid(2)))
    assert sum_vote([voter])[0].key == voter.ballot == content_hash(grid(1), grid(2))


def test_many_middling_programs_outweigh_one_good_one_by_sum_but_not_by_mean():
    crowd = [program(n, (grid(1), grid(1)), 0.5) for n in range(3)]
    best = program(9, (grid(2), grid(2)), 1.0)
    assert sum_vote([*crowd, best])[0].outputs == (grid(1), grid(1))
    assert mean_vote([*crowd, best])[0].outputs == (grid(2), grid(2))
    assert mean_vote([*crowd, best])[0].weight == 1001


def test_without_any_accuracy_the_larger_group_wins():
    crowd = [program(n, (grid(1), grid(1)), 0.0) for n in range(2)]
    assert sum_vote([program(9, (grid(2), grid(2)), 0.0), *crowd])[0].outputs == (grid(1), grid(1))


def test_a_nondeterministic_program_neither_votes_nor_teaches():
    shaky = Program(Origin("s", 0, "t", "sample", 0, 0, 0), "", (GRID, GRID), (grid(1), grid(1)), 1.0, (), True)
    assert sum_vote([shaky]) == []
    assert filtered(TASK, [shaky], {})[0] == []


HARD = "def transform(grid):\n    return [[1, 2, 3],\n            [4, 5, 6], [7, 8, 0]]"


def test_a_program_that_spells_out_an_output_is_filtered_and_counted():
    copier, honest = program(0, (grid(1), grid(1)), code=HARD), program(1, (grid(1), grid(1)))
    failed = program(2, (Failure("E", "x"), grid(1)))
    kept, counts = filtered(TASK, [copier, honest, failed], {"hard-coded": is_hard_coded})
    assert kept == [honest]
    assert counts == {"failed": 1, "hard-coded": 1}
    assert filtered(TASK, [copier, honest, failed], {})[0] == [copier, honest]


def test_a_small_output_or_a_task_of_single_cells_is_no_sign_of_hard_coding():
    small = program(0, (grid(1), grid(1)), train=(((1, 2),), ((1, 2),)), code="x = [[1, 2]]")
    assert not is_hard_coded(TASK, small)
    single = Task("u", (Example(GRID, ((1,),)), *TASK.train[1:]), TASK.test)
    assert not is_hard_coded(single, program(0, (grid(1), grid(1)), code=HARD))


def test_the_other_filters_find_what_they_are_named_for():
    long = program(0, (grid(1), grid(1)), code="x = '" + "a" * 200 + "'")
    flat = program(1, (((0, 0), (0, 0)), grid(1)), train=(((3, 3),), ((0,) * 20,)))
    same = program(2, TASK.inputs[2:], train=TASK.inputs[:2])
    plain = program(3, (((1, 2),), ((1, 2),)))
    filters = {**FILTERS, **Arc().filters}
    found = {name: [p.origin.index for p in (long, flat, same, plain) if filters[name](TASK, p)] for name in filters}
    assert found == {"hard-coded": [], "long-line": [0], "near-constant": [1], "identity": [2]}


def test_a_text_that_is_spelt_out_is_found_whatever_its_quotes():
    task = Task("t", (Example("a", "hello world"), Example("b", "other words")), (Example("c", None),))
    copier = program(0, ("hello world",), train=("hello world", "no"), code="return {'a': 'hello world'}[x]")
    honest = program(1, ("hello world",), train=("hello world", "no"), code="return x + 'hello'")
    assert [FILTERS["hard-coded"](task, each) for each in (copier, honest)] == [True, False]


@pytest.mark.parametrize(("answer", "found"), [("12345678", False), ("123456789", True)])
def test_a_text_of_nine_letters_is_the_shortest_that_counts_as_spelt_out(answer, found):
    task = Task("t", (Example("a", "ab"),), (Example("c", None),))
    assert FILTERS["hard-coded"](task, program(0, (answer,), train=("x",), code=f"return '{answer}'")) == found


@pytest.mark.parametrize(("wanted", "found"), [("a", False), ("ab", True)])
def test_only_a_task_that_wants_a_single_letter_somewhere_is_exempt(wanted, found):
    task = Task("t", (Example("a", wanted), Example("b", "long enough")), (Example("c", None),))
    spelt = program(0, ("hello world",), train=("x", "y"), code="return 'hello world'")
    assert FILTERS["hard-coded"](task, spelt) == found


def test_a_line_or_a_share_at_its_bound_is_within_it():
    def filters(name, *given, **more):
        return FILTERS[name](TASK, program(0, *given, **more))

    outputs = (grid(1), grid(1))
    assert [filters("long-line", outputs, code="a" * length) for length in (200, 201)] == [False, True]
    ten = Task("t", tuple(Example(n, -1) for n in range(9)), (Example(9, None),))
    shares = [program(0, (-1,), train=[n if n < same else -1 for n in range(9)]) for same in (3, 4)]
    assert [FILTERS["identity"](ten, each) for each in shares] == [False, True]


def test_of_ballots_that_weigh_alike_the_larger_comes_first():
    # 1 vote of weight 1 + 1000 x 0.501 as 2 votes of weight 2 + 1000 x 0.5.
    few, many = [program(0, (grid(1), grid(1)), 0.501)], [program(n, (grid(9), grid(9)), 0.5) for n in (1, 2)]
    ballots = mean_vote([*few, *many])
    assert [(ballot.votes, ballot.weight) for ballot in ballots] == [(2, 502.0), (1, 502.0)]


def test_ballots_are_those_of_the_vote_and_a_filter_that_rejects_nothing_is_counted():
    answering = Answering(sum_vote, {"none": lambda task, program: False})
    found = [program(0, (grid(1), grid(2)))]
    ballots, fallen = answering.vote(TASK, found)
    assert answering.ballots(TASK, found) == ballots == sum_vote(found)
    assert fallen == {"failed": 0, "none": 0}


def test_no_filter_and_no_vote_is_shown_a_test_output():
    seen = []

    def spy(task, program):
        seen.append((task, program))
        return False

    Answering(sum_vote, {"spy": spy}).ballots(TASK, [program(0, (grid(1), grid(1)))])
    assert [task for task, _ in seen] == [TASK.without_answers()]
