"""A run's programs as rows of a table: numbers and names, one row per executed program. Knows no table library."""

from collections.abc import Iterator
from typing import Any

from soar.report.view import RunView
from soar.scoring import verdicts
from soar.types import Failure, Program, Task


def program_rows(view: RunView) -> Iterator[dict[str, Any]]:
    """Yield one object per executed program: by search, then by task, then in search order."""
    begun = {(row.stage, row.iteration) for row in view.reader.iterations()}
    for step in view.plan:
        if step.key in begun:
            for task in view.tasks[step.stage.name]:
                for program in view.reader.programs(task.id, *step.key):
                    yield _row(task, program)


def _row(task: Task, program: Program) -> dict[str, Any]:
    origin = program.origin
    failure = next((output for output in program.outputs if isinstance(output, Failure)), None)
    return {
        "program": program.key,
        "task_id": task.id,
        "stage": origin.stage,
        "iteration": origin.iteration,
        "phase": origin.phase,
        "island": origin.island,
        "step": origin.step,
        "index": origin.index,
        "parents": program.parents,
        "ran": program.ran,
        "failure": failure.type if failure else None,
        "train_right": sum(verdicts(task.train, program.train)),
        "train_pairs": len(task.train),
        "test_right": sum(verdicts(task.test, program.test)) if task.answered else None,
        "code": program.code,
    }
