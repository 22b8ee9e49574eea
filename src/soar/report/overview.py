"""All of a run at a glance, read once: every search's record, the state of every task, how the score grew, what failed,
and the programs that tell most.

Knows the archive and what is right; does not know how it is shown. Never returns test outputs that a stage hides. Keeps
only sums and a few programs per task, so that a run of millions of programs fits in memory.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from soar.archive.tallies import WITH_CODE
from soar.report.metrics import report
from soar.report.task_results import TaskResult
from soar.report.view import RunView
from soar.run import Step
from soar.scoring import solves, verdicts
from soar.types import Failure, Phase, Program, Task

State: TypeAlias = Literal["solved", "fits", "partly", "nothing", "waiting"]
"""Of a task: a voted answer is right; a program is right on all training pairs; on some; on none; no programs yet."""

Kind: TypeAlias = Literal["right", "deceived", "near"]
"""Of a telling program: right on all known pairs; right on the training pairs but wrong on a test output; the nearest
if none is right on the training pairs."""

PHASES: tuple[Phase, ...] = ("sample", "refine")
TELLING = 20
"""How many telling programs are returned."""

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
    """What is kept of one task of one stage while its searches are read."""

    task: Task
    solved: bool = False
    programs: int = 0
    right_programs: int = 0
    best: dict[Kind, Program] = field(default_factory=dict)
    partly: bool = False


class _Reading:
    """Takes in programs search by search, and keeps sums."""

    def __init__(self) -> None:
        self.seen: dict[tuple[str, str], _Seen] = {}
        self.firsts: defaultdict[tuple[str, int, Phase, bool], list[int]] = defaultdict(list)
        self.judged: Counter[tuple[str, bool]] = Counter()
        self.sizes: Counter[tuple[str, int, Phase]] = Counter()
        self.failures: Counter[str] = Counter()
        self.examples: dict[str, str] = {}

    def note(self, step: Step, task: Task, programs: Sequence[Program], result: TaskResult) -> None:
        """Take in the programs of one task of one search."""
        kept = self.seen.setdefault((step.stage.name, task.id), _Seen(task))
        kept.solved |= bool(result.solved)
        kept.programs += len(programs)
        by_phase: dict[Phase, list[Program]] = {
            phase: [each for each in programs if each.origin.phase == phase] for phase in PHASES
        }
        for phase, found in by_phase.items():
            self.sizes[(*step.key, phase)] = max(self.sizes[(*step.key, phase)], len(found))
        for known in (False, True) if task.answered else (False,):
            self._note_first(step, task if known else task.without_answers(), by_phase, known=known)
        hidden = task.without_answers()
        for program in programs:
            _keep(kept, task, program, fits=solves(hidden, program))
            self._note_failure(program)

    def _note_first(self, step: Step, task: Task, by_phase: Mapping[Phase, Sequence[Program]], *, known: bool) -> None:
        """Note in which phase a task was first solved, and after how many programs of that phase."""
        self.judged[(step.stage.name, known)] += 1
        for phase, programs in by_phase.items():
            in_time = sorted(programs, key=lambda each: (each.origin.step, each.origin.island, each.origin.index))
            first = next((n for n, each in enumerate(in_time, 1) if solves(task, each)), None)
            if first is not None:
                self.firsts[(*step.key, phase, known)].append(first)
                return

    def _note_failure(self, program: Program) -> None:
        failure = next((output for output in program.outputs if isinstance(output, Failure)), None)
        name = failure.type if failure else "nondeterministic" if program.nondeterministic else None
        if name:
            self.failures[name] += 1
            self.examples.setdefault(name, failure.message if failure else "")


def _keep(kept: _Seen, task: Task, program: Program, *, fits: bool) -> None:
    """Keep a program if it is the best of its kind: refinements before samples, then the shortest."""
    kept.right_programs += fits
    kept.partly |= program.accuracy > 0
    kind: Kind = "near" if not fits else "right" if solves(task, program) else "deceived"
    other = kept.best.get(kind)
    if (fits or program.accuracy > 0) and (other is None or _rank(program) > _rank(other)):
        kept.best[kind] = program


def _rank(program: Program) -> tuple:
    return program.accuracy, program.ran, bool(program.parents), -len(program.code), program.key


def overview(view: RunView) -> Overview:
    """Read a run as it stands."""
    reading = _Reading()
    found = report(view, reading.note)
    return Overview(
        records=found["iterations"],
        requests=found["requests"],
        tiles=_tiles(view, reading),
        curves=_curves(view, reading),
        failures=_failures(found["iterations"], reading),
        telling=_telling(view, reading.seen),
    )


def _tiles(view: RunView, reading: _Reading) -> dict[str, list[Tile]]:
    stages = {step.stage.name: step.stage for step in view.plan}
    tiles: dict[str, list[Tile]] = {}
    for name, tasks in view.tasks.items():
        shown = stages[name].visible(tasks)
        tiles[name] = [_tile(task, reading.seen.get((name, task.id))) for task in shown]
    return tiles


def _tile(task: Task, kept: _Seen | None) -> Tile:
    if kept is None or not kept.programs:
        return Tile(task, "waiting", 0)
    state: State = (
        "solved" if kept.solved else "fits" if kept.right_programs else "partly" if kept.partly else "nothing"
    )
    return Tile(task, state, kept.programs)


def _curves(view: RunView, reading: _Reading) -> dict[str, list[Curve]]:
    """Return the curves by stage. Refinement continues where sampling ended, with what that had solved."""
    curves: defaultdict[str, list[Curve]] = defaultdict(list)
    for step in view.plan:
        for known in (False, True):
            at = solved = 0
            for phase in PHASES:
                size, firsts = reading.sizes[(*step.key, phase)], reading.firsts[(*step.key, phase, known)]
                if size and reading.judged[(step.stage.name, known)]:
                    curves[step.stage.name].append(Curve(*step.key, phase, known, _points(firsts, at, size, solved)))
                at, solved = at + size, solved + len(firsts)
    return dict(curves)


def _points(firsts: Iterable[int], at: int, size: int, solved: int) -> tuple[tuple[int, int], ...]:
    counts, points = Counter(firsts), [(at, solved)]
    for place in sorted(counts):
        solved += counts[place]
        points.append((at + place, solved))
    return tuple(points) if points[-1][0] == at + size else (*points, (at + size, solved))


def _failures(records: Iterable[Mapping[str, Any]], reading: _Reading) -> list[FailureKind]:
    """Return what ended programs and completions, the most frequent first."""
    counts, examples = Counter(reading.failures), {**reading.examples}
    for record in records:
        for status, count in record["status"].items():
            if status not in WITH_CODE:
                counts[status] += count
                examples.setdefault(status, "no program in the completion")
    return [FailureKind(name, count, examples[name]) for name, count in counts.most_common()]


def _telling(view: RunView, seen: Mapping[tuple[str, str], _Seen]) -> list[Telling]:
    """Return the most telling programs, one per task and stage: right ones of tasks that few programs solve, wrong ones
    of tasks with the most programs right on the training pairs, and the nearest."""
    stages = {step.stage.name: step.stage for step in view.plan}
    found: dict[Kind, list[Telling]] = {kind: [] for kind in SHARES}
    for (stage, _), kept in seen.items():
        kind: Kind | None = next((kind for kind in SHARES if kind in kept.best), None)
        if kind:
            (task,) = stages[stage].visible([kept.task])
            right = verdicts(kept.task.test, kept.best[kind].test) if kept.task.answered else None
            telling = Telling(kind, task, kept.best[kind], right, kept.right_programs, kept.programs)
            found[kind].append(telling)
    found["right"].sort(key=lambda each: (each.right_programs / each.programs, not each.program.parents, each.task.id))
    found["deceived"].sort(key=lambda each: (-each.right_programs, each.task.id))
    found["near"].sort(key=lambda each: (-each.program.accuracy, each.task.id))
    first = {kind: found[kind][:share] for kind, share in SHARES.items()}
    left = [each for kind, share in SHARES.items() for each in found[kind][share:]]
    spare = left[: TELLING - sum(map(len, first.values()))]
    return [each for kind in SHARES for each in [*first[kind], *(more for more in spare if more.kind == kind)]]
