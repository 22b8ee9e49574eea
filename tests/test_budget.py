import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soar.budget import BudgetSettings, Meter, Tokens, search_seconds
from soar.errors import BudgetReached, ConfigError, EndpointError


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


def test_a_limit_in_money_without_a_price_is_refused_with_the_names_of_the_prices():
    with pytest.raises(ConfigError) as caught:
        BudgetSettings(max_cost=0.5).refuse_without_prices()
    for name in ("price_per_million_prompt_tokens", "price_per_million_completion_tokens", "max_tokens"):
        assert name in BudgetSettings.model_fields
        assert f"budget.{name}" in str(caught.value)
    BudgetSettings(max_tokens=5).refuse_without_prices()
    BudgetSettings(max_cost=0.5, price_per_million_completion_tokens=1.0).refuse_without_prices()


@pytest.mark.parametrize("limit", ["max_tokens", "max_cost", "max_tokens_per_task"])
def test_text_whose_tokens_nobody_counts_is_refused_if_a_limit_needs_them(limit):
    meter = Meter(BudgetSettings.model_validate({limit: 10**6, "price_per_million_prompt_tokens": 1.0}))
    meter.count("a", Tokens(5, 2), "text")
    meter.count("a", Tokens(5, 0), "")
    meter.refuse_uncounted()
    meter.count("a", Tokens(), "text")
    with pytest.raises(EndpointError, match=rf"budget\.{limit} cannot hold.*budget\.max_seconds.*reports usage"):
        meter.refuse_uncounted()


def test_text_whose_tokens_nobody_counts_will_do_without_such_a_limit():
    meter = Meter(BudgetSettings(max_seconds=60))
    meter.count("a", Tokens(), "text")
    meter.refuse_uncounted()


def test_what_earlier_sessions_spent_counts_in_tokens_and_in_seconds():
    with pytest.raises(BudgetReached):
        asyncio.run(Meter(BudgetSettings(max_tokens=10), {"a": Tokens(6, 5)}).admit(Tokens(0, 0)))
    meter = Meter(BudgetSettings(max_seconds=60), seconds=59)
    assert 0 < (meter.seconds_left() or 0) <= 1
    with pytest.raises(BudgetReached, match=r"budget\.max_seconds = 60 is reached"):
        asyncio.run(Meter(BudgetSettings(max_seconds=60), seconds=61).admit(Tokens()))


def test_a_task_that_has_taken_what_one_may_is_exhausted():
    meter = Meter(BudgetSettings(max_tokens_per_task=10), {"a": Tokens(5, 4)})
    assert not meter.exhausted("a")
    meter.count("a", Tokens(0, 1))
    assert [meter.exhausted(name) for name in ("a", "b")] == [True, False]


def test_what_a_task_may_take_is_its_own_in_every_search_and_the_total_is_the_runs():
    meter = Meter(BudgetSettings(max_tokens_per_task=10, max_tokens=12), {"a": Tokens(5, 5)})
    meter.begin_search({"b": Tokens(9, 1)})
    assert [meter.exhausted(name) for name in ("a", "b")] == [False, True]
    with pytest.raises(BudgetReached, match=r"10 tokens spent"):
        asyncio.run(meter.admit(Tokens(0, 3)))


def test_searches_divide_the_seconds_that_are_left_by_their_completions():
    assert search_seconds(100.0, [10, 30], 0, None, 0.25) == 25.0
    assert search_seconds(100.0, [10, 30], 1, None, 0.25) == pytest.approx(0.75 * 25)
    assert search_seconds(100.0, [10, 30], 2, 20.0, 0.25) == pytest.approx(60 * 0.25)
    assert search_seconds(100.0, [10, 30], 2, 999.0, 0.25) == pytest.approx(50 * 0.25), "half is for searching"


def test_the_last_search_and_one_without_a_limit_end_by_themselves():
    assert search_seconds(100.0, [10], 0, 5.0, 0.25) is None
    assert search_seconds(None, [10, 10], 1, 5.0, 0.25) is None
    assert search_seconds(0.0, [10, 10], 1, 5.0, 0.25) is None


@given(st.floats(1, 1e6), st.lists(st.integers(1, 1000), min_size=2, max_size=6), st.floats(0, 1e6), st.floats(0, 0.99))
def test_whatever_is_left_every_search_to_come_gets_some_of_it(left, completions, last, share):
    for timed in (None, last):
        rest, searched = left, 0.0
        for place in range(len(completions) - 1):
            seconds = search_seconds(rest, completions[place:], len(completions) - place - 1, timed, share)
            assert seconds is not None
            assert 0 < seconds < rest
            rest, searched = rest - seconds, searched + seconds
        assert rest > 0
