"""What one search reached, task by task. The results of a finished search are kept beside its answers: reading all its
programs again takes minutes if there are millions.

Knows scores, and one file per search. Kept results are ignored, as if missing, if they are not what would be computed
now: for other tasks, by another vote, of other completions, or changed by hand. Results by a user's own vote or filter
are not kept: its name does not say what it does today.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from soar.archive.reader import ArchiveReader
from soar.domains.task_set import task_set_hash
from soar.ensemble import Answering, Ballot
from soar.report.digest import Digest, digest, from_json
from soar.report.view import RunView
from soar.run import RunDirectory, Step
from soar.scoring import oracle, score, solves
from soar.types import Program, Task, Value, content_hash

VERSION = 3
"""Raise it whenever a field or its meaning changes, so that results kept by an older version are computed again."""


Answer: TypeAlias = tuple[Value, ...]
"""An output for each test input of a task."""


@dataclass(frozen=True, slots=True)
class TaskResult:
    """What one search reached on one task. Score fields are None if the task's answers are not known; `filtered`
    counts the programs that may neither vote nor teach, by reason; `first_right` is the place, from 0, of the first
    right sample among all samples in the order of sampling; `digest` is what is shown of the programs."""

    task_id: str
    completions: int
    programs: int
    distinct: int
    solved: bool | None
    matched: tuple[bool, ...] | None
    oracle: bool | None
    sampled: int
    sampled_right: int
    first_right: int | None
    filtered: Mapping[str, int]
    digest: Digest

    @property
    def solved_train_pairs(self) -> bool:
        """Whether a program is right on all training pairs."""
        return self.digest.fitting > 0


def judge(
    reader: ArchiveReader, step: Step, task: Task, answering: Answering, programs: Sequence[Program]
) -> tuple[TaskResult, list[Ballot]]:
    """Return what one search reached on one task, computed from its programs, and its ballots, heaviest first."""
    completions, sampled = reader.completion_counts(*step.key, task.id)
    ballots, fallen = answering.vote(task.without_answers(), programs)
    scored = score(task, [ballot.outputs for ballot in ballots]) if task.answered else None
    right = [p for p in programs if p.origin.phase == "sample" and solves(task, p)] if task.answered else []
    result = TaskResult(
        task_id=task.id,
        completions=completions,
        programs=len(programs),
        distinct=len({program.code for program in programs}),
        solved=scored.solved if scored else None,
        matched=scored.matched if scored else None,
        oracle=oracle(task, programs) if task.answered else None,
        sampled=sampled,
        sampled_right=len(right),
        first_right=reader.samples_before(min(p.origin for p in right)) if right else None,
        filtered=fallen,
        digest=digest(task, programs),
    )
    return result, ballots


def judged(reader: ArchiveReader, step: Step, answering: Answering, task: Task) -> tuple[TaskResult, list[Answer]]:
    """Return what one search reached on one task, and its answers, two at most (§3.2), from the programs that the
    archive holds."""
    result, ballots = judge(reader, step, task, answering, reader.programs(task.id, *step.key))
    return result, [ballot.outputs for ballot in ballots[:2]]


def keep(
    directory: RunDirectory, step: Step, answering: Answering, tasks: Sequence[Task], results: Sequence[TaskResult]
) -> None:
    """Write the results of a search that ends, all or nothing; none by a vote or a filter of the user's own."""
    if not _is_shipped(answering):
        return
    rows = [asdict(result) for result in results]
    directory.write_results(step.number, {"hash": _fingerprint(answering, tasks, rows), "tasks": rows})


def kept(view: RunView, step: Step) -> list[TaskResult] | None:
    """Return the kept results of a finished search, None if they must be computed."""
    if not _is_shipped(view.answering):
        return None
    tasks, path = view.tasks[step.stage.name], RunDirectory(view.path).results(step.number)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["hash"] != _fingerprint(view.answering, tasks, found["tasks"]):
            return None
    except (OSError, ValueError, TypeError, KeyError):
        return None
    results = [_result(row) for row in found["tasks"]]
    counts = view.reader.completions_by_task(*step.key)
    return results if all(result.completions == counts.get(result.task_id, 0) for result in results) else None


def _fingerprint(answering: Answering, tasks: Sequence[Task], rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the hash that kept results must match: of the results and all they follow from, except the programs."""
    rule = [name_of(answering.voter), *([name, name_of(function)] for name, function in answering.filters.items())]
    return content_hash(VERSION, rule, task_set_hash(tasks), rows)


def _is_shipped(answering: Answering) -> bool:
    """Return whether a vote and all its filters are functions of this package, which their names identify."""
    for function in (answering.voter, *answering.filters.values()):
        module, name = getattr(function, "__module__", ""), getattr(function, "__qualname__", "")
        if module.partition(".")[0] != "soar" or getattr(sys.modules.get(module), name, None) is not function:
            return False
    return True


def name_of(function: Callable[..., Any]) -> str:
    """Return the name under which a function was written, which others may have, too."""
    return f"{function.__module__}:{getattr(function, '__qualname__', type(function).__qualname__)}"


def _result(row: Mapping[str, Any]) -> TaskResult:
    matched = None if row["matched"] is None else tuple(row["matched"])
    return TaskResult(**{**row, "matched": matched, "digest": from_json(row["digest"])})
