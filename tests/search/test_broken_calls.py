"""A call that breaks off: what arrived is kept and not asked for again, what did not is asked for on resuming. And one
whose prompt is too long for a solved task."""

import asyncio
import json

from searching import NOTHING, calls

from soar.archive.reader import ArchiveReader
from soar.errors import PromptTooLong
from soar.lm.scripted import Scripted
from soar.types import Completion, Task


class Overloaded(Scripted):
    """A model that finds the prompt of a call too long after so many answers; keeps what it was asked."""

    def __init__(self, *answers: int):
        super().__init__(lambda prompt, seed: NOTHING.replace("grid):", f"grid):  # {seed}"))
        self.answers, self.asked = list(answers), []

    async def generate(self, prompt, seeds, sampling):
        self.asked.append(len(seeds))
        most = self.answers.pop(0) if self.answers else len(seeds)
        async for item in super().generate(prompt, seeds[:most], sampling):
            yield item
        if most < len(seeds):
            raise PromptTooLong("the cache is full")


ONE_CALL = {"samples": 4, "refinements": 0}


def test_what_came_before_a_prompt_was_found_too_long_is_not_asked_for_again(searched, task):
    lm = Overloaded(2)
    assert len(calls(searched([], task, lm=lm, budget=ONE_CALL))) == 4
    assert lm.asked == [4, 2]


def test_what_is_left_of_a_call_that_fits_no_more_is_asked_for_on_resuming(searched, task, monkeypatch):
    # Not over: a task whose search is over is not looked at again.
    monkeypatch.setattr(ArchiveReader, "searched", lambda self, *place: set())
    reader = searched([], task, lm=Overloaded(3, *[0] * 20), budget=ONE_CALL)
    assert len(calls(reader)) == 3
    lm = Overloaded()
    assert len(calls(searched([], task, lm=lm, budget=ONE_CALL))) == 4
    assert lm.asked == [1]


class Hasty(Scripted):
    """A model in whose call the search is stopped at the very moment when all completions are there."""

    async def generate(self, prompt, seeds, sampling):
        search = asyncio.current_task()
        assert search
        asyncio.get_running_loop().call_soon(search.cancel)
        for index, _ in enumerate(seeds):
            yield index, Completion(NOTHING)


def test_completions_that_arrived_before_a_stop_are_stored(searched, task):
    assert len(calls(searched([], task, lm=Hasty([NOTHING]), budget=ONE_CALL))) == 4


def test_a_solved_task_that_leaves_no_room_is_not_shown(searched, task):
    large = Task("large", task.train * 9, task.test)
    shown = {"few_shot": ((large, "code"),), "lm": Scripted([NOTHING], context_characters=2500)}
    reader = searched([], task, budget=ONE_CALL, **shown)
    details = [json.loads(text) for (text,) in reader.query("SELECT prompt_detail FROM completions")]
    assert details == [{"pairs": None, "feedback": "full", "example": False}] * 4
