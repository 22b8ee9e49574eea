"""Exports a run's answers and programs for others: ARC Prize's submission format, and a line per program.

Knows the formats, and checks a submission against the tasks. Safe while the run is active. `soar.report.dataset` writes
tables of programs.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from soar.ensemble import Answering
from soar.errors import DataError
from soar.files import growing
from soar.protocols import Domain
from soar.report.meant import begun, stage_of
from soar.report.pool import Voice, ballots_together, voices_of, voting
from soar.report.view import RunView
from soar.run import RunDirectory, Step
from soar.scoring import verdicts
from soar.types import Failure, Output, Program, Task, Value, frozen

ATTEMPTS = {"attempt_1", "attempt_2"}
Answers: TypeAlias = Mapping[str, Sequence[tuple[Value, ...]]]
"""Up to two answers by task id, best first, each with a value per test input."""


def write_submission(
    view: RunView,
    out: Path,
    stage: str | None = None,
    challenges: str | None = None,
    others: Sequence[RunView] = (),
) -> str:
    """Write the answers to the tasks of a stage (by default the last) or of a challenge file, all or nothing; return
    what was written. The programs of `others` vote too."""
    found = submission(view, stage, challenges, others)
    with growing(out) as sink:
        sink.write(found.text + "\n")
    told = f"{found.answered} of {found.tasks} tasks of {challenges or f'stage {found.stage!r}'} have an answer"
    told += f"; {found.unsearched} are {'in no run' if others else 'not in the run'}" if found.unsearched else ""
    return told + (
        f"; {found.apart} are not the same in all runs: only the runs that share them vote" if found.apart else ""
    )


def write_programs(view: RunView, out: Path, stage: str | None = None) -> str:
    """Write the programs of a stage (by default the last), one JSON object per line; return what was written."""
    name, count = stage_of(view, stage), 0
    lines = program_lines(view, name)
    with growing(out) as sink:
        for line in lines:
            sink.write(json.dumps(line) + "\n")
            count += 1
    return f"{count} programs of stage {name!r}"


@dataclass(frozen=True, slots=True)
class Submission:
    """The answers to a set of tasks as JSON text; and how many tasks there are, have an answer, are in no run, and are
    missing from some of the runs that vote together or have other pairs there."""

    stage: str
    text: str
    tasks: int
    answered: int
    unsearched: int = 0
    apart: int = 0


def submission(
    view: RunView, stage: str | None = None, challenges: str | None = None, others: Sequence[RunView] = ()
) -> Submission:
    """Return the answers to the tasks of a stage (by default the last); with `challenges`, a file of tasks, to all
    tasks in it, even if the run has only some of them.

    A task is answered by the newest finished search of the stage that has an answer to it, else by an unfinished one.
    Programs of `others` chosen the same way also vote on every task that they have with the same pairs, by the vote and
    filters of the first run (§5, "all models"). `DataError` if nothing has been searched yet, if a run's tasks are not
    those of the file, or if what the domain makes is no valid submission.
    """
    voices = voices_of([view, *others], stage)
    if challenges is None:
        tasks = [*view.tasks[stage_of(view, stage)]]
    else:
        tasks = _challenged(view.domain, [task for voice in voices for task in voice.tasks.values()], challenges)
    takers = {task.id: voting(voices, task.id) for task in tasks}
    found = {task.id: _answers(takers[task.id], task, view.answering) for task in tasks}
    asked = [task.without_answers() for task in tasks]
    given = _as_json(view.domain.submission(asked, found))
    if has_attempts(asked, json.loads(_as_json(view.domain.submission(asked, {})))):
        check(view.domain, tasks, found, json.loads(given))
    return Submission(
        stage=stage_of(view, stage),
        text=given,
        tasks=len(tasks),
        answered=sum(map(bool, found.values())),
        unsearched=sum(not runs for runs in takers.values()),
        apart=sum(0 < len(runs) < len(voices) for runs in takers.values()),
    )


def _answers(voices: Sequence[Voice], task: Task, answering: Answering) -> list[tuple[Value, ...]]:
    return [ballot.outputs for ballot in ballots_together(voices, task, answering)[:2]]


def _challenged(domain: Domain, ours: Sequence[Task], challenges: str) -> list[Task]:
    """Return the tasks of a challenge file; `DataError` if a task of the run differs there or is missing."""
    tasks = domain.load(challenges)
    if rejected := domain.rejected(challenges):
        raise DataError(
            f"{len(rejected)} tasks of {challenges} cannot be read, so the submission would lack them, the first:"
            f" {next(iter(rejected.values()))}. Mend them there, or leave out --challenges to export the run's tasks"
        )
    there = {task.id: [example.input for example in task.test] for task in tasks}
    for task in ours:
        if task.id not in there:
            raise DataError(f"task {task.id!r} of the run is not in {challenges}: name the file that the run searched")
        if there[task.id] != [example.input for example in task.test]:
            raise DataError(
                f"task {task.id!r} has other test inputs in {challenges} than in the run: name the file it searched"
            )
    return tasks


def _as_json(found: object) -> str:
    try:
        return json.dumps(found)
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(
            f"the domain's submission is no JSON: {error}; expected lists, objects, texts, numbers"
        ) from None


def has_attempts(tasks: Sequence[Task], unanswered: object) -> bool:
    """Return whether a domain writes submissions as ARC does, by the one that it gives without any answer: another form
    is the domain's own, and only the domain knows what is right in it."""
    if not isinstance(unanswered, dict):
        return False
    given = [each for task in tasks if isinstance(each := unanswered.get(task.id), list)]
    entries = [entry for each in given for entry in each]
    return bool(entries) and all(isinstance(entry, dict) and entry.keys() == ATTEMPTS for entry in entries)


def check(domain: Domain, tasks: Sequence[Task], answers: Answers, given: object) -> None:
    """Check a submission, as read back from its JSON, against the tasks: every id, every test input, two attempts, and
    only values of the domain for tasks with an answer. `DataError` says where it differs."""
    ids = {task.id for task in tasks}
    if not isinstance(given, dict) or given.keys() != ids:
        found = sorted(ids ^ given.keys())[:3] if isinstance(given, dict) else type(given).__name__
        raise DataError(f"the domain's submission does not have exactly the stage's {len(ids)} tasks: {found}")
    for task in tasks:
        entries = given[task.id]
        if not isinstance(entries, list) or len(entries) != len(task.test):
            raise DataError(
                f"the submission of task {task.id!r} is not a list of {len(task.test)} entries, one per test input"
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
    """Return the name of the model that the run was started with."""
    model = RunDirectory(view.path).manifest()["model"]
    return ": ".join(str(model[key]) for key in ("backend", "model") if model.get(key))


def program_lines(view: RunView, stage: str) -> Iterator[dict[str, Any]]:
    """Return one object per executed program of a stage, with the names of the published dataset (soar_arc_train_5M):
    by task, then in search order. `DataError` if no search of the stage has begun."""
    return _lines(view, stage, sorted(begun(view, stage), key=lambda step: step.number), model_of(view))


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
