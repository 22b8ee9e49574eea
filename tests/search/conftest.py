import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from searching import grid

from soar.archive.reader import ArchiveReader
from soar.archive.writer import ArchiveWriter
from soar.budget import BudgetSettings, Meter
from soar.domains.arc.domain import Arc
from soar.execution import open_sandbox
from soar.heuristics import accuracy
from soar.lm.scripted import Scripted
from soar.prompts.chat import Chat
from soar.search import SearchContext, SearchMethod, search_tasks
from soar.search.selectors import rex
from soar.search.settings import SamplingSettings, SearchSettings
from soar.types import Example, Task

BUDGET = SearchSettings(samples=10, refinements=18, samples_per_request=4, enough=0)


@pytest.fixture
def task():
    """Mirror every row; half right for a program that does nothing."""
    train = (Example(grid("121", "333"), grid("121", "333")), Example(grid("12", "30"), grid("21", "03")))
    return Task("mirror", train, (Example(grid("456"), grid("654")),))


@pytest.fixture(scope="module")
def sandbox():
    """One for all of a file's searches: it takes longer to open than they do."""
    with open_sandbox(workers=1, codec="arc") as opened:
        yield opened


@pytest.fixture
def searched(tmp_path, sandbox):
    """Return a function that searches tasks with a scripted model and gives back the archive's reader."""
    readers = []

    def run(reply: Callable | list[str], *tasks: Task, name: str = "a", **changes) -> ArchiveReader:
        async def work() -> None:
            path = Path(tmp_path / f"{name}.sqlite")
            writer = ArchiveWriter(path)
            reader = ArchiveReader(path)
            readers.append(reader)
            lm = changes.pop("lm", None) or Scripted(reply)
            sampling = changes.pop("sampling", SamplingSettings())
            wrap = changes.pop("wrap", lambda inner: inner)
            method = SearchMethod(
                seed=0,
                open_lm=lambda _: lm,
                operators=("sample", "refine"),
                budget=BUDGET.model_copy(update=changes.pop("budget", {})),
                when_sampling=sampling.sampling(sampling.sample_tokens),
                when_refining=sampling.sampling(sampling.refine_tokens),
                selector=changes.pop("selector", rex),
                heuristic=accuracy,
                parse=Arc().parse,
                rendering=changes.pop("rendering", Chat(Arc())),
            )
            refiner = changes.pop("refiner", lm)
            context = SearchContext(
                method,
                "train",
                0,
                lm,
                refiner,
                wrap(sandbox),
                writer,
                reader,
                changes.pop("meter", Meter(BudgetSettings())),
            )
            try:
                await search_tasks(replace(context, **changes), tasks)
            finally:
                writer.close()

        asyncio.run(work())
        return readers[-1]

    yield run
    for reader in readers:
        reader.close()
