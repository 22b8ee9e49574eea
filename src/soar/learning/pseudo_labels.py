"""Pseudo-labels: a vote taken for the answers that are hidden, so that learning goes on as if they were known.

Not in the paper, whose choice of programs without answers is Alg. 2. Knows nothing of what is then learnt.
"""

from collections.abc import Sequence
from dataclasses import replace

from soar.ensemble import sum_vote
from soar.scoring import solves
from soar.types import Program, Task


def pseudo_labelled(task: Task, programs: Sequence[Program]) -> Task:
    """Return a task with the test outputs that most of the programs right on all its training pairs give.

    The programs are all that may vote, repeats too: what many find in different ways is likelier the rule than what
    one has found. Without a program that is right on all training pairs the task stays as it is.
    """
    ballots = sum_vote([program for program in programs if solves(task, program)])
    if not ballots:
        return task
    test = tuple(replace(example, output=output) for example, output in zip(task.test, ballots[0].outputs, strict=True))
    return replace(task, test=test)
