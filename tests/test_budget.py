import asyncio

import pytest

from soar.budget import BudgetSettings, Meter, Tokens
from soar.errors import BudgetReached


def test_calls_at_once_never_pass_a_limit_together_and_use_what_there_is():
    meter, spent = Meter(BudgetSettings(max_tokens=1000)), []

    async def caller(name: int) -> None:
        while True:
            await meter.admit(Tokens(40, 60))
            await asyncio.sleep(0)
            meter.count(f"t{name}", Tokens(40, name % 3))
            spent.append(40 + name % 3)
            meter.settle(Tokens(40, 60))

    async def work() -> list[object]:
        return await asyncio.gather(*(caller(name) for name in range(9)), return_exceptions=True)

    assert all(isinstance(end, BudgetReached) for end in asyncio.run(work()))
    assert 900 < sum(spent) <= 1000


def test_a_limit_in_money_needs_prices_and_says_what_it_would_take():
    limits = BudgetSettings(max_cost=0.5, price_per_million_prompt_tokens=1.0, price_per_million_completion_tokens=10.0)
    assert limits.cost(Tokens(100_000, 20_000)) == pytest.approx(0.3)
    assert BudgetSettings(max_cost=0.5).cost(Tokens(1, 1)) is None
    meter = Meter(limits, {"a": Tokens(100_000, 20_000)})
    asyncio.run(meter.admit(Tokens(0, 20_000)))
    meter.settle(Tokens(0, 20_000))
    with pytest.raises(
        BudgetReached, match=r"max_cost = 0.5 is reached: 120000 tokens, 0.30 in money spent, .* 20001 tokens"
    ):
        asyncio.run(meter.admit(Tokens(0, 20_001)))


def test_what_earlier_sessions_spent_counts_in_tokens_and_in_seconds():
    with pytest.raises(BudgetReached):
        asyncio.run(Meter(BudgetSettings(max_tokens=10), {"a": Tokens(6, 5)}).admit(Tokens(0, 0)))
    meter = Meter(BudgetSettings(max_seconds=60), seconds=59)
    assert 0 < (meter.seconds_left() or 0) <= 1
    with pytest.raises(BudgetReached, match="max_seconds"):
        asyncio.run(Meter(BudgetSettings(max_seconds=60), seconds=61).admit(Tokens()))


def test_a_task_that_has_taken_what_one_may_is_exhausted():
    meter = Meter(BudgetSettings(max_tokens_per_task=10), {"a": Tokens(5, 4)})
    assert not meter.exhausted("a")
    meter.count("a", Tokens(0, 1))
    assert [meter.exhausted(name) for name in ("a", "b")] == [True, False]
