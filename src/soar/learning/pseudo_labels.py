"""Pseudo-labels: a vote stands in for hidden answers, so that learning proceeds as if they were known.

Not in the paper, which chooses programs without answers by Alg. 2. Does not know what is then taught.
"""

from collections.abc import Sequence
from dataclasses import replace

from soar.ensemble import sum_vote
from soar.scoring import solves
from soar.types import Program, Task


def pseudo_labelled(task: Task, programs: Sequence[Program]) -> Task:
    """Return a task with the test outputs that most of the programs right on all its training pairs give.

    `programs` are all that may vote, repeats included: outputs that many programs reach in different ways are likelier
    right than those of one. If no program is right on all training pairs, the task is returned unchanged.
    """
    ballots = sum_vote([program for program in programs if solves(task, program)])
    if not ballots:
        return task
    test = tuple(replace(example, output=output) for example, output in zip(task.test, ballots[0].outputs, strict=True))
    return replace(task, test=test)
