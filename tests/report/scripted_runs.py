"""Real runs of a scripted model for the tests of what is read from a run: two stages, hostile text in ids and code."""

import asyncio
import io
import json

from rich.console import Console

from soar import session
from soar.config import load_config

HOSTILE = "[bold red]x\x1b[2J :smile:"
"""An id of a task, which stands in code and messages too."""

CODES = (
    "return [row[::-1] for row in grid]",
    "return grid[::-1]",
    "return grid",
    "return grid[7][7]",
    f"raise ValueError({HOSTILE!r})  # {HOSTILE}",
    "if len(grid[0]) > 2:\n        return grid[7]\n    return [row[::-1] for row in grid]",
)
SECTIONS = """
seed = 1
[tasks]
source = "{known}"
[lm]
backend = "scripted"
model = "{replies}"
[search]
samples = 12
refinements = 8
samples_per_request = 4
islands = 2
enough = 0
[sampling]
sample_tokens = 60
refine_tokens = 60
[finetune]
trainer = "scripted"
[[stages]]
name = "train"
iterations = 2
[[stages]]
name = "target"
answers = "hidden"
source = "{hidden}"
"""
ANSWER = [[9, 8, 7, 6], [9, 8, 7, 6]]
"""The answer of the task `quiz`, which no program gives."""


def write_task(folder, name, rule, answer=None):
    """Write a task of three pairs and a test input; without `answer` by its rule, with None hidden."""
    grids = [[[(3 * i + 2 * y + x + len(name)) % 5 for x in range(2 + i)] for y in range(3)] for i in range(4)]
    pairs = [{"input": x, "output": rule(x)} for x in grids]
    if answer is not None:
        pairs[3]["output"] = answer
    if answer == "hidden":
        del pairs[3]["output"]
    (folder / f"{name}.json").write_text(json.dumps({"train": pairs[:3], "test": pairs[3:]}))


def write_config(folder):
    """Write tasks, replies and a configuration; return its path."""
    known, hidden = folder / "known", folder / "hidden"
    known.mkdir()
    hidden.mkdir()
    for name in ("flip", HOSTILE):
        write_task(known, name, lambda g: [row[::-1] for row in g])
    write_task(known, "sums", lambda g: [[sum(map(sum, g)) % 10]])
    write_task(hidden, "secret-task", lambda g: [row[::-1] for row in g], "hidden")
    write_task(hidden, "quiz", lambda g: g[::-1], ANSWER)
    texts = [f"```python\ndef transform(grid):\n    {code}\n```" for code in CODES]
    (folder / "replies.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in [*texts, "No."]))
    config = folder / "config.toml"
    config.write_text(SECTIONS.format(known=known, hidden=hidden, replies=folder / "replies.jsonl"))
    return config


def search(config, path, *overrides):
    """Run or go on with a configuration."""
    asyncio.run(session.run(load_config(config, overrides), path, Console(file=io.StringIO())))


def standing(path):
    """Where a run stands that has begun to search."""
    now = session.read_status(path)
    assert now is not None
    return now
