"""What a run reached, computed from its archive and the tasks' answers: one record per search.

Knows scores and counts; does not know how they are shown. Safe while the run is active.
"""

import math
from collections.abc import Iterable, Sequence
from contextlib import closing
from functools import partial
from typing import Any, NamedTuple

from soar.archive.rows import IterationRow
from soar.budget import Tokens
from soar.parallel import mapped
from soar.report.task_results import TaskResult, judged, kept
from soar.report.view import RunView
from soar.run import Step


class SearchResults(NamedTuple):
    """A search that has begun, and what it reached on each of its stage's tasks, in their order."""

    step: Step
    row: IterationRow
    results: Sequence[TaskResult]


def pass_at_k(results: Sequence[TaskResult], samples: int, *, distinct: bool) -> dict[str, float | None]:
    """Return the number of tasks that k sampled completions solve, for powers of two and the whole budget; None if a
    task has fewer than k samples because early stopping cut them short.

    The expected number, by the unbiased estimator 1 − C(n − c, k) / C(n, k) per task (Chen et al. 2021), which needs
    independent samples. Of `distinct` ones, drawn without replacement, the likely ones come first: a task counts if the
    first k hold a right one.
    """
    sizes = sorted({1 << power for power in range(samples.bit_length())} | {samples}) if samples else []
    least = min((result.sampled for result in results), default=0)
    return {
        str(k): sum(_solved_by(k, result, distinct=distinct) for result in results) if k <= least else None
        for k in sizes
    }


def _solved_by(k: int, result: TaskResult, *, distinct: bool) -> float:
    if distinct:
        return float(result.first_right is not None and result.first_right < k)
    return 1.0 - math.comb(result.sampled - result.sampled_right, k) / math.comb(result.sampled, k)


def iteration_record(
    view: RunView, step: Step, row: IterationRow, results: Sequence[TaskResult], solved_before: set[str]
) -> dict[str, object]:
    """Return one search's object of ``soar report --json``. `solved_before`: ids solved earlier in the stage.

    Completions, how they ended, and tokens are of one reading, later than that of the results: a search that is running
    has all programs that were judged among them.
    """
    known = [result for result in results if result.matched is not None]
    solved = {result.task_id for result in known if result.solved}
    outputs = [right for result in known for right in result.matched or ()]
    totals = view.reader.totals(*step.key)
    fractions = [sum(result.matched or ()) / len(result.matched or (1,)) for result in known]
    spent = Tokens(totals.prompt_tokens, totals.completion_tokens)
    return {
        "stage": step.stage.name,
        "iteration": step.iteration,
        "task_set": view.sources[step.stage.name],
        "answers": step.stage.answers,
        "finished": row.finished,
        "tasks": len(results),
        "answered": len(known),
        "completions": _total(totals.statuses.values()),
        "programs": _total(result.programs for result in results),
        "distinct": _total(result.distinct for result in results),
        "solved_train_pairs": _total(result.solved_train_pairs for result in results),
        "solved": len(solved) if known else None,
        "newly_solved": len(solved - solved_before) if known else None,
        "score_kaggle": sum(outputs) / len(outputs) if outputs else None,
        "score_mean": sum(fractions) if known else None,
        "oracle": _total(bool(result.oracle) for result in known) if known else None,
        "pass_at_k": pass_at_k(known, view.samples, distinct=view.distinct and step.key != view.imported),
        "tokens": {"prompt": spent.prompt, "completion": spent.completion},
        "tokens_per_task": spent.total / len(results) if results else None,
        "tokens_per_solved_task": _spent_on(view, step, spent, results) / len(solved) if solved else None,
        "cost": view.budget.cost(spent),
        "seconds": row.seconds,
        "finetune_seconds": row.finetune_seconds,
        "status": dict(totals.statuses),
        "filtered": {
            reason: _total(result.filtered[reason] for result in results)
            for reason in (results[0].filtered if results else ())
        },
    }


def _spent_on(view: RunView, step: Step, spent: Tokens, results: Sequence[TaskResult]) -> int:
    """Return the tokens that a search, which `spent` so many, took for the tasks whose answers are known: only these
    can be seen to be solved."""
    unknown = {result.task_id for result in results if result.matched is None}
    if not unknown:
        return spent.total
    by_task = view.reader.tokens_by_task(step.key)
    return sum(sum(tokens) for task_id, tokens in by_task.items() if task_id not in unknown)


def _total(values: Iterable[int]) -> int:
    return sum(int(value) for value in values)


def search_results(view: RunView) -> list[SearchResults]:
    """Return the results of every search that has begun: those kept of a finished one, else computed from all its
    programs."""
    begun = {(row.stage, row.iteration): row for row in view.reader.iterations()}
    return [
        SearchResults(step, begun[step.key], _results(view, step, finished=begun[step.key].finished))
        for step in view.plan
        if step.key in begun
    ]


def _results(view: RunView, step: Step, *, finished: bool) -> list[TaskResult]:
    found = kept(view, step) if finished else None
    if found:
        return found
    work = partial(judged, view.reader, step, view.answering)
    with closing(mapped(work, view.tasks[step.stage.name])) as computed:
        return [result for result, _ in computed]


def report(view: RunView) -> dict[str, Any]:
    """Return the object of ``soar report --json``, with a record for every search that has begun."""
    return report_of(view, search_results(view))


def report_of(view: RunView, searches: Sequence[SearchResults]) -> dict[str, Any]:
    """Return the object of ``soar report --json`` of searches whose results have been read."""
    solved: dict[str, set[str]] = {}
    records = []
    for step, row, results in searches:
        before = solved.setdefault(step.stage.name, set())
        records.append(iteration_record(view, step, row, results, set(before)))
        before |= {result.task_id for result in results if result.solved}
    return {"version": 1, "iterations": records, "requests": view.reader.requests(), "leaks": view.leaks}
