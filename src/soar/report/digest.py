"""What is shown of one task's programs in one search: where it was first solved, what failed, which program tells most.

Reports show this of searches of millions of programs without reading them again. Knows what is right; knows neither
files nor the archive. Names programs by their place, so that nothing of a program is kept twice.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from soar.scoring import solves
from soar.types import Failure, Origin, Phase, Program, Task

Kind: TypeAlias = Literal["right", "deceived", "near"]
"""Of a telling program: right on all known pairs; right on the training pairs but wrong on a test output; the nearest
if none is right on the training pairs."""

KINDS: tuple[Kind, ...] = ("right", "deceived", "near")
"""The kinds, those that tell more of a task first."""

PHASES: tuple[Phase, ...] = ("sample", "refine")

Place: TypeAlias = tuple[Phase, int, int, int]
"""A program's place in the search of its task: phase, island, step, index."""


@dataclass(frozen=True, slots=True)
class First:
    """The first program that solves a task: the `number`th of its phase, counted from 1 in the order of steps."""

    phase: Phase
    number: int


@dataclass(frozen=True, slots=True)
class FailureCount:
    """How many programs of a task failed alike, and the place of the first of them."""

    count: int
    example: Place


@dataclass(frozen=True, slots=True)
class Digest:
    """The programs of one task in one search.

    `sizes` counts them by phase, `fitting` those that are right on all training pairs; `partly` says whether any is
    right on one. `first_fit` is the first that is right on all training pairs, `first_solved` the first that is right
    on the test pairs, too (None if none is, or if their outputs are not known). `failures` are by type; a program that
    is not deterministic but never fails counts as ``nondeterministic``. `telling` is the program that tells most, None
    if none is right on any training pair.
    """

    sizes: Mapping[Phase, int]
    fitting: int
    partly: bool
    first_fit: First | None
    first_solved: First | None
    failures: Mapping[str, FailureCount]
    telling: tuple[Kind, Place] | None


def digest(task: Task, programs: Sequence[Program]) -> Digest:
    """Return what is shown of a task's programs in one search, given in search order."""
    hidden = task.without_answers()
    fitting = [program for program in programs if solves(hidden, program)]
    right = [program for program in fitting if solves(task, program)]
    by_phase: dict[Phase, list[Program]] = {
        phase: [program for program in programs if program.origin.phase == phase] for phase in PHASES
    }
    return Digest(
        sizes={phase: len(found) for phase, found in by_phase.items()},
        fitting=len(fitting),
        partly=any(program.accuracy > 0 for program in programs),
        first_fit=_first(by_phase, fitting),
        first_solved=_first(by_phase, right) if task.answered else None,
        failures=_failures(programs),
        telling=_telling(programs, fitting, right),
    )


def from_json(row: Mapping[str, Any]) -> Digest:
    """Return the digest whose `dataclasses.asdict` became JSON."""
    failures = {
        name: FailureCount(found["count"], _place_from_json(found["example"]))
        for name, found in row["failures"].items()
    }
    telling = (row["telling"][0], _place_from_json(row["telling"][1])) if row["telling"] else None
    firsts = {name: row[name] and First(**row[name]) for name in ("first_fit", "first_solved")}
    return Digest(**{**row, **firsts, "failures": failures, "telling": telling})


def _place_from_json(values: Sequence[Any]) -> Place:
    phase, island, step, index = values
    return phase, island, step, index


def failure_of(program: Program) -> tuple[str, str] | None:
    """Return the type and the message of what ended a program, None if it ran."""
    if program.ran:
        return None
    failure = next((output for output in program.outputs if isinstance(output, Failure)), None)
    return (failure.type, failure.message) if failure else ("nondeterministic", "")


def telling_rank(program: Program) -> tuple:
    """Return what telling programs of a kind are compared by: refinements before samples, then the shortest."""
    return program.accuracy, program.ran, bool(program.parents), -len(program.code), program.key


def in_time(origin: Origin) -> tuple[bool, int, int, int]:
    """Return the key that sorts completions of one task and search by the order of the search."""
    return origin.phase != "sample", origin.step, origin.island, origin.index


def _first(by_phase: Mapping[Phase, Sequence[Program]], solving: Iterable[Program]) -> First | None:
    """Return the first of the programs that solve a task."""
    origin = min((program.origin for program in solving), key=in_time, default=None)
    if origin is None:
        return None
    before = [each for each in by_phase[origin.phase] if in_time(each.origin) < in_time(origin)]
    return First(origin.phase, 1 + len(before))


def _failures(programs: Iterable[Program]) -> dict[str, FailureCount]:
    found: dict[str, FailureCount] = {}
    for program in programs:
        if failure := failure_of(program):
            name, _ = failure
            known = found.get(name, FailureCount(0, _place(program)))
            found[name] = FailureCount(known.count + 1, known.example)
    return found


def _telling(
    programs: Sequence[Program], fitting: Sequence[Program], right: Sequence[Program]
) -> tuple[Kind, Place] | None:
    near = [program for program in programs if program.accuracy > 0]
    found: dict[Kind, Sequence[Program]] = {"right": right, "deceived": fitting, "near": near}
    for kind in KINDS:
        if found[kind]:
            return kind, _place(max(found[kind], key=telling_rank))
    return None


def _place(program: Program) -> Place:
    origin = program.origin
    return origin.phase, origin.island, origin.step, origin.index
