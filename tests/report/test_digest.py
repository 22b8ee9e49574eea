"""What is shown of a task's programs without reading them again."""

import json
from dataclasses import asdict, replace

import pytest

from soar.errors import StoreError
from soar.report.digest import Digest, FailureCount, First, digest, from_json
from soar.session import view_run
from soar.types import Example, Failure, Origin, Phase, Program, Task

TASK = Task("t", (Example(1, 10), Example(2, 20)), (Example(3, 30),))
RIGHT, DECEIVED, NEAR, WRONG = (10, 20, 30), (10, 20, 31), (10, 21, 30), (11, 21, 30)


def program(
    outputs, *, phase: Phase = "sample", island=0, step=0, index=0, code="code", parents=(), nondeterministic=False
):
    """A program of the task with these outputs."""
    train, test = outputs[:2], outputs[2:]
    accuracy = sum(output == pair.output for output, pair in zip(train, TASK.train, strict=True)) / 2
    place = Origin("s", 0, "t", phase, island, step, index)
    return Program(place, code, train, test, accuracy, parents, nondeterministic)


def samples(*outputs):
    return [program(each, index=index) for index, each in enumerate(outputs)]


def test_programs_are_counted_by_phase_and_by_what_they_are_right_on():
    refined = [program(RIGHT, phase="refine"), program(DECEIVED, phase="refine", index=1)]
    found = digest(TASK, [*samples(WRONG, NEAR, DECEIVED), *refined])
    assert found.sizes == {"sample": 3, "refine": 2}
    assert found.fitting == 3
    assert found.partly


@pytest.mark.parametrize(
    ("programs", "partly", "telling"),
    [
        ((), False, None),
        ((WRONG,), False, None),
        ((WRONG, NEAR), True, ("near", 1)),
        ((NEAR, DECEIVED, WRONG), True, ("deceived", 1)),
        ((NEAR, DECEIVED, RIGHT), True, ("right", 2)),
    ],
)
def test_the_kind_of_program_that_tells_most_is_the_best_there_is(programs, partly, telling):
    found = digest(TASK, samples(*programs))
    assert found.partly is partly
    assert found.telling == (telling and (telling[0], ("sample", 0, 0, telling[1])))


def test_of_one_kind_a_refinement_tells_most_then_the_shortest():
    long, short = program(RIGHT, code="longer code"), program(RIGHT, code="code", index=1)
    refined = program(RIGHT, code="the longest code", phase="refine", island=2, step=3, index=4, parents=(long.key,))
    assert digest(TASK, [long, short]).telling == ("right", ("sample", 0, 0, 1))
    assert digest(TASK, [long, short, refined]).telling == ("right", ("refine", 2, 3, 4))


def test_the_first_program_that_solves_a_task_is_counted_in_the_order_of_steps():
    # In search order, as an archive returns them, an island's steps follow each other.
    later = program(DECEIVED, phase="refine", island=0, step=1)
    first, second = (program(WRONG, phase="refine", island=n, step=0) for n in range(2))
    found = digest(TASK, [*samples(WRONG, WRONG), first, later, second])
    assert found.first_fit == First("refine", 3)
    assert found.first_solved is None
    assert digest(TASK, samples(WRONG, DECEIVED, RIGHT)).first_fit == First("sample", 2)
    assert digest(TASK, samples(WRONG, DECEIVED, RIGHT)).first_solved == First("sample", 3)


def test_samples_come_before_refinements():
    refined = program(RIGHT, phase="refine", island=0, step=0, parents=("x",))
    assert digest(TASK, [*samples(WRONG, RIGHT), refined]).first_solved == First("sample", 2)


def test_without_answers_nothing_is_said_of_test_outputs():
    found = digest(TASK.without_answers(), samples(WRONG, DECEIVED))
    assert (found.first_fit, found.first_solved) == (First("sample", 2), None)
    assert found.telling == ("right", ("sample", 0, 0, 1)), "right on all pairs that are known"


def test_failures_are_counted_by_type_with_the_place_of_the_first():
    broken, other = Failure("IndexError", "first"), Failure("IndexError", "second")
    programs = [
        program(RIGHT),
        program((10, broken, Failure("KeyError", "later")), index=1),
        program((other, 20, 30), index=2),
        program(RIGHT, index=3, nondeterministic=True),
    ]
    assert digest(TASK, programs).failures == {
        "IndexError": FailureCount(2, ("sample", 0, 0, 1)),
        "nondeterministic": FailureCount(1, ("sample", 0, 0, 3)),
    }
    assert digest(TASK, programs).fitting == 1, "a program that varies solves nothing"


def test_a_digest_goes_through_json_and_back():
    failing = program((Failure("KeyError", "x"), 20, 30), phase="refine", island=1, step=2, index=3)
    for programs in ([], samples(DECEIVED), [*samples(WRONG, RIGHT), failing]):
        found = digest(TASK, programs)
        assert from_json(json.loads(json.dumps(asdict(found)))) == found
    assert isinstance(found, Digest)


def test_a_single_program_is_the_one_that_the_search_has(finished):
    with view_run(finished) as view:
        step = view.plan[0]
        programs = [
            program for task in view.tasks[step.stage.name] for program in view.reader.programs(task.id, *step.key)
        ]
        assert len(programs) == 50
        for known in programs:
            found = view.reader.program(known.origin)
            assert (found, found.outputs) == (known, known.outputs)
        with pytest.raises(StoreError, match=r"the program train/0/.*/99 is missing"):
            view.reader.program(replace(programs[0].origin, index=99))
