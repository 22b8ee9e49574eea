"""Hindsight relabelling: what a program did is the task it solves (§3.3). Knows neither prompts nor models."""

from dataclasses import replace

from soar.types import Program, Task


def relabel(task: Task, program: Program) -> Task:
    """Return the task that a program solves by construction: the same inputs, the program's outputs (§3.3).

    The program must have run on every input; a `ValueError` says so otherwise. Relabelling a true solution of the
    training pairs changes no training pair.
    """
    if not program.ran:
        raise ValueError(f"{program.key} failed on an input: there is no task it solves")
    train = tuple(replace(e, output=y) for e, y in zip(task.train, program.train, strict=True))
    test = tuple(replace(e, output=y) for e, y in zip(task.test, program.test, strict=True))
    return replace(task, train=train, test=test)
