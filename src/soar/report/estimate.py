"""Estimates what a run will take, from its settings and from what was counted or measured: pure arithmetic.

Knows budgets, prices and sizes. Every `Figure` says how it was estimated; one that cannot be known has no value, but
the reason why. Reads no file and renders no prompt.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from soar.budget import BudgetSettings, Tokens
from soar.learning.settings import LearningSettings
from soar.learning.trainers.memory import Memory, Shape
from soar.learning.trainers.settings import FinetuneSettings
from soar.report.prompt_sizes import PromptSizes
from soar.run import Stage, Step
from soar.search.refine import share
from soar.search.settings import SamplingSettings, SearchSettings

GIB = 1 << 30
ROW_BYTES = 300
"""Bytes that a completion takes in the archive besides its text: its place and its numbers. Its execution takes as
many."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One expected number in its unit, None if unknown, and how it was estimated."""

    name: str
    value: float | None
    unit: str
    how: str


@dataclass(frozen=True, slots=True)
class SearchEstimate:
    """The most that one search takes, and the finetuning before it: 0 examples if there is none. `steps` is None if the
    trainer is not a built-in one."""

    stage: str
    iteration: int
    tasks: int
    requests: int
    completions: int
    prompt_tokens: int
    completion_tokens: int
    examples: int
    steps: int | None


@dataclass(frozen=True, slots=True)
class Measured:
    """What the finished searches of a run took. `examples` and `finetune_seconds` are those of its finetunings."""

    searches: int = 0
    completions: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    examples: int = 0
    finetune_seconds: float = 0.0


def requests_per_task(budget: SearchSettings) -> tuple[int, int]:
    """Return the most calls to the model for one task: for samples, and for refinements."""
    shares = [share(budget.refinements, budget.islands, island) for island in range(budget.islands)]
    refining = sum(math.ceil(each / budget.completions_per_refinement) for each in shares)
    return math.ceil(budget.samples / budget.samples_per_request), refining


def examples_per_task(learning: LearningSettings, budget: SearchSettings, stage: Stage, searches: int) -> int:
    """Return the most examples that one task of a stage gives a finetuning: the number asked for, if `searches`
    searches wrote enough programs. With `across_tasks`, programs that solve any task come on top; they are few."""
    if searches == 0:
        return 0
    judged = stage.known or learning.pseudo_labels
    repeated = learning.true_copies if judged or learning.across_tasks else 1
    samples = min(learning.samples_per_task, searches * (budget.samples + budget.refinements))
    pairs = min(learning.refinements_per_task, searches * budget.refinements) if judged else 0
    return samples * repeated + pairs + learning.hindsight_pairs_per_task


def examples_of_step(
    plan: Sequence[Step], step: Step, tasks: Mapping[str, int], learning: LearningSettings, budget: SearchSettings
) -> int:
    """Return the most examples that a step's finetuning takes; `tasks` counts those of each stage."""
    if not step.learns:
        return 0
    if step.iteration > 0:
        searches = {step.stage: step.iteration if learning.history == "all" else 1}
    else:
        stages = [each.stage for each in plan if each.iteration == 0]
        searches = {stage: stage.iterations for stage in stages if stage.name in step.stage.learns_from}
    own = (tasks[stage.name] * examples_per_task(learning, budget, stage, n) for stage, n in searches.items())
    return sum(own) + learning.replay


def optimizer_steps(settings: FinetuneSettings, examples: int) -> int:
    """Return the optimiser steps of one finetuning."""
    rows = round(settings.epochs * examples)
    return settings.max_steps or math.ceil(rows / (settings.batch_size * settings.accumulation))


def search_estimate(
    step: Step,
    tasks: int,
    examples: int,
    sizes: PromptSizes,
    budget: SearchSettings,
    sampling: SamplingSettings,
    finetune: FinetuneSettings | None,
    *,
    repeated: bool,
) -> SearchEstimate:
    """Return what one search takes, and the finetuning on `examples` before it. `repeated`: a prompt counts once per
    completion, not once per request."""
    asked = requests_per_task(budget)
    prompts = (budget.samples, budget.refinements) if repeated else asked
    per_task = budget.samples * sampling.sample_tokens + budget.refinements * sampling.refine_tokens
    return SearchEstimate(
        stage=step.stage.name,
        iteration=step.iteration,
        tasks=tasks,
        requests=tasks * sum(asked),
        completions=tasks * (budget.samples + budget.refinements),
        prompt_tokens=round(tasks * (prompts[0] * sizes.sampling + prompts[1] * sizes.refinement)),
        completion_tokens=tasks * per_task,
        examples=examples,
        steps=optimizer_steps(finetune, examples) if finetune and examples else 0 if not examples else None,
    )


def total_figures(
    searches: Sequence[SearchEstimate], enough: int, counted: str, *, repeated: bool, prices: BudgetSettings
) -> list[Figure]:
    """Return the run's requests, completions, tokens and money over all searches."""
    early = (
        f"upper bound: search.enough = {enough} stops no task early" if enough else "every task uses its full budget"
    )
    once = "completion" if repeated else "request, so with every completion if the server gives one per request"
    tokens = Tokens(sum(s.prompt_tokens for s in searches), sum(s.completion_tokens for s in searches))
    money = prices.cost(tokens)
    told = "upper bound: from the configured prices" if money is not None else "unknown: no price is set in [budget]"
    return [
        Figure("requests", sum(s.requests for s in searches), "", early),
        Figure("completions", sum(s.completions for s in searches), "", early),
        Figure("prompt tokens", tokens.prompt, "", f"{counted}; a prompt counts once per {once}"),
        Figure("completion tokens", tokens.completion, "", "upper bound: every completion reaches its token limit"),
        Figure("money", money, "", told),
    ]


def finetune_figures(searches: Sequence[SearchEstimate], trainer: str) -> list[Figure]:
    """Return the number of finetunings, their examples and their steps; empty if nothing is learnt."""
    learning = [search for search in searches if search.examples]
    if not learning:
        return []
    steps = [search.steps for search in learning]
    known = [step for step in steps if step is not None]
    bound = "upper bound: every task gives all the examples asked for"
    own = f'unknown: finetune.trainer = "{trainer}" has its own settings'
    return [
        Figure(
            "finetunings",
            len(learning),
            "",
            "one before each search of a stage except its first, plus those by learns_from",
        ),
        Figure("examples", sum(search.examples for search in learning), "", bound),
        Figure(
            "optimiser steps",
            sum(known) if len(known) == len(steps) else None,
            "",
            "upper bound: from the examples" if len(known) == len(steps) else own,
        ),
    ]


def inference_figure(
    shape: Shape | str, *, number: int, batch: int | None, new: int, prompt: int, device: str, free: int | None
) -> Figure:
    """Return the memory of searching: the weights, plus keys and values of `batch` samples of `new` tokens and of one
    prompt, at `number` bytes per number. `shape` may be the reason why it is unknown."""
    name = f"{device} memory, search"
    if isinstance(shape, str):
        return Figure(name, None, "GiB", f"unknown: {shape}")
    weights = number * shape.parameters
    held = number * shape.cache * ((batch or 0) * new + prompt)
    kept = (
        f"keys and values of lm.batch = {batch} samples at their token limit {_gib(held)}; fewer at once if that does"
        " not fit"
        if batch
        else "keys and values of the samples unknown: the backend does not say how many it decodes at once"
    )
    how = f"{shape.parameters:,} parameters of {number} bytes {_gib(weights)}; {kept}{_free(free)}"
    return Figure(name, (weights + held) / GIB, "GiB", how)


def finetune_memory_figure(memory: Memory | str, *, device: str, what: str, free: int | None) -> Figure:
    """Return the memory of finetuning, part by part; `memory` may be the reason why it is unknown."""
    name = f"{device} memory, finetuning"
    if isinstance(memory, str):
        return Figure(name, None, "GiB", f"unknown: {memory}")
    parts = {
        "weights": memory.weights,
        "trainable": memory.trainable,
        "gradients": memory.gradients,
        "AdamW": memory.optimizer,
        "activations": memory.activations,
        "logits": memory.logits,
    }
    listed = ", ".join(f"{part} {_gib(size)}" for part, size in parts.items())
    return Figure(name, memory.total / GIB, "GiB", f"by formula, {what}: {listed}{_free(free)}")


def disk_figure(
    searches: Sequence[SearchEstimate],
    shape: Shape | str | None,
    *,
    method: str,
    rank: int,
    free: int,
) -> Figure:
    """Return the size of the whole run directory: texts, weights, checkpoints. `shape` is None if nothing is learnt."""
    texts = sum(4 * s.completion_tokens + 2 * ROW_BYTES * s.completions for s in searches)
    said = f"upper bound: 4 bytes per completion token and {2 * ROW_BYTES} per completion {_gib(texts)}"
    if isinstance(shape, str):
        return Figure("disk", None, "GiB", f"unknown: {shape}. Without weights {_gib(texts)} ({said}){_free(free)}")
    if shape is None:
        return Figure("disk", texts / GIB, "GiB", said + _free(free))
    times = sum(search.examples > 0 for search in searches)
    trained = shape.parameters if method == "full" else shape.adapter(rank)
    each = shape.stored + (0 if method == "full" else 4 * trained)
    checkpoints = 2 * 12 * trained  # a trained number and AdamW's two moments of it, in float32
    how = f"{said}, {times} × weights {_gib(each)}, two checkpoints {_gib(checkpoints)}{_free(free)}"
    return Figure("disk", (texts + times * each + checkpoints) / GIB, "GiB", how)


def hours_figures(searches: Sequence[SearchEstimate], measured: Measured) -> list[Figure]:
    """Return the hours of searching and finetuning at the measured speed; unknown if nothing was measured."""
    completions = sum(search.completions for search in searches)
    examples = sum(search.examples for search in searches)
    found = [_search_hours(completions, measured)]
    if examples:
        found.append(_finetune_hours(examples, measured))
    return found


def _search_hours(completions: int, measured: Measured) -> Figure:
    if not measured.completions or not measured.seconds:
        unknown = "unknown until measured: give a RUN_DIR with a finished search"
        return Figure("hours, search", None, "h", unknown)
    rate, mean = measured.completion_tokens / measured.seconds, measured.completion_tokens / measured.completions
    how = (
        f"at the speed of {measured.searches} finished searches: {rate:.1f} completion tokens/s, {mean:.0f} tokens per"
        f" completion, {completions * mean:,.0f} in all"
    )
    return Figure("hours, search", completions * measured.seconds / measured.completions / 3600, "h", how)


def _finetune_hours(examples: int, measured: Measured) -> Figure:
    if not measured.examples or not measured.finetune_seconds:
        return Figure(
            "hours, finetuning", None, "h", "unknown until measured: give a RUN_DIR with a finished finetuning"
        )
    each = measured.finetune_seconds / measured.examples
    how = f"at the measured speed: {each:.2f} s per example, all epochs"
    return Figure("hours, finetuning", examples * each / 3600, "h", how)


def limit_lines(limits: BudgetSettings, searches: Sequence[SearchEstimate], figures: Mapping[str, Figure]) -> list[str]:
    """Return one line per limit of [budget]: whether the run would reach it."""
    tokens = sum(s.prompt_tokens + s.completion_tokens for s in searches)
    hours = [figure.value for name, figure in figures.items() if name.startswith("hours")]
    seconds = None if None in hours else 3600 * sum(each for each in hours if each is not None)
    # The limit of a task holds in each search anew.
    per_task = max(((s.prompt_tokens + s.completion_tokens) / s.tasks for s in searches if s.tasks), default=0.0)
    found = [
        _limit("max_tokens", limits.max_tokens, tokens, "at most {:,.0f} tokens"),
        _limit("max_cost", limits.max_cost, figures["money"].value, "at most {:,.2f} in money"),
        _limit("max_seconds", limits.max_seconds, seconds, "about {:,.0f} s at the measured speed"),
        _limit(
            "max_tokens_per_task",
            limits.max_tokens_per_task,
            per_task,
            "at most {:,.0f} tokens for an average task in one search",
        ),
    ]
    return [line for line in found if line is not None]


def _limit(name: str, limit: float | None, expected: float | None, said: str) -> str | None:
    if limit is None:
        return None
    if expected is None:
        why = "without prices it has no effect" if name == "max_cost" else "unknown until measured"
        return f"budget.{name} = {limit:g}: {why}"
    verdict = "may be reached" if expected > limit else "will not be reached"
    return f"budget.{name} = {limit:g} {verdict}: {said.format(expected)}"


def _gib(size: float) -> str:
    return f"{size / GIB:.2f} GiB" if size >= GIB / 10 else f"{size / (1 << 20):.1f} MiB"


def _free(free: int | None) -> str:
    return "" if free is None else f"; free here now {_gib(free)}"
