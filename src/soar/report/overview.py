"""All of a run at a glance: every search's record, the state of every task, how the score grew, what failed, and the
programs that tell most.

Knows how the results of searches add up; does not know how it is shown. Never returns test outputs that a stage hides.
Of a finished search only the programs that are shown are read, and the best of each task to choose from.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from soar.archive.tallies import WITH_CODE
from soar.report.digest import KINDS, PHASES, Kind, failure_of, telling_rank
from soar.report.metrics import SearchResults, report_of, search_results
from soar.report.view import RunView
from soar.scoring import verdicts
from soar.types import Origin, Phase, Program, Task

State: TypeAlias = Literal["solved", "fits", "partly", "nothing", "waiting"]
"""Of a task: a voted answer is right; a program is right on all training pairs; on some; on none; no programs yet."""

TELLING = 20
"""How many telling programs are returned."""

WITH_EXAMPLE = 20
"""Of how many kinds of failure, the most frequent first, a message is read."""

SHARES: Mapping[Kind, int] = {"right": 12, "deceived": 4, "near": 4}
"""How many of each kind, if there are that many; other kinds take the places left."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A task with the outputs that its stage knows, and how far the searches of the stage got."""

    task: Task
    state: State
    programs: int


@dataclass(frozen=True, slots=True)
class Curve:
    """How many tasks one phase of a search had solved after how many programs per task: `points` are (programs, tasks),
    counting programs from the start of the search. `known`: right on all test outputs, too."""

    stage: str
    iteration: int
    phase: Phase
    known: bool
    points: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class FailureKind:
    """What ended programs: a failure's type or the reason why a completion held no program, how often, and one of its
    messages."""

    name: str
    count: int
    example: str


@dataclass(frozen=True, slots=True)
class Telling:
    """A telling program with its task, and how many of that task's programs are right on the training pairs."""

    kind: Kind
    task: Task
    program: Program
    test_right: tuple[bool, ...] | None
    right_programs: int
    programs: int


@dataclass(frozen=True)
class Overview:
    """A run as it stands. `records` are those of ``soar report --json``; tiles and curves are by stage."""

    records: Sequence[Mapping[str, Any]]
    requests: Mapping[str, int]
    tiles: Mapping[str, Sequence[Tile]]
    curves: Mapping[str, Sequence[Curve]]
    failures: Sequence[FailureKind]
    telling: Sequence[Telling]


@dataclass
class _Seen:
    """What the searches of a stage reached on one task."""

    task: Task
    solved: bool = False
    programs: int = 0
    right_programs: int = 0
    partly: bool = False
    telling: dict[Kind, list[Origin]] = field(default_factory=lambda: defaultdict(list))


def overview(view: RunView) -> Overview:
    """Read a run as it stands."""
    searches = search_results(view)
    found = report_of(view, searches)
    seen = _seen(view, searches)
    return Overview(
        records=found["iterations"],
        requests=found["requests"],
        tiles=_tiles(view, seen),
        curves=_curves(searches),
        failures=_failures(view, searches, found["iterations"]),
        telling=_telling(view, seen),
    )


def _seen(view: RunView, searches: Sequence[SearchResults]) -> dict[tuple[str, str], _Seen]:
    """Return what the searches reached together, by stage and task."""
    seen: dict[tuple[str, str], _Seen] = {}
    for step, _, results in searches:
        for task, result in zip(view.tasks[step.stage.name], results, strict=True):
            kept = seen.setdefault((step.stage.name, task.id), _Seen(task))
            kept.solved |= bool(result.solved)
            kept.programs += result.programs
            kept.right_programs += result.digest.fitting
            kept.partly |= result.digest.partly
            if result.digest.telling:
                kind, place = result.digest.telling
                kept.telling[kind].append(Origin(*step.key, task.id, *place))
    return seen


def _tiles(view: RunView, seen: Mapping[tuple[str, str], _Seen]) -> dict[str, list[Tile]]:
    stages = {step.stage.name: step.stage for step in view.plan}
    return {
        name: [_tile(task, seen.get((name, task.id))) for task in stages[name].visible(tasks)]
        for name, tasks in view.tasks.items()
    }


def _tile(task: Task, kept: _Seen | None) -> Tile:
    if kept is None or not kept.programs:
        return Tile(task, "waiting", 0)
    state: State = (
        "solved" if kept.solved else "fits" if kept.right_programs else "partly" if kept.partly else "nothing"
    )
    return Tile(task, state, kept.programs)


def _curves(searches: Sequence[SearchResults]) -> dict[str, list[Curve]]:
    """Return the curves by stage. Refinement continues where sampling ended, with what that had solved."""
    curves: defaultdict[str, list[Curve]] = defaultdict(list)
    for step, _, results in searches:
        for known in (False, True):
            judged = [result.digest for result in results if result.solved is not None or not known]
            firsts = [each.first_solved if known else each.first_fit for each in judged]
            at = solved = 0
            for phase in PHASES:
                numbers = [first.number for first in firsts if first and first.phase == phase]
                size = max((result.digest.sizes[phase] for result in results), default=0)
                if size and judged:
                    curves[step.stage.name].append(Curve(*step.key, phase, known, _points(numbers, at, size, solved)))
                at, solved = at + size, solved + len(numbers)
    return dict(curves)


def _points(firsts: Iterable[int], at: int, size: int, solved: int) -> tuple[tuple[int, int], ...]:
    counts, points = Counter(firsts), [(at, solved)]
    for place in sorted(counts):
        solved += counts[place]
        points.append((at + place, solved))
    return tuple(points) if points[-1][0] == at + size else (*points, (at + size, solved))


def _failures(
    view: RunView, searches: Sequence[SearchResults], records: Iterable[Mapping[str, Any]]
) -> list[FailureKind]:
    """Return what ended programs and completions, the most frequent first."""
    counts: Counter[str] = Counter()
    first: dict[str, Origin] = {}
    for step, _, results in searches:
        for result in results:
            for name, found in result.digest.failures.items():
                counts[name] += found.count
                first.setdefault(name, Origin(*step.key, result.task_id, *found.example))
    for record in records:
        for status, count in record["status"].items():
            if status not in WITH_CODE:
                counts[status] += count
    ranked = counts.most_common()
    return [
        FailureKind(name, count, _message(view, first.get(name)) if rank < WITH_EXAMPLE else "")
        for rank, (name, count) in enumerate(ranked)
    ]


def _message(view: RunView, origin: Origin | None) -> str:
    """Return the message of what ended the program at a place, or what ended completions that hold none."""
    if origin is None:
        return "no program in the completion"
    failure = failure_of(view.reader.program(origin))
    return failure[1] if failure else ""


def _telling(view: RunView, seen: Mapping[tuple[str, str], _Seen]) -> list[Telling]:
    """Return the most telling programs, one per task and stage: right ones of tasks that few programs solve, wrong ones
    of tasks with the most programs right on the training pairs, and the nearest."""
    stages = {step.stage.name: step.stage for step in view.plan}
    found: dict[Kind, list[Telling]] = {kind: [] for kind in KINDS}
    for (stage, _), kept in seen.items():
        kind: Kind | None = next((kind for kind in KINDS if kind in kept.telling), None)
        if kind:
            (task,) = stages[stage].visible([kept.task])
            program = max(map(view.reader.program, kept.telling[kind]), key=telling_rank)
            right = verdicts(kept.task.test, program.test) if kept.task.answered else None
            found[kind].append(Telling(kind, task, program, right, kept.right_programs, kept.programs))
    found["right"].sort(key=lambda each: (each.right_programs / each.programs, not each.program.parents, each.task.id))
    found["deceived"].sort(key=lambda each: (-each.right_programs, each.task.id))
    found["near"].sort(key=lambda each: (-each.program.accuracy, each.task.id))
    first = {kind: found[kind][:share] for kind, share in SHARES.items()}
    left = [each for kind, share in SHARES.items() for each in found[kind][share:]]
    spare = left[: TELLING - sum(map(len, first.values()))]
    return [each for kind in KINDS for each in [*first[kind], *(more for more in spare if more.kind == kind)]]
