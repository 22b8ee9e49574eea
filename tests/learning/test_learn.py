"""The order of learning: what is published is left alone, what a kill has left is removed, a stop is heard."""

import asyncio
from typing import Any, cast

import pytest

from soar.files import publish
from soar.learning.learn import LearningMethod, learn
from soar.types import Example, Task


@pytest.mark.parametrize("left", ["1.work", "1.tmp"])
def test_what_a_kill_after_publishing_has_left_is_removed(tmp_path, left):
    out = tmp_path / "1"
    aside = tmp_path / "aside"
    aside.mkdir()
    (aside / "weights").write_text("one")
    publish(aside, out, {})
    (tmp_path / left / "checkpoint-3").mkdir(parents=True)
    nobody: Any = None
    place, data = ("train", 1), tmp_path / "examples.jsonl"
    asyncio.run(learn(nobody, place, tmp_path, (), nobody, data=data, out=out, on_log=nobody))
    assert [path.name for path in tmp_path.iterdir()] == ["1"]
    assert (out / "weights").read_text() == "one"


class Reader:
    """An archive without programs."""

    def programs(self, task_id, stage, iteration):
        del task_id, stage, iteration
        return []


def test_a_stop_is_heard_while_examples_are_chosen(tmp_path):
    asked, tasks = [], [Task(f"t{number}", (Example(1, 2),), ()) for number in range(5)]
    nobody: Any = None

    async def stopped():
        def examples(task, programs, seed, pairs):
            asked.append(task.id)
            asyncio.get_running_loop().call_soon(learning.cancel)
            return []

        method = LearningMethod(0, True, examples, nobody, nobody, nobody)
        paths = {"data": tmp_path / "examples.jsonl", "out": tmp_path / "1"}
        learning = asyncio.ensure_future(
            learn(method, ("train", 1), tmp_path, tasks, cast(Any, Reader()), **paths, on_log=nobody)
        )
        await learning

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(stopped())
    assert asked == ["t0"]
    assert not list(tmp_path.iterdir())
