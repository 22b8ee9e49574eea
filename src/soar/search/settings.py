"""The settings of a search: budgets per task, how parents are picked, how tokens are drawn."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from soar.settings import FREE, Fraction, NonNegative, Positive, Section
from soar.types import Sampling


class SamplingSettings(Section):
    """How tokens are drawn (App. D.5); the limits are counts of new tokens.

    `distinct`: draw the completions of one request without replacement, which only some models can.
    """

    temperature: float = Field(default=1.0, gt=0)
    min_p: Fraction = 0.05
    sample_tokens: Positive = 4096
    refine_tokens: Positive = 2048
    distinct: bool = False

    def sampling(self, tokens: int) -> Sampling:
        """Return how to draw completions of at most `tokens` new tokens."""
        return Sampling(self.temperature, self.min_p, tokens, self.distinct)


class SearchSettings(Section):
    """Budgets per task, in completions (App. D.3, D.5), and how parents are picked (§3.2).

    `enough`: a task's sampling ends once this many programs reproduce all training pairs, an island's refinement once
    its share of this many new ones does. `agreeing`: a task's search ends once this many distinct programs that
    reproduce all training pairs give the same test outputs; for runs that need an answer, not programs to learn from.
    0 turns either off. `heuristic`: what makes a program promising as a parent, "accuracy" as in the paper, or
    "closeness", which also ranks programs that are right on no pair.
    """

    samples: NonNegative = 3000
    refinements: NonNegative = 3000
    samples_per_request: Positive = 50
    islands: Positive = 4
    completions_per_refinement: Positive = 4
    enough: NonNegative = 100
    agreeing: NonNegative = 0
    selector: str = "rex"
    heuristic: str = "accuracy"
    rex_c: float = Field(default=20.0, gt=0)
    tasks_in_flight: Annotated[Positive, Field(json_schema_extra=FREE)] = 32

    @model_validator(mode="after")
    def _refuse_empty_budget(self) -> Self:
        if self.per_task == 0:
            raise ValueError("samples and refinements are both 0, so there is nothing to search: set one of them")
        return self

    @property
    def per_task(self) -> int:
        """The most completions that a search takes for one task."""
        return self.samples + self.refinements
