"""What a run may spend, in money, tokens and seconds, and what it has spent.

Knows limits and counts; does not know what is bought. What was spent before a resume is read from the archive, so that
limits hold over all sessions of a run, and may be raised for the next one.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field

from soar.errors import BudgetReached
from soar.settings import FREE, Positive, Section


class BudgetSettings(Section):
    """Limits of a whole run; one that is not set does not hold. All of them may be raised on resume.

    `max_cost` is in the currency of the prices, which are per million tokens. `max_seconds` counts searching and
    finetuning, over all sessions; before any finetuning was timed, `finetune_share` of what is left is set aside for
    those to come (`search_seconds`). `max_tokens_per_task`: a task that has taken as many is searched no further.
    """

    max_cost: float | None = Field(default=None, gt=0, json_schema_extra=FREE)
    max_tokens: Positive | None = Field(default=None, json_schema_extra=FREE)
    max_seconds: float | None = Field(default=None, gt=0, json_schema_extra=FREE)
    finetune_share: float = Field(default=0.25, ge=0, lt=1, json_schema_extra=FREE)
    max_tokens_per_task: Positive | None = Field(default=None, json_schema_extra=FREE)
    price_per_million_prompt_tokens: float = Field(default=0.0, ge=0, json_schema_extra=FREE)
    price_per_million_completion_tokens: float = Field(default=0.0, ge=0, json_schema_extra=FREE)

    def cost(self, tokens: "Tokens") -> float | None:
        """Return what tokens cost, None where no price is set."""
        prices = self.price_per_million_prompt_tokens, self.price_per_million_completion_tokens
        return (tokens.prompt * prices[0] + tokens.completion * prices[1]) / 1e6 if any(prices) else None


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens read and written."""

    prompt: int = 0
    completion: int = 0

    def __add__(self, other: "Tokens") -> "Tokens":
        return Tokens(self.prompt + other.prompt, self.completion + other.completion)

    def __sub__(self, other: "Tokens") -> "Tokens":
        return Tokens(self.prompt - other.prompt, self.completion - other.completion)

    @property
    def total(self) -> int:
        """All of them."""
        return self.prompt + self.completion


def search_seconds(
    left: float | None, amounts: Sequence[int], finetunings: int, last: float | None, share: float
) -> float | None:
    """Return the seconds after which a search ends so that what follows it has time too; None where only the run's own
    limit ends it: nothing follows, nothing is left, or there is no limit.

    `left` are the seconds of the run; `amounts` how much this search is to do and each that follows, in any unit;
    `finetunings` how many follow, `last` what the last one took. For each of them as much is set aside as the last one
    took, but at most half of what is left; before the first, `share` of what is left for all of them. Searches divide
    the rest in proportion to their amounts.
    """
    if not left or len(amounts) < 2 or not amounts[0]:
        return None
    aside = 0.0 if not finetunings else share * left if last is None else min(finetunings * last, left / 2)
    return (left - aside) * amounts[0] / sum(amounts)


class Meter:
    """Counts what a run spends and admits calls so that no limit is passed: a call that might not fit beside those
    under way waits for them, and is refused with `BudgetReached` once nothing is left to wait for."""

    def __init__(
        self, limits: BudgetSettings, by_task: Mapping[str, Tokens] | None = None, seconds: float = 0.0
    ) -> None:
        """Begin with what earlier sessions spent: tokens by task, and seconds."""
        self.limits = limits
        self._by_task = dict(by_task or {})
        self._spent = sum(self._by_task.values(), Tokens())
        self._reserved = Tokens()
        self._begun = time.monotonic() - seconds
        self._settled = asyncio.Event()

    def seconds_left(self) -> float | None:
        """Return the seconds until `max_seconds` is reached, None where that does not hold."""
        limit = self.limits.max_seconds
        return None if limit is None else max(0.0, self._begun + limit - time.monotonic())

    @property
    def out_of_time(self) -> str:
        """What is said when `max_seconds` is reached, by whoever notices it first: a call, a search, a finetuning."""
        return f"budget.max_seconds = {self.limits.max_seconds or 0:g} is reached"

    def for_search(self, amounts: Sequence[int], finetunings: int, last: float | None) -> float | None:
        """Return the seconds after which a search ends for the steps that follow it (`search_seconds`)."""
        return search_seconds(self.seconds_left(), amounts, finetunings, last, self.limits.finetune_share)

    def exhausted(self, task_id: str) -> bool:
        """Return whether a task has taken all the tokens that one may."""
        limit = self.limits.max_tokens_per_task
        return limit is not None and self._by_task.get(task_id, Tokens()).total >= limit

    async def admit(self, most: Tokens) -> None:
        """Return once a call that takes at most so many tokens fits; `settle` it afterwards, whatever happens."""
        while (reason := self._over(self._spent + self._reserved + most)) is not None:
            if self._reserved.total == 0:
                raise BudgetReached(f"{reason}: {self._needed(most)}")
            self._settled.clear()
            await self._settled.wait()
        self._reserved += most

    def settle(self, most: Tokens) -> None:
        """Give back what was admitted; what it really took has been counted by `count`."""
        self._reserved -= most
        self._settled.set()

    def count(self, task_id: str, tokens: Tokens) -> None:
        """Count tokens that were paid for."""
        self._spent += tokens
        self._by_task[task_id] = self._by_task.get(task_id, Tokens()) + tokens

    def _over(self, tokens: Tokens) -> str | None:
        """Return which limit these tokens in all would pass, None if none."""
        cost = self.limits.cost(tokens)
        if self.limits.max_tokens is not None and tokens.total > self.limits.max_tokens:
            return f"budget.max_tokens = {self.limits.max_tokens} is reached"
        if self.limits.max_cost is not None and cost is not None and cost > self.limits.max_cost:
            return f"budget.max_cost = {self.limits.max_cost:g} is reached"
        return self.out_of_time if self.seconds_left() == 0 else None

    def _needed(self, most: Tokens) -> str:
        """Return what was spent, and what the next call alone may take."""
        cost = self.limits.cost(self._spent)
        spent = f"{self._spent.total} tokens" + (f", {cost:.2f} in money" if cost is not None else "")
        return f"{spent} spent, and the next call may take {most.total} tokens. Raise the limit with --set to continue"
