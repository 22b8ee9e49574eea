"""What may be taught as a solution where answers are hidden, and how much of it is one."""

from experiments.pseudo_labels import Labels, labels
from soar.types import Example, Origin, Program, Task

TASK = Task("t", (Example(0, 0), Example(1, 1)), (Example(2, 4),))


def program(place, *outputs):
    origin = Origin("search", 0, "t", "sample", 0, 0, place)
    right = sum(output == wanted for output, wanted in zip(outputs, (0, 1), strict=False))
    return Program(origin, f"program {place}", tuple(outputs[:2]), tuple(outputs[2:]), right / 2)


def test_a_behaviour_counts_once_and_the_vote_once_for_its_task():
    found = [program(0, 0, 1, 4), program(1, 0, 1, 4), program(2, 0, 1, 5), program(3, 0, 0, 4)]
    assert labels(TASK, found) == Labels(tasks=1, behaviours=2, right_behaviours=1, right_labels=1)


def test_a_vote_that_is_wrong_is_no_right_label():
    found = [program(0, 0, 1, 4), program(1, 0, 1, 5), program(2, 0, 1, 5)]
    assert labels(TASK, found) == Labels(tasks=1, behaviours=2, right_behaviours=1, right_labels=0)


def test_a_task_without_a_program_right_on_its_training_pairs_does_not_count():
    assert labels(TASK, [program(0, 0, 0, 4)]) == Labels()
    assert Labels(1, 2, 1, 1) + Labels(1, 1, 1, 0) == Labels(2, 3, 2, 1)
