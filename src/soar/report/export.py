"""A run's answers and programs, as others read them: ARC Prize's submission format, and a line per program.

Knows the formats, and holds what it gives out against the tasks. Reading is safe while the run goes on. Tables of
programs are `soar.report.dataset`'s.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from soar.errors import ConfigError, DataError
from soar.files import growing
from soar.protocols import Domain
from soar.report.view import RunView
from soar.run import RunDirectory, Step
from soar.scoring import verdicts
from soar.types import Failure, Output, Program, Task, Value, frozen

ATTEMPTS = {"attempt_1", "attempt_2"}
Answers: TypeAlias = Mapping[str, Sequence[tuple[Value, ...]]]
"""Up to two answers to a task by its id, best first, each a value per test input."""


def write_submission(view: RunView, out: Path, stage: str | None = None, challenges: str | None = None) -> str:
    """Write the answers to the tasks of a stage, the last by default, or to those of a challenge file, whole or not at
    all; return what was written."""
    found = submission(view, stage, challenges)
    with growing(out) as sink:
        sink.write(found.text + "\n")
    told = f"{found.answered} of {found.tasks} tasks of {challenges or f'stage {found.stage!r}'} have an answer"
    return told + (f"; {found.unsearched} are not in the run" if found.unsearched else "")


def write_programs(view: RunView, out: Path, stage: str | None = None) -> str:
    """Write the programs of a stage, the last by default, a JSON object per line; return what was written."""
    name, count = stage_of(view, stage), 0
    lines = program_lines(view, name)
    with growing(out) as sink:
        for line in lines:
            sink.write(json.dumps(line) + "\n")
            count += 1
    return f"{count} programs of stage {name!r}"


@dataclass(frozen=True, slots=True)
class Submission:
    """The answers to a set of tasks as JSON text: how many tasks there are, have an answer, are not in the run."""

    stage: str
    text: str
    tasks: int
    answered: int
    unsearched: int = 0


def submission(view: RunView, stage: str | None = None, challenges: str | None = None) -> Submission:
    """Return the answers to the tasks of a stage, of the last by default; with `challenges`, a file of tasks, to all
    tasks in it, also where the run has only some of them.

    A task is answered by the newest finished search of the stage that has an answer to it, else by one that is not
    finished. `DataError` where nothing was searched yet, where the run's tasks are not those of the file, or where what
    the domain makes is no submission.
    """
    name = stage_of(view, stage)
    searches, ours = _begun(view, name), view.tasks[name]
    tasks = ours if challenges is None else _challenged(view.domain, ours, challenges)
    searched = {task.id for task in ours}
    found = {task.id: _answers(view, searches, task) if task.id in searched else [] for task in tasks}
    given = json.dumps(view.domain.submission([task.without_answers() for task in tasks], found))
    check(view.domain, tasks, found, json.loads(given))
    return Submission(name, given, len(tasks), sum(map(bool, found.values())), len(found.keys() - searched))


def _challenged(domain: Domain, ours: Sequence[Task], challenges: str) -> list[Task]:
    """Return the tasks of a challenge file; `DataError` where a task of the run is another one there, or none."""
    tasks = domain.load(challenges)
    there = {task.id: [example.input for example in task.test] for task in tasks}
    for task in ours:
        if task.id not in there:
            raise DataError(f"task {task.id!r} of the run is not in {challenges}: name the file that the run was on")
        if there[task.id] != [example.input for example in task.test]:
            raise DataError(
                f"task {task.id!r} has other test inputs in {challenges} than in the run: name its own file"
            )
    return tasks


def stage_of(view: RunView, stage: str | None) -> str:
    """Return the name of a stage of a run, of the last by default; `ConfigError` names them where it is none."""
    names = list(dict.fromkeys(step.stage.name for step in view.plan))
    if stage is not None and stage not in names:
        raise ConfigError(f"no stage {stage!r} in {view.path}: it has {', '.join(map(repr, names))}")
    return stage or names[-1]


def _begun(view: RunView, stage: str) -> list[Step]:
    """Return the searches of a stage that have begun: finished ones first, the newest first."""
    begun = {(row.stage, row.iteration): row.finished for row in view.reader.iterations()}
    found = [step for step in view.plan if step.stage.name == stage and step.key in begun]
    if not found:
        there = ", ".join(map(repr, dict.fromkeys(name for name, _ in begun))) or "none"
        raise DataError(f"no search of stage {stage!r} of {view.path} has begun; stages that have: {there} (--stage)")
    return sorted(found, key=lambda step: (not begun[step.key], -step.number))


def _answers(view: RunView, searches: Sequence[Step], task: Task) -> list[tuple[Value, ...]]:
    for step in searches:
        if ballots := view.answering.ballots(task, view.reader.programs(task.id, *step.key)):
            return [ballot.outputs for ballot in ballots[:2]]
    return []


def check(domain: Domain, tasks: Sequence[Task], answers: Answers, given: object) -> None:
    """Hold a submission, as it is read from its JSON, against the tasks: every id, every test input, two attempts, and
    in tasks with an answer only values of the domain. `DataError` says where it is something else."""
    ids = {task.id for task in tasks}
    if not isinstance(given, dict) or given.keys() != ids:
        found = sorted(ids ^ given.keys())[:3] if isinstance(given, dict) else type(given).__name__
        raise DataError(f"the domain's submission does not have exactly the stage's {len(ids)} tasks: {found}")
    for task in tasks:
        entries = given[task.id]
        if not isinstance(entries, list) or len(entries) != len(task.test):
            raise DataError(
                f"the submission of task {task.id!r} is no list of {len(task.test)} entries, one per test input"
            )
        for number, entry in enumerate(entries, 1):
            where = f"the submission of task {task.id!r}, test input {number}"
            if not isinstance(entry, dict) or entry.keys() != ATTEMPTS:
                raise DataError(f"{where}: expected {' and '.join(sorted(ATTEMPTS))}, found {str(entry)[:100]!r}")
            if answers[task.id]:
                _check_values(domain, where, entry)


def _check_values(domain: Domain, where: str, entry: Mapping[str, object]) -> None:
    for name, value in entry.items():
        try:
            same = frozen(domain.parse(value)) == frozen(value)
        except ValueError as error:
            raise DataError(f"{where}, {name}: {error}") from None
        if not same:
            raise DataError(f"{where}, {name}: not in canonical form: {str(value)[:100]!r}")


def model_of(view: RunView) -> str:
    """Return the name of the configured model, as the run was begun with it."""
    model = RunDirectory(view.path).manifest()["model"]
    return ": ".join(str(model[key]) for key in ("backend", "model") if model.get(key))


def program_lines(view: RunView, stage: str) -> Iterator[dict[str, Any]]:
    """Return an object per executed program of a stage, with the names of the published dataset (soar_arc_train_5M):
    tasks in their order, programs in the order of the search. `DataError` where no search of it has begun."""
    return _lines(view, stage, sorted(_begun(view, stage), key=lambda step: step.number), model_of(view))


def _lines(view: RunView, stage: str, searches: Sequence[Step], model: str) -> Iterator[dict[str, Any]]:
    for task in view.tasks[stage]:
        for step in searches:
            for program in view.reader.programs(task.id, *step.key):
                yield _line(task, program, model)


def _line(task: Task, program: Program, model: str) -> dict[str, Any]:
    return {
        "task_id": task.id,
        "code": program.code,
        "model": model,
        "generation": program.origin.iteration,
        "program": program.key,
        "stage": program.origin.stage,
        "iteration": program.origin.iteration,
        "phase": program.origin.phase,
        "parents": list(program.parents),
        "ran": program.ran,
        "correct_train_input": verdicts(task.train, program.train),
        "correct_test_input": verdicts(task.test, program.test) if task.answered else None,
        "predicted_train_output": [_value(output) for output in program.train],
        "predicted_test_output": [_value(output) for output in program.test],
    }


def _value(output: Output) -> Value | None:
    return None if isinstance(output, Failure) else output
