"""A search that reaches a limit: what was paid for runs before anything is answered, and nothing runs after that."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from soar import session
from soar.config import load_config
from soar.errors import BudgetReached, EndpointError
from soar.iterate import iterate
from soar.protocols import Detail
from soar.search import SearchContext, evaluate
from soar.search.call import judged
from soar.search.evaluate import finish_evaluating
from soar.search.sample import sampling_call
from soar.types import Completion

CONFIG = """
[tasks]
source = "{tasks}"
[lm]
backend = "scripted"
model = "{replies}"
[search]
samples = 8
refinements = 0
samples_per_request = 8
[learning]
curator = "uniform"
[finetune]
trainer = "scripted"
[[stages]]
name = "train"
iterations = {iterations}
"""


class Slow:
    """An executor that takes so many seconds for every program, however many run side by side."""

    def __init__(self, inner, seconds):
        self.inner, self.seconds, self.ended = inner, seconds, 0

    async def run(self, code, inputs, *, alone=False):
        await asyncio.sleep(self.seconds)
        self.ended += 1
        return await self.inner.run(code, inputs, alone=alone)


@pytest.fixture
def opened(tmp_path):
    """A context in which a run on one task is open, with a model whose eight programs are all different, and with an
    executor that takes so many seconds."""
    tasks = tmp_path / "tasks"
    tasks.mkdir()
    (tasks / "same.json").write_text('{"train": [{"input": [[1]], "output": [[1]]}], "test": [{"input": [[2]]}]}')
    reply = '{"text": "```python\\ndef transform(grid):\\n    n = %d\\n    return grid\\n```"}\n'
    (tmp_path / "replies.jsonl").write_text("".join(reply % n for n in range(8)))

    @asynccontextmanager
    async def run(seconds, *settings, iterations=1):
        config = tmp_path / "config.toml"
        config.write_text(CONFIG.format(tasks=tasks, replies=tmp_path / "replies.jsonl", iterations=iterations))
        loaded = load_config(config, [*settings, "sandbox.workers=1"])
        async with session.open_run(loaded, tmp_path / "run", lambda _: None, lambda _: None) as found:
            yield replace(found, executor=Slow(found.executor, seconds))

    return run


@pytest.mark.slow
def test_programs_that_were_paid_for_run_before_the_answers_are_made(opened):
    async def limited():
        async with opened(2.0, "budget.max_seconds=1") as run:
            with pytest.raises(BudgetReached):
                await iterate(run)
            return run.reader.totals("train", 0).statuses

    assert asyncio.run(limited()) == {"ok": 8}


@pytest.mark.slow
def test_they_do_so_too_where_a_search_ends_to_leave_time_for_the_next(opened):
    async def shared():
        async with opened(2.0, "budget.max_seconds=4", "budget.finetune_share=0.5", iterations=2) as run:
            with pytest.raises(BudgetReached):
                await iterate(run)
            return [(row.iteration, row.finished) for row in run.reader.iterations()], run.reader.totals("train", 0)

    iterations, totals = asyncio.run(shared())
    assert iterations[0] == (0, True)
    assert totals.statuses == {"ok": 8}


async def with_stored_replies(run) -> SearchContext:
    """Return a search of which five completions are stored, and none of their programs has run."""
    (task,) = run.tasks["train"]
    nobody: Any = None
    parts = run.executor, run.writer, run.reader, run.meter
    context = SearchContext(run.method.search, "train", 0, nobody, nobody, *parts)
    call = sampling_call(context, task, "sample", 0, 0, 8)
    for place in range(5):
        completion = Completion(f"```python\ndef transform(grid):\n    return grid[:{place}]\n```", "stop", 1, 1, 0.0)
        run.writer.submit([judged(run.method.search.rendering, call, place, completion, Detail())[0]])
    return context


def test_programs_that_nobody_began_to_run_are_found_and_run(opened):
    async def finished():
        async with opened(0.0) as run:
            context = await with_stored_replies(run)
            await finish_evaluating(context, run.tasks["train"])
            return run.reader.totals("train", 0).statuses

    found = asyncio.run(finished())
    assert (sum(found.values()), found.get("waiting")) == (5, None)


def test_what_takes_too_long_is_given_up_and_does_not_run_later(opened, monkeypatch):
    monkeypatch.setattr(evaluate, "LINGER", 0.2)

    async def lingered():
        async with opened(0.5) as run:
            context = await with_stored_replies(run)
            await finish_evaluating(context, run.tasks["train"])
            await asyncio.sleep(0.6)
            return run.reader.totals("train", 0).statuses, run.executor.ended, context.evaluating

    assert asyncio.run(lingered()) == ({"waiting": 5}, 0, set())


def test_a_search_of_which_no_prompt_fits_is_an_error_each_time(opened):
    async def nothing_fits():
        async with opened(0.0, "prompt.rendering=chat") as run:
            small = replace(run.method.search, open_lm=lambda weights: Narrow(run.method.search.open_lm(weights)))
            await iterate(replace(run, method=replace(run.method, search=small)))

    for _ in range(2):
        with pytest.raises(EndpointError, match=r"no prompt of 1 tasks fits the model's context.*lm\.context"):
            asyncio.run(nothing_fits())


class Narrow:
    """A model that no prompt fits."""

    def __init__(self, inner):
        self.requests, self.close = inner.requests, inner.close

    def fits(self, prompt, max_new_tokens):
        return False
