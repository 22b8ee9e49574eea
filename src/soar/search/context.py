"""What one iteration's search holds open and what is fixed while it lasts. Data only."""

from collections.abc import Callable
from dataclasses import dataclass

from soar.archive.reader import ArchiveReader
from soar.archive.writer import ArchiveWriter
from soar.config import SamplingConfig, SearchConfig
from soar.domains.protocol import Domain
from soar.lm.protocol import LanguageModel
from soar.prompts.protocol import Rendering
from soar.sandbox.protocol import Sandbox
from soar.search.selectors import Selector
from soar.types import Program, Sampling, Task


@dataclass(frozen=True, slots=True)
class SearchContext:
    """One search of one iteration.

    `selector` picks parents by what `heuristic` says of each. `sampler` writes programs from scratch, `refiner` from
    those it is shown: one model, or two. `few_shot`: solved tasks with a program each, frozen as the iteration starts.
    """

    stage: str
    iteration: int
    seed: int
    budget: SearchConfig
    sampling: SamplingConfig
    selector: Selector
    heuristic: Callable[[Task, Program], float]
    sampler: LanguageModel
    refiner: LanguageModel
    sandbox: Sandbox
    domain: Domain
    rendering: Rendering
    writer: ArchiveWriter
    reader: ArchiveReader
    few_shot: tuple[tuple[Task, str], ...] = ()

    @property
    def when_sampling(self) -> Sampling:
        """How tokens are drawn for programs from scratch."""
        return self._drawn(self.sampling.sample_tokens)

    @property
    def when_refining(self) -> Sampling:
        """How tokens are drawn for refinements."""
        return self._drawn(self.sampling.refine_tokens)

    def _drawn(self, tokens: int) -> Sampling:
        how = self.sampling
        return Sampling(how.temperature, how.min_p, tokens, how.distinct)
