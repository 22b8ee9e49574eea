"""A comparison's last searches program by program (Figure 5), and how different the programs of a task are, search
after search (Figure 6). Knows what cells keep of both.
"""

from collections.abc import Sequence
from statistics import fmean

from soar.experiments.cells import Cell, Row
from soar.experiments.compare import Comparison
from soar.experiments.settings import BASE
from soar.experiments.statistics import Found
from soar.experiments.tabled import Tabled, counted_text, mean_series, mean_text
from soar.report.figures.diversity import KINDS
from soar.report.figures.figure import Panel

REACHED = ("score", "oracle")
ALL = "all"

PROGRAMS = (
    "Percent of all tasks, from the first 1, 2, 4, … programs of each, in the order of the search; means over seeds, ±"
    " half of the 95 % interval by Student's t. score: the mean share of test outputs that one of two voted answers has"
    " right; oracle: tasks with a program that is right on all test outputs. The first search, which the arms of a seed"
    " share, and the last of each arm."
)

DISTANCES = (
    "The mean cosine distance of two programs of a task, over the tasks that the search's vote solved and over those"
    " that it did not; means over seeds, ± half of the 95 % interval by Student's t. Embeddings are counts of n-grams"
    " of lexemes, not the paper's CodeRankEmbed: compare them with each other alone."
)


def programs_table(comparison: Comparison, found: Found, seeds: Sequence[int]) -> Tabled:
    """Return what the first search and the last of each arm reach by 1, 2, 4, … programs."""
    experiment = comparison.experiment
    ends = {arm: _rows(found, arm, experiment.searches(arm) - 1, seeds) for arm in (BASE, *experiment.settings.arms)}
    counts = _counts([row["curve"]["programs"] for rows in ends.values() for row in rows.values()])
    rows, values, drawn = [], [], {name: [] for name in REACHED}
    for colour, (arm, own) in enumerate(ends.items()):
        for name in REACHED:
            at = {k: {seed: _percent(row, name, k) for seed, row in own.items()} for k in counts}
            texts = [mean_text([*at[k].values()]) if own else "missing" for k in counts]
            rows.append([arm, name, *texts, f"{len(own)} of {len(seeds)}"])
            values += [[arm, seed, name, k, f"{v:.4f}"] for k in counts for seed, v in at[k].items()]
            if own and counts:
                most = max(row["curve"]["programs"][-1:] or [0] for row in own.values())[0]
                way = {most if isinstance(k, str) else k: [*at[k].values()] for k in counts}
                drawn[name].append(mean_series(arm, dict(sorted(way.items())), colour))
    panels = [Panel(name, "programs per task", f"{name}, %", each, log=True) for name, each in drawn.items() if each]
    header = ["arm", "measure", *(f"by {k}" for k in counts), "seeds"]
    columns = ["arm", "seed", "measure", "programs", "percent"]
    return Tabled(PROGRAMS, header, rows, columns, values, [panels] if panels else [])


def _counts(curves: Sequence[Sequence[int]]) -> list[int | str]:
    """Return the numbers of programs at which every curve has a value: powers of two, since one that has fewer programs
    has there what all of its own reach; and all, if these are no power of two somewhere."""
    counts = {k for curve in curves for k in curve}
    powers = sorted(k for k in counts if k & (k - 1) == 0)
    return [*powers, *([ALL] if len(powers) < len(counts) else [])]


def distances_table(comparison: Comparison, found: Found, seeds: Sequence[int]) -> Tabled:
    """Return how different programs are, an arm's search in a row."""
    experiment = comparison.experiment
    rows, values, series = [], [], []
    for colour, arm in enumerate((BASE, *experiment.settings.arms)):
        numbers = range(0 if arm == BASE else 1, experiment.searches(arm))
        apart = {n: {seed: row["distances"] for seed, row in _rows(found, arm, n, seeds).items()} for n in numbers}
        for n, own in apart.items():
            kinds = {kind: [each[kind][1] for each in own.values() if kind in each] for kind in KINDS.values()}
            texts = [counted_text(means, len(own), 3) if means else "missing" for means in kinds.values()]
            counts = [[each.get(kind, (0, 0.0))[0] for each in own.values()] for kind in kinds]
            tasks = [f"{fmean(each):.1f}" if each else "missing" for each in counts]
            rows.append([arm, str(n), *texts, *tasks, f"{len(own)} of {len(seeds)}"])
            values += [[arm, seed, n, kind, *each[kind]] for seed, each in own.items() for kind in each]
        for kind in KINDS.values():
            way = {n: [each[kind][1] for each in own.values() if kind in each] for n, own in apart.items()}
            way = {n: means for n, means in way.items() if means}
            if way and arm != BASE:
                series.append(mean_series(f"{arm}, {kind}", way, colour, dashed=kind == KINDS[False]))
    header = ["arm", "search", *(f"distance, {kind}" for kind in KINDS.values())]
    header += [*(f"tasks, {kind}" for kind in KINDS.values()), "seeds"]
    columns = ["arm", "seed", "search", "tasks", "count", "distance"]
    panels = [[Panel("", "search", "mean cosine distance", series, top=2.0)]] if series else []
    return Tabled(DISTANCES, header, rows, columns, values, panels)


def _rows(found: Found, arm: str, search: int, seeds: Sequence[int]) -> dict[int, Row]:
    """Return a search's rows by seed; those of before curves were kept are passed over."""
    rows = {seed: found.get(Cell(arm, seed, search)) for seed in seeds}
    return {seed: row for seed, row in rows.items() if row and "curve" in row}


def _percent(row: Row, name: str, programs: int | str) -> float:
    """Return what the first programs of each task reach, all of them where there are fewer; nothing if there are
    none."""
    curve = row["curve"]
    reached = [
        value
        for k, value in zip(curve["programs"], curve[name], strict=True)
        if isinstance(programs, str) or k <= programs
    ]
    return 100 * reached[-1] / row["count"] if reached else 0.0
