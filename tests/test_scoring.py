"""What is right: of programs, and of answers."""

import pytest

from soar.ensemble import sum_vote
from soar.scoring import accuracy, matches, oracle, right_pairs, score, solves, verdicts
from soar.types import Example, Failure, Origin, Program, Task, Written, content_hash

GRID = ((1, 2, 3), (4, 5, 6), (7, 8, 0))
TASK = Task(
    "t",
    (Example(((1,), (2,)), GRID), Example(((3,), (4,)), GRID[::-1])),
    (Example(((5,),), ((1, 1),)), Example(((6,),), ((2, 2),))),
)
RIGHT = (GRID, GRID[::-1]), (((1, 1),), ((2, 2),))


def program(name, test, accuracy=0.5, train=(GRID, GRID)):
    return Program(Origin("s", 0, "t", "sample", 0, 0, name), "code", tuple(train), tuple(test), accuracy)


def grid(number):
    return ((number,),)


def answers(programs):
    return [ballot.outputs for ballot in sum_vote(programs)]


@pytest.mark.parametrize(("output", "wanted"), [(1, True), (1.0, 1), (((0,),), ((False,),)), ((1, 2), (1, 2.0))])
def test_values_that_python_calls_equal_but_json_does_not_are_different(output, wanted):
    assert not matches(output, wanted)
    assert not matches(wanted, output)
    assert matches(output, output)


def test_nothing_matches_a_hidden_output_and_a_failure_matches_nothing():
    assert not matches(None, None)
    assert verdicts(TASK.train, (GRID, Failure("E", "x"))) == (True, False)
    assert verdicts(TASK.without_answers().test, RIGHT[1]) == (False, False)
    assert accuracy(TASK, (GRID, Failure("E", "x"))) == 0.5


def test_a_program_solves_a_task_where_it_is_right_on_every_pair_that_the_task_holds():
    right, lucky = program(0, RIGHT[1], 1.0, RIGHT[0]), program(1, (grid(0), ((2, 2),)), 1.0, RIGHT[0])
    assert solves(TASK, right)
    assert not solves(TASK, lucky)
    assert solves(TASK.without_answers(), lucky)
    assert [right_pairs(TASK, each) for each in (right, lucky)] == [4, 3]
    wrong = program(2, RIGHT[1], 0.5, (GRID, GRID))
    assert not solves(TASK, wrong)
    assert not solves(TASK.without_answers(), wrong)


def test_a_program_that_failed_on_a_test_input_solves_nothing():
    failed = program(0, (Failure("E", "x"), ((2, 2),)), 1.0, RIGHT[0])
    assert not solves(TASK.without_answers(), failed)


@pytest.mark.parametrize("hidden", [False, True])
def test_programs_are_judged_by_the_names_of_their_outputs_as_by_the_outputs(hidden):
    task = TASK.without_answers() if hidden else TASK
    almost = ((1, 2, 3), (4, 5, 6), (7, 8, False))  # equal to Python
    for train in ((GRID, GRID[::-1]), (GRID, GRID), (almost, GRID[::-1])):
        for test in (RIGHT[1], (((1, True),), ((2, 2),)), (((1, 1),), ((3, 3),))):
            plain = program(0, test, train=train)
            names = tuple(map(content_hash, plain.outputs))
            others = {"ballot": plain.ballot, "nondeterministic": False}
            named = Program.from_written(Written(names, (), 2, _never, _never), **others)
            assert right_pairs(task, named) == right_pairs(task, plain)
            assert solves(task, named) == solves(task, plain)
            assert oracle(task, [named]) == oracle(task, [plain])


def _never(*_):
    raise AssertionError("somebody looked")


def test_only_the_first_two_ballots_count():
    right = program(0, (((1, 1),), ((2, 2),)), 0.1)
    wrong = [program(n, (grid(n), grid(n)), 0.5) for n in (1, 2)]
    assert not score(TASK, answers([right, *wrong])).solved
    assert score(TASK, answers([right, wrong[0]])).solved
    assert oracle(TASK, [right, *wrong])
    assert not oracle(TASK, wrong)


def test_solved_needs_one_answer_right_on_all_outputs_but_the_mean_does_not():
    halves = [program(0, (((1, 1),), grid(0))), program(1, (grid(0), ((2, 2),)))]
    both = score(TASK, answers(halves))
    assert both.matched == (True, True)
    assert both.mean == 1.0
    assert not both.solved
    assert score(TASK, answers(halves[:1])).mean == 0.5


def test_no_answer_scores_nothing():
    assert score(TASK, []).matched == (False, False)
    assert not score(TASK, []).solved
