"""What a run found for one task: its searches with their answers and votes, its programs by worth, and their lineage.

Knows the archive, the vote and what is right; does not know how it is shown. Reads expected test outputs, as a report
does, to say what is right; never returns those that a stage hides. Safe while the run is active.
"""

import difflib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Literal

from soar.archive.rows import CompletionRow
from soar.ensemble import Ballot, filtered
from soar.errors import DataError, StoreError
from soar.protocols import Domain
from soar.report.view import RunView
from soar.run import RunDirectory, Step
from soar.scoring import oracle, score, verdicts
from soar.types import Program, Task

NAMED = 5
"""How many existing names an error lists."""


@dataclass(frozen=True, slots=True)
class TaskSearch:
    """What one search found for a task. `ballots` are at most two answers; `right` says of each whether it has all test
    outputs right; `right`, `solved` and `oracle` are None if these are not known. `useless` says how the completions
    that hold no program ended; `sample` is the first of them."""

    step: Step
    finished: bool
    completions: int
    programs: int
    ballots: tuple[Ballot, ...]
    right: tuple[bool, ...] | None
    solved: bool | None
    oracle: bool | None
    useless: Mapping[str, int] = field(default_factory=dict)
    sample: CompletionRow | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A program and what it is worth: how many training pairs it is right on, the votes for its outputs in its search
    (0 if `rejected` says why it may not vote), and which test outputs it has right (None if these are not known).
    `copies` counts the completions with this code."""

    program: Program
    right: int
    votes: int
    rejected: str | None
    test_right: tuple[bool, ...] | None
    copies: int = 1


@dataclass(frozen=True)
class TaskView:
    """Everything a run has about one task: its searches in order, and every executed program in search order.

    `task` holds the test outputs that its stages know. A notebook shows it as a page would.
    """

    task: Task
    searches: tuple[TaskSearch, ...]
    found: tuple[Found, ...]
    domain: Domain = field(repr=False, compare=False)

    @property
    def programs(self) -> list[Found]:
        """The distinct programs, best first: by right training pairs, by votes, then the shortest."""
        by_code = sorted(self.found, key=lambda each: each.program.code)
        groups = [list(group) for _, group in groupby(by_code, key=lambda each: each.program.code)]
        distinct = [replace(max(group, key=lambda each: each.votes), copies=len(group)) for group in groups]
        return sorted(distinct, key=_worth)

    @property
    def best(self) -> Found | None:
        """The best program, None if there is none yet."""
        return next(iter(self.programs), None)

    def _repr_html_(self) -> str:
        from soar.report.html.task import task_cell  # only a notebook needs it

        return task_cell(self)


@dataclass(frozen=True, slots=True)
class Taught:
    """How often a program was a training example of one kind for the model of a search, and why it was chosen, if that
    was recorded."""

    stage: str
    iteration: int
    kind: Literal["sample", "refine"]
    examples: int
    why: tuple[str, ...] = ()


def _worth(found: Found) -> tuple:
    return (-found.right, -found.votes, not found.program.ran, len(found.program.code), found.program.origin)


def task_view(view: RunView, task_id: str) -> TaskView:
    """Return what a run found for a task. `DataError` for an unknown id names similar ones."""
    task, stages = _task_of(view, task_id)
    begun = {(row.stage, row.iteration): row.finished for row in view.reader.iterations()}
    searches: list[TaskSearch] = []
    found: list[Found] = []
    for step in view.plan:
        if step.stage.name in stages and step.key in begun:
            programs = view.reader.programs(task.id, *step.key)
            ballots = view.answering.ballots(task, programs)
            searches.append(_search(view, step, task, programs, ballots, finished=begun[step.key]))
            found += _judged(view, task, programs, ballots)
    known = all(step.stage.known for step in view.plan if step.stage.name in stages)
    return TaskView(task if known else task.without_answers(), tuple(searches), tuple(found), view.domain)


def _task_of(view: RunView, task_id: str) -> tuple[Task, set[str]]:
    """Return a task with the answers that its source holds, and the stages that it is in."""
    tasks = {name: {task.id: task for task in found} for name, found in view.tasks.items()}
    stages = {name for name, found in tasks.items() if task_id in found}
    if not stages:
        ids = sorted({id_ for found in tasks.values() for id_ in found})
        raise DataError(f"no task {task_id!r} in {view.path}: it has {_named(task_id, ids)}")
    return tasks[min(stages)][task_id], stages


def _search(
    view: RunView, step: Step, task: Task, programs: Sequence[Program], ballots: Sequence[Ballot], *, finished: bool
) -> TaskSearch:
    completions, _ = view.reader.completion_counts(*step.key, task.id)
    useless = view.reader.without_code(*step.key, task.id)
    answers, known = tuple(ballots[:2]), task.answered
    return TaskSearch(
        step=step,
        finished=finished,
        completions=completions,
        programs=len(programs),
        ballots=answers,
        right=tuple(all(verdicts(task.test, ballot.outputs)) for ballot in answers) if known else None,
        solved=score(task, [ballot.outputs for ballot in answers]).solved if known else None,
        oracle=oracle(task, programs) if known else None,
        useless=Counter(row.status for row in useless),
        sample=useless[0] if useless else None,
    )


def _judged(view: RunView, task: Task, programs: Sequence[Program], ballots: Sequence[Ballot]) -> list[Found]:
    votes, hidden = {ballot.key: ballot.votes for ballot in ballots}, task.without_answers()
    found = []
    for program in programs:
        _, reasons = filtered(hidden, [program], view.answering.filters)
        rejected = next((reason for reason, count in reasons.items() if count), None)
        found.append(
            Found(
                program=program,
                right=sum(verdicts(task.train, program.train)),
                votes=0 if rejected else votes.get(program.ballot or "", 0),
                rejected=rejected,
                test_right=verdicts(task.test, program.test) if task.answered else None,
            )
        )
    return found


def program_of(seen: TaskView, key: str) -> Found:
    """Return the program with an id. `DataError` for an unknown id names similar ones."""
    named = next((each for each in seen.found if each.program.key == key), None)
    if named is None:
        keys = [each.program.key for each in seen.found]
        there = f"it has {_named(key, keys)}" if keys else "it has none"
        raise DataError(
            f"no program {key!r} of task {seen.task.id!r}: {there}; `soar show RUN_DIR TASK` lists the best"
        )
    return replace(named, copies=sum(each.program.code == named.program.code for each in seen.found))


def _named(name: str, there: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, there, NAMED, 0.0)
    rest = [each for each in there if each not in close][: NAMED - len(close)]
    return f"{len(there)}, like {', '.join(map(repr, [*close, *rest]))}"


def ancestors(seen: TaskView, program: Program) -> list[Program]:
    """Return a program and all its ancestors, oldest first: samples before refinements."""
    by_key = {each.program.key: each.program for each in seen.found}
    line, waiting = {program.key: program}, list(program.parents)
    while waiting:
        key = waiting.pop()
        if key in by_key and key not in line:
            line[key] = by_key[key]
            waiting += by_key[key].parents
    return sorted(line.values(), key=lambda each: (each.origin.phase != "sample", each.origin))


def descent(seen: TaskView, program: Program) -> list[Program]:
    """Return the path from a sample to a program, through the best parent of each, oldest first."""
    by_key = {each.program.key: each.program for each in seen.found}
    way, there = [program], {program.key}
    while parents := [by_key[key] for key in way[-1].parents if key in by_key and key not in there]:
        way.append(max(parents, key=lambda each: each.accuracy))
        there.add(way[-1].key)
    return way[::-1]


def taught_in(view: RunView, seen: TaskView, program: Program) -> list[Taught]:
    """Return how often a program's code was a training example, by the data of the run's finetunings that still exists.

    `StoreError` if a line of that data cannot be read.
    """
    keys = {each.program.key for each in seen.found if each.program.code == program.code}
    directory, found = RunDirectory(view.path), list[Taught]()
    for step in view.plan:
        rows = (row for file in directory.examples(step.number) for row in _examples(file, seen.task.id))
        own = [row for row in rows if row["program"] in keys]
        for kind in ("sample", "refine"):
            if whys := [row.get("why") for row in own if row["kind"] == kind]:
                found.append(Taught(*step.key, kind, len(whys), tuple(dict.fromkeys(filter(None, whys)))))
    return found


def _examples(data: Path, task_id: str) -> Iterable[Mapping[str, str]]:
    """Yield the examples made from one task."""
    try:
        with data.open(encoding="utf-8") as lines:
            for line in lines:
                if json.dumps(task_id) in line and (row := json.loads(line))["task"] == task_id:
                    yield row
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{data} is damaged ({type(error).__name__}: {error}): put back a copy") from None
