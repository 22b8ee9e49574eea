"""Learning what is published already: nothing is read, nothing is finetuned, and what a kill has left is removed."""

import asyncio
from typing import Any

import pytest

from soar.files import publish
from soar.learning.learn import learn


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
