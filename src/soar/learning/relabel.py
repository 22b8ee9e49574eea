"""Hindsight relabelling: a program solves the task that its own outputs define (§3.3). Knows no prompts or models."""

from dataclasses import replace

from soar.types import Program, Task


def relabel(task: Task, program: Program) -> Task:
    """Return the task that a program solves by construction: the same inputs, the program's outputs (§3.3).

    Raises `ValueError` unless the program ran on every input. A program that solves the training pairs leaves them
    unchanged.
    """
    if not program.ran:
        raise ValueError(f"{program.key} failed on an input, so it solves no task")
    train = tuple(replace(e, output=y) for e, y in zip(task.train, program.train, strict=True))
    test = tuple(replace(e, output=y) for e, y in zip(task.test, program.test, strict=True))
    return replace(task, train=train, test=test)
