"""What the loop hands from step to step: the weights that a later search needs, and no others, stay whole."""

import asyncio
from dataclasses import replace

from soar import session
from soar.config import load_config
from soar.iterate import iterate
from soar.run import RunDirectory

CONFIG = """
[tasks]
source = "{tasks}"
[lm]
backend = "scripted"
model = "{replies}"
[search]
samples = 2
refinements = 0
[finetune]
trainer = "scripted"
[[stages]]
name = "train"
iterations = 4
"""


def test_after_every_search_the_weights_that_none_needs_are_pruned(tmp_path, monkeypatch):
    tasks = tmp_path / "tasks"
    tasks.mkdir()
    (tasks / "same.json").write_text('{"train": [{"input": [[1]], "output": [[1]]}], "test": [{"input": [[2]]}]}')
    (tmp_path / "replies.jsonl").write_text('{"text": "```python\\ndef transform(grid):\\n    return grid\\n```"}\n')
    config = tmp_path / "config.toml"
    config.write_text(CONFIG.format(tasks=tasks, replies=tmp_path / "replies.jsonl"))
    pruned: list[list[int]] = []
    monkeypatch.setattr(RunDirectory, "prune", lambda self, numbers: pruned.append(list(numbers)))

    async def run(keep: int) -> None:
        path = tmp_path / f"run-{keep}"
        async with session.open_run(load_config(config), path, lambda _: None, lambda _: None) as opened:
            method = replace(opened.method, learning=replace(opened.method.learning, keep=keep))
            await iterate(replace(opened, method=method))

    asyncio.run(run(1))
    assert pruned == [[], [], [1], [1, 2]]
    pruned.clear()
    asyncio.run(run(2))
    assert pruned == [[], [], [], [1]]
