"""What a run reached, computed from its archive and the tasks' answers: one record per search.

Knows scores and counts; does not know how they are shown. Reading is safe while the run goes on.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from soar.archive.reader import ArchiveReader
from soar.ensemble import Voter, filtered, oracle, score
from soar.run import Step
from soar.types import Program, Task, solves_train, test_matches


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


def task_result(reader: ArchiveReader, step: Step, task: Task, voter: Voter, filters: Sequence[str]) -> TaskResult:
    """Compute one task's result of one search."""
    where = (step.stage.name, step.iteration, task.id)
    programs = reader.programs(task.id, step.stage.name, step.iteration)
    count = "SELECT COUNT(*), SUM(phase = 'sample') FROM completions WHERE stage = ? AND iteration = ? AND task_id = ?"
    completions, sampled = reader.query(count, where)[0]
    answered = all(example.output is not None for example in task.test)
    voters, fallen = filtered(task.without_answers(), programs, filters)
    scored = score(task, voter(voters)) if answered else None
    right = [p for p in programs if p.origin.phase == "sample" and is_right(task, p)]
    return TaskResult(
        task_id=task.id,
        completions=completions,
        programs=len(programs),
        distinct=len({program.code for program in programs}),
        solved_train_pairs=any(map(solves_train, programs)),
        solved=scored.solved if scored else None,
        matched=scored.matched if scored else None,
        oracle=oracle(task, programs) if answered else None,
        sampled=sampled or 0,
        sampled_right=len(right),
        filtered=fallen,
    )


def is_right(task: Task, program: Program) -> bool:
    """Return whether a program reproduces all training and test pairs of a task with known answers."""
    return solves_train(program) and all(test_matches(task, program.test))


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
    reader: ArchiveReader,
    step: Step,
    results: Sequence[TaskResult],
    *,
    source: str,
    samples: int,
    solved_before: set[str],
) -> dict[str, object]:
    """Return one search's object of ``soar report --json``. `solved_before`: ids solved earlier in the stage."""
    known = [result for result in results if result.matched is not None]
    solved = {result.task_id for result in known if result.solved}
    where = (step.stage.name, step.iteration)
    sums = "SELECT SUM(prompt_tokens), SUM(completion_tokens) FROM completions WHERE stage = ? AND iteration = ?"
    prompt, completion = reader.query(sums, where)[0]
    time = "SELECT seconds, finetune_seconds FROM iterations WHERE stage = ? AND iteration = ?"
    seconds, finetune_seconds = (reader.query(time, where) or [(0.0, 0.0)])[0]
    outputs = [right for result in known for right in result.matched or ()]
    fractions = [sum(result.matched or ()) / len(result.matched or (1,)) for result in known]
    return {
        "stage": step.stage.name,
        "iteration": step.iteration,
        "task_set": source,
        "answers": step.stage.answers,
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
        "pass_at_k": pass_at_k(known, samples),
        "tokens": {"prompt": prompt or 0, "completion": completion or 0},
        "seconds": seconds,
        "finetune_seconds": finetune_seconds,
        "status": statuses(reader, *where),
        "filtered": {
            reason: _total(result.filtered[reason] for result in results)
            for reason in (results[0].filtered if results else ())
        },
    }


def _total(values: Iterable[int]) -> int:
    return sum(int(value) for value in values)


def statuses(reader: ArchiveReader, stage: str, iteration: int) -> dict[str, int]:
    """Return how many completions ended how: executed ones by their execution, others by why they hold no code."""
    rows = reader.query(
        "SELECT CASE WHEN c.status = 'code' THEN COALESCE(e.status, 'waiting') ELSE c.status END AS s, COUNT(*)"
        " FROM completions c LEFT JOIN executions e ON e.task_id = c.task_id AND e.code_hash = c.code_hash"
        " WHERE c.stage = ? AND c.iteration = ? GROUP BY s",
        (stage, iteration),
    )
    return dict(sorted(Counter(dict(rows)).items()))


def report(
    reader: ArchiveReader,
    plan: Sequence[Step],
    tasks: Mapping[str, Sequence[Task]],
    sources: Mapping[str, str],
    *,
    samples: int,
    voter: Voter,
    filters: Sequence[str],
) -> dict[str, object]:
    """Return the object of ``soar report --json`` for every search that has begun."""
    begun = {(stage, iteration) for stage, iteration, *_ in reader.iterations()}
    solved: dict[str, set[str]] = {}
    records = []
    for step in plan:
        name = step.stage.name
        if (name, step.iteration) not in begun:
            continue
        results = [task_result(reader, step, task, voter, filters) for task in tasks[name]]
        before = solved.setdefault(name, set())
        records.append(
            iteration_record(reader, step, results, source=sources[name], samples=samples, solved_before=set(before))
        )
        before |= {result.task_id for result in results if result.solved}
    sums = reader.query(
        "SELECT COALESCE(SUM(issued), 0), COALESCE(SUM(retried), 0), COALESCE(SUM(failed), 0) FROM requests"
    )
    requests = dict(zip(("issued", "retried", "failed"), sums[0], strict=True))
    return {"version": 1, "iterations": records, "requests": requests}
