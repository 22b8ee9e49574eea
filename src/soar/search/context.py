"""What one iteration's search keeps open, and what stays fixed during it. Data only."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from soar.archive.reader import ArchiveReader
from soar.archive.writer import ArchiveWriter
from soar.budget import Meter
from soar.protocols import Executor, Heuristic, LanguageModel, Parse, Rendering
from soar.search.replies import Replies
from soar.search.selectors import Selector
from soar.search.settings import SearchSettings
from soar.types import Phase, Sampling, Task


@dataclass(frozen=True, slots=True)
class SearchMethod:
    """How every search of a run works: budgets, and the parts that decide.

    `open_lm` opens a model with finetuned weights, or as configured (None). θi serves the `operators`, each with a
    model of its own if `separate`; the configured model serves the rest. `selector` picks parents by their value under
    `heuristic`; `parse` gives outputs their canonical form.
    """

    seed: int
    open_lm: Callable[[Path | None], LanguageModel]
    operators: Collection[Phase]
    budget: SearchSettings
    when_sampling: Sampling
    when_refining: Sampling
    selector: Selector
    heuristic: Heuristic
    parse: Parse
    rendering: Rendering
    separate: bool = False

    def weights_of(self, operator: Phase, learnt: Path | None) -> Path | None:
        """Return the folder of the weights that serve an operator, None for the configured model."""
        if learnt is None or operator not in self.operators:
            return None
        return learnt / operator if self.separate else learnt


@dataclass(frozen=True, slots=True)
class Held:
    """What is open while a run searches: the executor, the archive's writer and reader, and the budget's meter."""

    executor: Executor
    writer: ArchiveWriter
    reader: ArchiveReader
    meter: Meter


@dataclass(frozen=True, slots=True)
class SearchContext:
    """One search of one iteration.

    `sampler` writes programs from scratch, `refiner` from parents: one model, or two. `few_shot`: solved tasks with a
    program each, frozen when the iteration starts. `evaluating`: the evaluations that are not done, whoever waits.
    """

    method: SearchMethod
    stage: str
    iteration: int
    sampler: LanguageModel
    refiner: LanguageModel
    executor: Executor
    writer: ArchiveWriter
    reader: ArchiveReader
    meter: Meter
    few_shot: tuple[tuple[Task, str], ...] = ()
    replies: Replies = field(default_factory=Replies)
    evaluating: "set[asyncio.Task[Any]]" = field(default_factory=set)
