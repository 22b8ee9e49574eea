"""Answers in the ARC Prize submission format, for a whole task set."""

from collections.abc import Mapping, Sequence

from soar.ensemble import Ballot
from soar.types import Task, Value

ATTEMPTS = ("attempt_1", "attempt_2")


def submission(
    tasks: Sequence[Task], answers: Mapping[str, Sequence[Ballot]], *, no_answer: Value = ((0, 0), (0, 0))
) -> dict[str, list[dict[str, Value]]]:
    """Return ``{id: [{"attempt_1": value, "attempt_2": value}, one per test input]}`` with every task in it.

    The two attempts are the two heaviest ballots; where there is only one it stands twice, where there is none
    `no_answer` stands in, since the format requires a value.
    """
    return {
        task.id: [_attempts(answers.get(task.id, ()), place, no_answer) for place in range(len(task.test))]
        for task in tasks
    }


def _attempts(ballots: Sequence[Ballot], place: int, no_answer: Value) -> dict[str, Value]:
    values = [ballot.outputs[place] for ballot in ballots[:2]] or [no_answer]
    return {name: values[min(i, len(values) - 1)] for i, name in enumerate(ATTEMPTS)}
