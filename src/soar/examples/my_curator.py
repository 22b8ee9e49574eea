"""A curator of your own: learn from the programs that are right on the most pairs of a task, one for each behaviour.

soar run demo runs/mine --set learning.curator=soar.examples.my_curator:best_of_each
"""

from collections.abc import Sequence

import numpy as np

from soar.scoring import right_pairs
from soar.types import Program, Task


def best_of_each(task: Task, programs: Sequence[Program], n: int, rng: np.random.Generator) -> list[Program]:
    del rng
    best = max((right_pairs(task, program) for program in programs), default=0)
    found = {program.behaviour: program for program in programs if right_pairs(task, program) == best}
    return list(found.values())[:n]
