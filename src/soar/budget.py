"""What a run may spend, in money, tokens and seconds, and what it has spent.

Knows limits and counts; does not know what is bought. What earlier sessions spent is read from the archive, so that
limits hold over all sessions of a run; a later session may raise them.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field

from soar.errors import BudgetReached, ConfigError, EndpointError
from soar.settings import FREE, Positive, Section


class BudgetSettings(Section):
    """Limits of a whole run; None is no limit. All of them may be raised on resume.

    `max_cost` is in the currency of the prices, which are per million tokens. `max_seconds` counts searching and
    finetuning, over all sessions; until a finetuning has been timed, `finetune_share` of the seconds left is set aside
    for all finetunings to come (`search_seconds`). Each search of a task ends, for good, once it has spent
    `max_tokens_per_task`.
    """

    max_cost: float | None = Field(default=None, gt=0, json_schema_extra=FREE)
    max_tokens: Positive | None = Field(default=None, json_schema_extra=FREE)
    max_seconds: float | None = Field(default=None, gt=0, json_schema_extra=FREE)
    finetune_share: float = Field(default=0.25, ge=0, lt=1, json_schema_extra=FREE)
    max_tokens_per_task: Positive | None = Field(default=None, json_schema_extra=FREE)
    price_per_million_prompt_tokens: float = Field(default=0.0, ge=0, json_schema_extra=FREE)
    price_per_million_completion_tokens: float = Field(default=0.0, ge=0, json_schema_extra=FREE)

    def cost(self, tokens: "Tokens") -> float | None:
        """Return what tokens cost, None if no price is set."""
        prices = self.price_per_million_prompt_tokens, self.price_per_million_completion_tokens
        return (tokens.prompt * prices[0] + tokens.completion * prices[1]) / 1e6 if any(prices) else None

    def refuse_without_prices(self) -> None:
        """Raise `ConfigError` for a limit in money that cannot hold because nothing has a price."""
        if self.max_cost is not None and self.cost(Tokens()) is None:
            raise ConfigError(
                f"budget.max_cost = {self.max_cost:g} has no effect without prices: set"
                " budget.price_per_million_prompt_tokens and budget.price_per_million_completion_tokens to what the"
                " model costs, or limit budget.max_tokens instead"
            )

    @property
    def of_tokens(self) -> list[str]:
        """The limits that are set and hold only if tokens are counted."""
        names = ("max_cost", "max_tokens", "max_tokens_per_task")
        return [f"budget.{name}" for name in names if getattr(self, name) is not None]


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
        """Tokens read and written together."""
        return self.prompt + self.completion


def search_seconds(
    left: float | None, amounts: Sequence[int], finetunings: int, last: float | None, share: float
) -> float | None:
    """Return the seconds after which a search ends so that later steps have time too; None if only the run's own limit
    ends it: nothing follows, no time is left, or there is no limit.

    `left` are the run's remaining seconds; `amounts` the work of this search and of each later one, in any unit;
    `finetunings` the number still to come, `last` the seconds of the last one. Each is assumed to take as long as the
    last, but together they get at most half of what is left; before the first, they get `share` of it. Searches divide
    the rest in proportion to their amounts.
    """
    if not left or len(amounts) < 2 or not amounts[0]:
        return None
    aside = 0.0 if not finetunings else share * left if last is None else min(finetunings * last, left / 2)
    return (left - aside) * amounts[0] / sum(amounts)


class Meter:
    """Counts what a run spends and admits calls so that no limit is exceeded: a call that might not fit beside those in
    flight waits for them, and raises `BudgetReached` once none is left to wait for."""

    def __init__(
        self, limits: BudgetSettings, by_task: Mapping[str, Tokens] | None = None, seconds: float = 0.0
    ) -> None:
        """Start from what earlier sessions spent: tokens by task, and seconds."""
        self.limits = limits
        self._by_task = dict(by_task or {})
        self._spent = sum(self._by_task.values(), Tokens())
        self._reserved = Tokens()
        self._uncounted = False
        self._begun = time.monotonic() - seconds
        self._settled = asyncio.Event()

    def seconds_left(self) -> float | None:
        """Return the seconds until `max_seconds` is reached, None without that limit."""
        limit = self.limits.max_seconds
        return None if limit is None else max(0.0, self._begun + limit - time.monotonic())

    @property
    def out_of_time(self) -> str:
        """The message for `max_seconds`, whoever notices first: a call, a search or a finetuning."""
        return f"budget.max_seconds = {self.limits.max_seconds or 0:g} is reached"

    def for_search(self, amounts: Sequence[int], finetunings: int, last: float | None) -> float | None:
        """Return the seconds after which a search ends to leave time for later steps (`search_seconds`)."""
        return search_seconds(self.seconds_left(), amounts, finetunings, last, self.limits.finetune_share)

    def begin_search(self, by_task: Mapping[str, Tokens]) -> None:
        """Begin a search, on which earlier sessions have spent so many tokens by task; all of them are in the total
        already."""
        self._by_task = dict(by_task)

    def exhausted(self, task_id: str) -> bool:
        """Return whether a task has spent its limit of tokens in this search."""
        limit = self.limits.max_tokens_per_task
        return limit is not None and self._by_task.get(task_id, Tokens()).total >= limit

    async def admit(self, most: Tokens) -> None:
        """Wait until a call of at most `most` tokens fits; call `settle` afterwards, whatever happens."""
        while (reason := self._over(self._spent + self._reserved + most)) is not None:
            if self._reserved.total == 0:
                raise BudgetReached(f"{reason}: {self._needed(most)}")
            self._settled.clear()
            await self._settled.wait()
        self._reserved += most

    def settle(self, most: Tokens) -> None:
        """Release what `admit` reserved; `count` has counted what the call really took."""
        self._reserved -= most
        self._settled.set()

    def count(self, task_id: str, tokens: Tokens, text: str = "") -> None:
        """Count tokens that were paid for, those of a completion with its `text`."""
        self._uncounted = self._uncounted or bool(text.strip() and not tokens.completion)
        self._spent += tokens
        self._by_task[task_id] = self._by_task.get(task_id, Tokens()) + tokens

    def refuse_uncounted(self) -> None:
        """Raise `EndpointError` if a completion came with a text and without tokens and a limit needs their number.
        Called once what has arrived is being stored."""
        if self._uncounted and (limits := " and ".join(self.limits.of_tokens)):
            raise EndpointError(
                "the model wrote text and counted no tokens for it (a server's reply lacks usage.completion_tokens), so"
                f" {limits} cannot hold. Take that out of [budget] (budget.max_seconds holds with any model), or use a"
                " server that reports usage; then run the same command again. What was written is stored"
            )

    def _over(self, tokens: Tokens) -> str | None:
        """Say which limit this total of tokens would exceed, None if none."""
        cost = self.limits.cost(tokens)
        if self.limits.max_tokens is not None and tokens.total > self.limits.max_tokens:
            return f"budget.max_tokens = {self.limits.max_tokens} is reached"
        if self.limits.max_cost is not None and cost is not None and cost > self.limits.max_cost:
            return f"budget.max_cost = {self.limits.max_cost:g} is reached"
        return self.out_of_time if self.seconds_left() == 0 else None

    def _needed(self, most: Tokens) -> str:
        """Say what was spent, and what the next call alone may take."""
        cost = self.limits.cost(self._spent)
        spent = f"{self._spent.total} tokens" + (f", {cost:.2f} in money" if cost is not None else "")
        return f"{spent} spent, and the next call may take {most.total} tokens. Raise the limit with --set to continue"
