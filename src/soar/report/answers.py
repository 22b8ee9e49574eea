"""Arranges what is shown side by side: a test input, its answers, the expected output. Draws nothing."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from soar.ensemble import Ballot
from soar.types import Output, Task

Title = TypeVar("Title")


def plain_title(place: int) -> str:
    """Return the title of the answer at a place, counted from 0."""
    return f"answer {place + 1}"


def answer_groups(
    task: Task, ballots: Sequence[Ballot], title: Callable[[int], Title], *, unknown: bool = True
) -> list[list[tuple[str | Title, Output | None]]]:
    """Return a group of titled values per test input, each answer under its `title`. An expected output that is not
    known is None, or left out unless `unknown`."""
    return [
        [
            (f"test {place + 1}", example.input),
            *((title(n), ballot.outputs[place]) for n, ballot in enumerate(ballots)),
            *([("expected", example.output)] if unknown or example.output is not None else []),
        ]
        for place, example in enumerate(task.test)
    ]
