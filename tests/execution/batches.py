"""Batches of harmless programs with hostile ones among them, drawn at random: what the harmless ones are given.

python tests/execution/batches.py --batches 1000 [--seed 1]     # prints how many verdicts were wrong
"""

import argparse
import asyncio
import random
import sys
from collections.abc import Iterator
from typing import NamedTuple

from poison import KINDS, POISON

from soar.domains.arc.grids import Grid
from soar.execution import open_sandbox
from soar.types import Value

HARMLESS = 40
INPUT: Grid = ((1, 2, 0), (3, 4, 5))
GRID = [list(row) for row in INPUT]
NP = "import numpy as np\n"

TEMPLATES = {
    "fliplr": NP + "def transform(g): return (np.fliplr(np.array(g)) + N) % 10",
    "flipud": NP + "def transform(g): return (np.flipud(g) + N) % 10",
    "sorted": "def transform(g): return [sorted(r, reverse=N % 2) for r in sorted(g)] + [[len(g) + N % 5]*3]",
    "sub": "import re\ndef transform(g): return [[int(re.sub('1', '2', '1')) + N % 5, len(re.split('a', 'baab'))]]",
    "flags": "import re\ndef transform(g): return [[int(re.search('a', 'A') is None), N % 10]]",
    "fraction": "from fractions import Fraction\ndef transform(g): return [[int(Fraction(1, 2) * 4 + N % 7)]]",
    "counter": "from collections import Counter\n"
    "def transform(g): return [[Counter([1, 1, N % 9]).most_common(1)[0][0], sum(Counter('aab').values())]]",
    "label": NP + "from scipy import ndimage\ndef transform(g): return ndimage.label(np.eye(3 + N % 4))[0]",
    "product": NP + "def transform(g): return np.eye(5, dtype=int)[np.array(g).ravel() % 5] @ np.arange(5)[:, None] "
    "* (N % 2)",
    "limits": NP + "def transform(g): return [[int(np.finfo(float).eps < 1), np.iinfo(np.int8).bits, N % 10]]",
    "rows": NP + "def transform(g): return np.r_[np.array(g), np.array(g)] * (N % 2)",
    "deep": "def f(n): return n and f(n - 1)\ndef transform(g): return [[f(700), N % 10]]",
    "copy": "import copy\ndef transform(g):\n    h = copy.deepcopy(g)\n    h[0][0] = N % 10\n    return g + h",
    "class": "class P:\n    def __init__(self, x): self.x = x\n    def __lt__(self, o): return self.x < o.x\n"
    "def transform(g): return [[p.x % 10 for p in sorted(P(x * N) for r in g for x in r)]]",
    "fields": "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\n    y: int = 1\n"
    "def transform(g): return [[P(N % 9).x, P(1).y]]",
    "heap": "import heapq\ndef transform(g): return [heapq.nsmallest(3, g[1] + [N % 10])]",
    "number": "import numbers\ndef transform(g): return [[int(isinstance('a', numbers.Number)), N % 10]]",
    "generators": "def transform(g):\n    def walk():\n        for r in g: yield from r\n"
    "    return [[(x + N) % 10 for x in walk()]]",
    "errors": NP + "def transform(g): return [[int(np.log(np.array(1.0)) < 1), N % 10]]",
    "texts": "import string\ndef transform(g): return [[int(string.digits[7]), len(f'{N:>8}'), N % 10]]",
}
"""Programs for a number N each, which use what hostile ones would change."""


class Report(NamedTuple):
    """What came of many batches: harmless verdicts, those that were wrong (in words), and hostile programs run."""

    verdicts: int
    wrong: list[str]
    hostile: int


def bare(code: str) -> Value:
    """Return what a harmless program gives on the input, run here."""
    names: dict = {}
    exec(code, names)
    return tuple(tuple(int(cell) for cell in row) for row in names["transform"]([row[:] for row in GRID]))


def draw(chance: random.Random, kinds: list[str], number: int) -> list[tuple[str, str, Value]]:
    """Return the programs of one batch in random order: name, code, and the wanted output (None: hostile)."""
    batch: list[tuple[str, str, Value]] = []
    for place in range(HARMLESS):
        name = chance.choice(list(TEMPLATES))
        code = f"N = {number * HARMLESS + place}\n" + TEMPLATES[name]
        batch.append((name, code, bare(code)))
    evil = chance.sample(kinds, chance.choice([1, 2]))
    batch += [(name, f"{KINDS[name]}\n# {number}", None) for name in evil]
    chance.shuffle(batch)
    return batch


def kinds_in_turn() -> Iterator[list[str]]:
    """Yield which kinds a batch draws from: those that go for their neighbours every other time."""
    while True:
        yield list(POISON)
        yield list(KINDS)


async def work(batches: int, seed: int) -> Report:
    """Run batches, each in one worker as far as the sandbox lets it, and compare."""
    chance = random.Random(seed)
    wrong: list[str] = []
    hostile = 0
    async with open_sandbox(workers=1, codec="arc", cpu_seconds=0.3) as sandbox:
        for number, kinds in zip(range(batches), kinds_in_turn(), strict=False):
            batch = draw(chance, kinds, number)
            found = await asyncio.gather(*(sandbox.run(code, (INPUT,)) for _, code, _ in batch))
            evil = [name for name, _, wanted in batch if wanted is None]
            hostile += len(evil)
            for (name, _, wanted), execution in zip(batch, found, strict=True):
                if wanted is not None and execution.outputs != (wanted,):
                    wrong.append(f"batch {number}, beside {evil}: {name} gave {execution.outputs[0]}, wanted {wanted}")
    return Report(batches * HARMLESS, wrong, hostile)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--batches", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    report = asyncio.run(work(arguments.batches, arguments.seed))
    sys.stdout.write("".join(f"{line}\n" for line in report.wrong))
    sys.stdout.write(
        f"{arguments.batches} batches, {report.hostile} hostile programs of {len(KINDS)} kinds,"
        f" {report.verdicts} harmless verdicts, {len(report.wrong)} wrong\n"
    )


if __name__ == "__main__":
    main()
