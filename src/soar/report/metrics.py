"""What a run reached, computed from its archive and the tasks' answers: one record per search.

Knows scores and counts; does not know how they are shown. Reading is safe while the run goes on.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from soar.archive.reader import ArchiveReader
from soar.archive.rows import IterationRow
from soar.budget import Tokens
from soar.ensemble import Answering, filtered
from soar.report.view import RunView
from soar.run import Step
from soar.scoring import oracle, score, solves
from soar.types import Program, Task


@dataclass(frozen=True, slots=True)
class TaskResult:
    """What one search reached on one task. Score fields are None where the task's answers are not known; `filtered`
    counts the programs that may neither vote nor teach, by the reason."""

    task_id: str
    completions: int
    programs: int
    distinct: int
    solved_train_pairs: bool
    solved: bool | None
    matched: tuple[bool, ...] | None
    oracle: bool | None
    sampled: int
    sampled_right: int
    filtered: Mapping[str, int]


Note: TypeAlias = Callable[[Step, Task, Sequence[Program], TaskResult], None]


def task_result(
    reader: ArchiveReader, step: Step, task: Task, answering: Answering, programs: Sequence[Program]
) -> TaskResult:
    """Compute one task's result of one search from its programs."""
    completions, sampled = reader.completion_counts(*step.key, task.id)
    hidden = task.without_answers()
    voters, fallen = filtered(hidden, programs, answering.filters)
    scored = score(task, [ballot.outputs for ballot in answering.voter(voters)]) if task.answered else None
    right = [p for p in programs if p.origin.phase == "sample" and solves(task, p)] if task.answered else []
    return TaskResult(
        task_id=task.id,
        completions=completions,
        programs=len(programs),
        distinct=len({program.code for program in programs}),
        solved_train_pairs=any(solves(hidden, program) for program in programs),
        solved=scored.solved if scored else None,
        matched=scored.matched if scored else None,
        oracle=oracle(task, programs) if task.answered else None,
        sampled=sampled,
        sampled_right=len(right),
        filtered=fallen,
    )


def pass_at_k(results: Sequence[TaskResult], samples: int) -> dict[str, float | None]:
    """Return the expected number of tasks solved by k sampled completions, for powers of two and the whole budget.

    The unbiased estimator 1 − C(n − c, k) / C(n, k) per task (Chen et al. 2021); None where a task has fewer than k
    samples, because early stopping cut them short.
    """
    sizes = sorted({1 << power for power in range(samples.bit_length())} | {samples}) if samples else []
    least = min((result.sampled for result in results), default=0)
    return {
        str(k): sum(_solved_by(k, result.sampled, result.sampled_right) for result in results) if k <= least else None
        for k in sizes
    }


def _solved_by(k: int, n: int, c: int) -> float:
    return 1.0 - math.comb(n - c, k) / math.comb(n, k)


def iteration_record(
    view: RunView, step: Step, row: IterationRow, results: Sequence[TaskResult], solved_before: set[str]
) -> dict[str, object]:
    """Return one search's object of ``soar report --json``. `solved_before`: ids solved earlier in the stage."""
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
        "completions": _total(result.completions for result in results),
        "programs": _total(result.programs for result in results),
        "distinct": _total(result.distinct for result in results),
        "solved_train_pairs": _total(result.solved_train_pairs for result in results),
        "solved": len(solved) if known else None,
        "newly_solved": len(solved - solved_before) if known else None,
        "score_kaggle": sum(outputs) / len(outputs) if outputs else None,
        "score_mean": sum(fractions) if known else None,
        "oracle": _total(bool(result.oracle) for result in known) if known else None,
        "pass_at_k": pass_at_k(known, view.samples),
        "tokens": {"prompt": spent.prompt, "completion": spent.completion},
        "tokens_per_task": spent.total / len(results) if results else None,
        "tokens_per_solved_task": spent.total / len(solved) if solved else None,
        "cost": view.budget.cost(spent),
        "seconds": row.seconds,
        "finetune_seconds": row.finetune_seconds,
        "status": dict(totals.statuses),
        "filtered": {
            reason: _total(result.filtered[reason] for result in results)
            for reason in (results[0].filtered if results else ())
        },
    }


def _total(values: Iterable[int]) -> int:
    return sum(int(value) for value in values)


def report(view: RunView, note: Note | None = None) -> dict[str, Any]:
    """Return the object of ``soar report --json`` for every search that has begun. `note` is told of each search and
    task, with its programs: whoever wants more of them need not read them again."""
    begun = {(row.stage, row.iteration): row for row in view.reader.iterations()}
    solved: dict[str, set[str]] = {}
    records = []
    for step in view.plan:
        if step.key not in begun:
            continue
        results = []
        for task in view.tasks[step.stage.name]:
            programs = view.reader.programs(task.id, *step.key)
            results.append(task_result(view.reader, step, task, view.answering, programs))
            if note:
                note(step, task, programs, results[-1])
        before = solved.setdefault(step.stage.name, set())
        records.append(iteration_record(view, step, begun[step.key], results, set(before)))
        before |= {result.task_id for result in results if result.solved}
    return {"version": 1, "iterations": records, "requests": view.reader.requests(), "leaks": view.leaks}
