"""Counts pairs of real tasks in a corpus, up to colours and geometry. There must be none: the generator omits them.

python -m soar.pretrain.arc.audit CORPUS
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from soar.domains.arc.domain import Arc
from soar.pretrain.arc.corpus import Exercise, read_exercises
from soar.pretrain.arc.leaks import RealPairs, real_pairs


def count_real(exercises: Iterable[Exercise], real: RealPairs) -> tuple[int, int]:
    """Return how many pairs the exercises have, and how many of them are real."""
    pairs = found = 0
    for exercise in exercises:
        for grid, output in zip(exercise.inputs, exercise.outputs, strict=True):
            pairs += 1
            found += real.has(grid, output)
    return pairs, found


def main() -> None:
    """Read the command line, count and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    arc = Arc()
    real = real_pairs([*arc.load("arc1-training"), *arc.load("arc1-evaluation")])
    pairs, found = count_real(read_exercises(parser.parse_args().corpus), real)
    sys.stdout.write(f"{found} of {pairs} pairs occur in a task of ARC-AGI-1\n")


if __name__ == "__main__":
    main()
