from dataclasses import replace

import pytest

from soar.budget import BudgetSettings
from soar.learning.settings import LearningSettings
from soar.learning.trainers.settings import FinetuneSettings
from soar.report.estimate import (
    Measured,
    examples_of_step,
    examples_per_task,
    hours_figures,
    limit_lines,
    optimizer_steps,
    requests_per_task,
    search_estimate,
    total_figures,
)
from soar.report.prompt_sizes import PromptSizes
from soar.run import Stage, steps
from soar.search.settings import SamplingSettings, SearchSettings

BUDGET = SearchSettings(samples=10, refinements=9, samples_per_request=4, islands=2, completions_per_refinement=4)
SIZES = PromptSizes(counted=3, sampling=100.0, refinement=150.0, longest=200)
SAMPLING = SamplingSettings(sample_tokens=40, refine_tokens=20)


def search(iteration=0, *, repeated=False, **learning):
    plan = steps([Stage("train", 3)])
    examples = examples_of_step(plan, plan[iteration], {"train": 7}, LearningSettings(**learning), BUDGET)
    return search_estimate(plan[iteration], 7, examples, SIZES, BUDGET, SAMPLING, FinetuneSettings(), repeated=repeated)


def test_the_papers_search_asks_sixty_times_for_samples_and_752_times_for_refinements():
    assert requests_per_task(SearchSettings()) == (60, 4 * 188)


def test_requests_completions_and_tokens_of_a_search():
    assert requests_per_task(BUDGET) == (3, 2 + 1)
    found = search()
    assert (found.requests, found.completions) == (7 * 6, 7 * 19)
    assert found.completion_tokens == 7 * (10 * 40 + 9 * 20)
    assert found.prompt_tokens == 7 * (3 * 100 + 3 * 150)
    assert search(repeated=True).prompt_tokens == 7 * (10 * 100 + 9 * 150)
    assert (found.examples, found.steps) == (0, 0)


def test_examples_are_at_most_what_is_asked_for_and_what_was_written():
    known, hidden = Stage("a"), Stage("b", answers="hidden")
    paper, much = LearningSettings(pseudo_labels=False), SearchSettings()
    assert [examples_per_task(paper, much, known, searches) for searches in range(3)] == [0, 100, 100]
    assert examples_per_task(paper, much, hidden, 1) == 50, "no pairs where answers are hidden"
    assert examples_per_task(LearningSettings(true_copies=2), much, hidden, 1) == 150
    across = LearningSettings(pseudo_labels=False, across_tasks=True, true_copies=2)
    assert examples_per_task(across, much, hidden, 1) == 100
    assert [search(iteration).examples for iteration in range(3)] == [0, 7 * (19 + 9), 7 * (19 + 9)]
    assert search(2, history="all").examples == 7 * (38 + 18)
    assert search(1, replay=11, hindsight_pairs_per_task=2).examples == 7 * (19 + 9 + 2) + 11


def test_a_stage_that_learns_from_others_takes_examples_of_all_their_searches():
    plan = steps([Stage("train", 2), Stage("more"), Stage("target", 2, learns_from=("train", "more"))])
    tasks = {"train": 7, "more": 5, "target": 3}
    found = [examples_of_step(plan, step, tasks, LearningSettings(replay=2), BUDGET) for step in plan]
    one, two = 19 + 9, 38 + 18
    assert found == [0, 7 * one + 2, 0, 7 * two + 5 * one + 2, 3 * one + 2]


def test_optimiser_steps_of_the_papers_finetuning():
    assert optimizer_steps(FinetuneSettings(), 400 * 100) == 1875
    assert optimizer_steps(FinetuneSettings(epochs=0.5, accumulation=4), 10) == 2
    assert optimizer_steps(FinetuneSettings(max_steps=3), 40_000) == 3


def figures(searches, measured=Measured(), **budget):
    prices = BudgetSettings(**budget)
    found = [*total_figures(searches, 0, "counted", repeated=False, prices=prices), *hours_figures(searches, measured)]
    return {figure.name: figure for figure in found}


def test_money_follows_from_prices_and_is_unknown_without():
    found = figures([search()], price_per_million_prompt_tokens=1.0, price_per_million_completion_tokens=10.0)
    assert found["money"].value == pytest.approx((5250 * 1 + 4060 * 10) / 1e6)
    assert figures([search()])["money"].value is None
    assert "unknown" in figures([search()])["money"].how


def test_hours_are_unknown_until_measured_and_then_as_measured():
    searches = [search(), search(1)]
    assert figures(searches)["hours, search"].value is None
    assert "unknown until measured" in figures(searches)["hours, finetuning"].how
    unfinished = Measured(1, completions=133, completion_tokens=1330, seconds=3600, examples=98)
    assert "unknown until measured" in figures(searches, unfinished)["hours, finetuning"].how
    measured = Measured(1, completions=133, completion_tokens=1330, seconds=3600, examples=98, finetune_seconds=1800)
    found = figures(searches, measured)
    assert found["hours, search"].value == pytest.approx(2.0)
    assert found["hours, finetuning"].value == pytest.approx(0.5 * 7 * (19 + 9) / 98)


def test_every_limit_has_a_line_that_says_whether_it_holds():
    searches = [search(), search(1)]
    tight = BudgetSettings(max_tokens=100, max_cost=5.0, max_seconds=60.0, max_tokens_per_task=10_000)
    lines = limit_lines(tight, searches, figures(searches))
    assert [line.split(":")[0] for line in lines] == [
        "budget.max_tokens = 100 may be reached",
        "budget.max_cost = 5",
        "budget.max_seconds = 60",
        "budget.max_tokens_per_task = 10000 will not be reached",
    ]
    assert "unknown until measured" in lines[2]
    measured = Measured(1, completions=133, completion_tokens=1330, seconds=5, examples=98, finetune_seconds=5)
    fast = limit_lines(BudgetSettings(max_seconds=60.0), searches, figures(searches, measured))
    assert "will not be reached" in fast[0]
    assert limit_lines(BudgetSettings(), searches, figures(searches)) == []


def test_the_limit_of_a_task_is_held_against_the_search_that_takes_most_and_not_against_all_of_them():
    searches = [replace(search(n), tasks=2, prompt_tokens=0, completion_tokens=200_000) for n in range(3)]
    (line,) = limit_lines(BudgetSettings(max_tokens_per_task=150_000), searches, figures(searches))
    assert line.endswith("will not be reached: at most 100,000 tokens for an average task in one search")
    (line,) = limit_lines(BudgetSettings(max_tokens_per_task=90_000), searches, figures(searches))
    assert "may be reached" in line
