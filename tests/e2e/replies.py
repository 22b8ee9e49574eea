"""What the scripted model of the end-to-end tests answers, and a trainer slow enough to be killed in."""

import random
import time

from soar.learning.trainers.scripted import Scripted

PROGRAMS = (
    "def transform(grid):\n    return [row[::-1] for row in grid]",
    "def transform(grid):\n    return grid[::-1]",
    "def transform(grid):\n    return [list(column) for column in zip(*grid)]",
    "def transform(grid):\n    return [[cell if cell != 1 else 2 for cell in row] for row in grid]",
    "def transform(grid):\n    return [row + row for row in grid]",
    "def transform(grid):\n    return grid",
    "def transform(grid):\n    return grid[0]",
    "def transform(grid):\n    return [[cell + 0.5 for cell in row] for row in grid]",
    "def transform(grid):\n    return grid[7][7]",
    "def transform(grid)\n    return grid",
)


def reply(prompt: str, seed: int, weights: str = "") -> str:
    """Return a program in a code block, most times; a finetuned model (`weights` not empty) leaves out broken ones."""
    time.sleep(0.001)
    chance = random.Random(f"{prompt}|{seed}|{weights}")
    if chance.random() < 0.1:
        return chance.choice(["I cannot.", "", "```python\ndef transform(grid):\n    return grid"])
    number = chance.randrange(6 if weights else len(PROGRAMS))
    return f"Let me see.\n```python\n{PROGRAMS[number]}\n# variant {chance.randrange(20)}\n```\n"


class SlowTrainer(Scripted):
    """Trains like the scripted trainer, but slowly."""

    def finetune(self, rows, base, out, seed, on_log):
        """Take half a second."""
        for step in range(10):
            time.sleep(0.05)
            on_log({"step": step})
        super().finetune(rows, base, out, seed, on_log)
