"""The score against what was spent: the vote over a growing number of the first programs of every task (Figures 5 and 7
to 9).

Knows programs, votes and tokens; draws nothing. "First" means in search order: a task's samples in the order of their
requests, then its refinements call by call, the islands in turn, because they ran side by side.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeAlias

from soar.ensemble import Answering, filtered
from soar.report.digest import in_time
from soar.report.figures.figure import Figure, Panel, Series, cell, counted, lines, searches, stages
from soar.report.figures.point import Drawn, Means, Place, Point, long_form, means, point
from soar.scoring import oracle, score
from soar.types import Origin, Program, Task

MEASURES = ("score_mean", "solved", "oracle")
ACROSS = {"": "programs per task", "tokens": "tokens per task", "seconds": "seconds of the search"}
"""What scores are plotted against, with the label of the axis; "" for programs."""

SAYS = (
    "The score, in percent of the tasks whose answers are known, if every task had only its first k programs: these"
    " vote, and the others are not there. First is the order of the search: samples in the order of their requests,"
    " then refinements call by call, the islands in turn. A task with fewer than k programs votes with all it has; the"
    " last k is the most that a task has.",
    "tokens: of prompts and completions up to the k-th program, those of completions without a program too, the mean"
    " over tasks. seconds: of the search's wall-clock seconds the share that these tokens are of all, since calls run"
    " side by side; finetuning is not in it. Neither is drawn where no tokens were counted.",
)


@dataclass(frozen=True, slots=True)
class Reached:
    """What the first `programs` programs of a task reach, and the tokens of all completions up to there."""

    programs: int
    share: float
    solved: bool
    oracle: bool
    tokens: int


Track: TypeAlias = Sequence[Reached]
"""A task's way through a search: after 1, 2, 4, … programs, and all; the last has the tokens of all completions."""


def track(
    task: Task,
    programs: Sequence[Program],
    tokens: Mapping[Origin, int],
    answering: Answering,
    counts: Sequence[int] = (),
    earlier: Sequence[Program] = (),
) -> tuple[Reached, ...]:
    """Return what a task's programs of one search reach, the smallest number of them first. `tokens` covers every
    completion, with or without a program; the task's answers must be known. `counts` replaces 1, 2, 4, …; programs of
    `earlier` searches vote with them and are not counted."""
    order = sorted(tokens, key=in_time)
    spent = dict(zip(order, accumulate(tokens[origin] for origin in order), strict=True))
    programs = sorted(programs, key=lambda program: in_time(program.origin))
    kept = filtered(task.without_answers(), [*earlier, *programs], answering.filters)[0]
    may, before = {program.key for program in kept}, oracle(task, earlier)
    found = []
    asked = counts or sizes(len(programs))
    for count in (*(each for each in asked if each < len(programs)), len(programs)):
        first = programs[:count]
        ballots = answering.voter([program for program in (*earlier, *first) if program.key in may])
        scored = score(task, [ballot.outputs for ballot in ballots])
        whole = count == len(programs)
        cost = sum(tokens.values()) if whole else spent[first[-1].origin]
        found.append(Reached(count, scored.mean, scored.solved, before or oracle(task, first), cost))
    return tuple(found)


def sizes(most: int) -> list[int]:
    """Return the powers of two below a number, and the number itself."""
    return [1 << power for power in range(most.bit_length()) if 1 << power < most] + [most] if most else []


def at(track: Track, programs: int) -> Reached:
    """Return what the first `programs` programs of a task reach, or all if it has fewer."""
    return track[max(0, bisect_right(track, programs, key=lambda each: each.programs) - 1)]


@dataclass(frozen=True, slots=True)
class Search:
    """A search of a run with the seconds it took, the tracks of its tasks whose answers are known, and how many of each
    task's programs are samples: its track has a place there."""

    run: Drawn
    key: tuple[str, int]
    seconds: float
    tracks: Sequence[Track]
    sampled: Sequence[int] = ()


def anytime_points(found: Iterable[Search]) -> Iterator[Point]:
    """Yield the scores of every search after 1, 2, 4, … programs and after the most that a task of its line has, so
    that all runs of a line have values at the same places."""
    found = [each for each in found if any(track[-1].programs for track in each.tracks)]
    most: dict[tuple[str, tuple[str, int]], int] = {}
    for each in found:
        own = max(track[-1].programs for track in each.tracks)
        most[each.run.line, each.key] = max(own, most.get((each.run.line, each.key), 0))
    for each in found:
        for programs in sizes(most[each.run.line, each.key]):
            values = _values(each, programs)
            yield from (point(each.run, each.key, name, value, programs) for name, value in values.items())


def _values(search: Search, programs: int) -> dict[str, float]:
    now, count = [at(track, programs) for track in search.tracks], len(search.tracks)
    values = {
        "score_mean": 100 * sum(each.share for each in now) / count,
        "solved": 100 * sum(each.solved for each in now) / count,
        "oracle": 100 * sum(each.oracle for each in now) / count,
    }
    spent, all_spent = sum(each.tokens for each in now), sum(track[-1].tokens for track in search.tracks)
    if all_spent:
        values["tokens"] = spent / count
        if search.seconds:
            values["seconds"] = search.seconds * spent / all_spent
    return values


def anytime_figure(points: Sequence[Point]) -> Figure:
    """Return the figure of scores against programs, tokens and seconds, a column per stage."""
    found = means(points)
    measured = {place.measure for place in found}
    panels = [
        [_panel(found, stage, measure) for stage in stages(found)]
        for measure in ACROSS
        if measure in measured or (points and not measure)
    ]
    says = SAYS if points else ("No finished search has programs of tasks whose answers are known.",)
    columns, rows = _table(found)
    title = "Score against programs, tokens and seconds"
    return Figure("anytime", title, "Figures 5 and 7 to 9", says, columns, rows, long_form(points), panels=panels)


def _table(found: Means) -> tuple[list[str], list[list[str]]]:
    """Return a row per search: score_mean at powers of four and at the end, and the total spent."""
    steps = [4**power for power in range(8) if 4**power < max((place.programs for place in found), default=0)]
    rows = []
    for line, stage, iteration in searches(found):
        own = [place for place in found if (place.line, place.stage, place.iteration) == (line, stage, iteration)]
        last = max(place.programs for place in own)
        told = [cell(found.get(Place(line, stage, iteration, "score_mean", k))) if k < last else "" for k in steps]
        end = [found.get(Place(line, stage, iteration, name, last)) for name in (*MEASURES, "tokens", "seconds")]
        rows.append([line, stage, str(iteration), *told, str(last), *map(cell, end)])
    headings = [f"score_mean at {k}" for k in steps]
    return ["runs", "stage", "iteration", *headings, "last k", *MEASURES, "tokens", "seconds"], rows


def _panel(found: Means, stage: str, across: str) -> Panel:
    own = [search for search in searches(found) if search[1] == stage]
    numbers, newest = {line: n for n, line in enumerate(lines(found))}, max(search[2] for search in searches(found))
    series = [
        _series(found, line, stage, iteration, across, numbers[line], (iteration + 1) / (newest + 1))
        for line, _, iteration in own
    ]
    return Panel(f"stage {stage}", ACROSS[across], "score_mean, %", [each for each in series if each.xs], log=True)


def _series(found: Means, line: str, stage: str, iteration: int, across: str, colour: int, shade: float) -> Series:
    """Return score_mean of one search; tokens or seconds on the x axis are means over seeds, too."""
    of = [p for p in found if (p.line, p.stage, p.iteration, p.measure) == (line, stage, iteration, "score_mean")]
    xs = {p: _across(found, p, across) for p in of}
    of = [p for p in of if xs[p] is not None]
    return Series(
        label=f"{line}: iteration {iteration} ({counted(found[p] for p in of)})",
        xs=[x for p in of if (x := xs[p]) is not None],
        ys=[found[p].value for p in of],
        halves=[found[p].half for p in of],
        colour=colour,
        shade=shade,
    )


def _across(found: Means, place: Place, across: str) -> float | None:
    """Return where a score stands on the x axis; None if unknown or not above 0, for the axis is logarithmic."""
    if not across:
        return place.programs
    spent = found.get(Place(place.line, place.stage, place.iteration, across, place.programs))
    return spent.value if spent and spent.value > 0 else None
