"""An arm that learns against one that only searches on, for as much of everything: programs, tokens, floating-point
operations, CPU time (Figure 7). Knows what cells keep of votes over all programs so far, and what they cost.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from statistics import fmean

import numpy as np

from soar.experiments.cells import Row
from soar.experiments.compare import Comparison
from soar.experiments.statistics import Found, price, rows_of
from soar.experiments.tabled import Tabled, mean_text
from soar.report.figures.figure import Panel, Series

Cost = Callable[[Row, float], float | None]
"""What a search costs with the finetuning before it, given the CPU seconds of one search; None where it is unknown."""

BUDGETS: Mapping[str, Cost] = {
    "programs": lambda row, _: sum(row["statuses"].values()),
    "tokens": lambda row, _: sum(row["tokens"]) or None,
    "FLOPs": lambda row, _: _operations(row),
    "CPU": lambda row, seconds: _seconds(row, seconds),
}
"""By unit, what an arm has spent. Floating-point operations are 2 for each token of the search and 6 for each that goes
through finetuning, by parameter of the model, which is the same in both arms and left out here."""

MEASURES = ("score", "solved", "oracle")

ABOUT = (
    "The vote over the programs of all searches so far, in percent of the tasks: what the arm that learns reaches after"
    " some searches, and what the arm that only searches reaches once it has spent as many programs, tokens of the"
    " search, FLOPs (2 per token of a search, 6 per token and epoch of finetuning, times the parameters) or CPU seconds"
    " (finetuning with the choice of examples counted, a search priced alike for both), by linear interpolation between"
    " eighths of a search. In brackets what learning gains. Means over seeds, ± half of the 95 % interval by Student's"
    " t. score: the mean share of test outputs that one of two voted answers has right; solved: tasks that they solve;"
    " oracle: tasks with a program that is right on all test outputs."
)


def budgets_table(comparison: Comparison, found: Found, seeds: Sequence[int]) -> Tabled:
    """Return a row for every arm that learns, number of searches and measure; columns are budgets."""
    settings = comparison.experiment.settings
    learning = [arm for arm, own in settings.arms.items() if own.learns]
    (other,) = (arm for arm, own in settings.arms.items() if not own.learns)
    rows, values = [], []
    for arm in learning:
        for searches in range(2, comparison.experiment.searches(arm) + 1):
            for measure in MEASURES:
                own, theirs = _compared(comparison, found, seeds, (arm, other), searches, measure)
                texts = [_text(own, each) for each in theirs.values()]
                reached = mean_text([*own.values()]) if own else "missing"
                rows.append([arm, str(searches), measure, reached, *texts, f"{len(own)} of {len(seeds)}"])
                values += [[arm, seed, searches, measure, "", f"{value:.4f}"] for seed, value in own.items()]
                values += [
                    [other, seed, searches, measure, unit, f"{value:.4f}"]
                    for unit, each in theirs.items()
                    for seed, value in each.items()
                    if value is not None
                ]
    header = ["arm", "searches", "measure", "%", *(f"{other}, equal {unit}" for unit in BUDGETS), "seeds"]
    columns = ["arm", "seed", "searches", "measure", "equal", "percent"]
    return Tabled(ABOUT, header, rows, columns, values, _panels(comparison, found, seeds))


def _text(own: Mapping[int, float], theirs: Mapping[int, float | None]) -> str:
    """Return what the other arm reaches and what learning gains on it, over the seeds where both went far enough; how
    many these are where learning has more."""
    pairs = [(own[seed], value) for seed, value in theirs.items() if value is not None]
    if not pairs:
        return "missing" if not own else "not reached" if theirs else "not known"
    gained = mean_text([ours - value for ours, value in pairs])
    of = f"; n = {len(pairs)}" if len(pairs) < len(own) else ""
    return f"{mean_text([value for _, value in pairs])} ({'' if gained[0] == '-' else '+'}{gained}{of})"


def _compared(
    comparison: Comparison, found: Found, seeds: Sequence[int], arms: tuple[str, str], searches: int, measure: str
) -> tuple[dict[int, float], dict[str, dict[int, float | None]]]:
    """Return by seed what an arm reaches after some searches, and by unit what the other reaches for the same
    budget: None if it did not spend as much, no value if that is unknown."""
    own: dict[int, float] = {}
    theirs: dict[str, dict[int, float | None]] = {unit: {} for unit in BUDGETS}
    for seed in seeds:
        rows, others = rows_of(found, arms[0], seed, searches), _as_far(comparison, found, arms[1], seed)
        if not rows or not _kept(rows):
            continue
        own[seed] = 100 * rows[-1]["so_far"][measure][-1] / rows[-1]["count"]
        for unit, cost in BUDGETS.items():
            seconds = price(found, seed) or 0.0
            if spent := _spent(rows, cost, seconds):
                theirs[unit][seed] = _reached(others, cost, seconds, spent[-1], measure)
    return own, theirs


def _as_far(comparison: Comparison, found: Found, arm: str, seed: int) -> list[Row]:
    """Return an arm's rows up to the first that is missing, or of before curves were kept."""
    for searches in range(comparison.experiment.searches(arm), 0, -1):
        if (rows := rows_of(found, arm, seed, searches)) and _kept(rows):
            return rows
    return []


def _kept(rows: Sequence[Row]) -> bool:
    return all("so_far" in row for row in rows)


def _spent(rows: Sequence[Row], cost: Cost, seconds: float) -> list[float] | None:
    """Return what was spent after each search; None where that is unknown."""
    costs = [cost(row, seconds) for row in rows]
    known = [each for each in costs if each is not None]
    return [*accumulate(known)] if len(known) == len(costs) else None


def _reached(rows: Sequence[Row], cost: Cost, seconds: float, budget: float, measure: str) -> float | None:
    """Return the percent that searches reach by a budget, linearly between the points that are kept; None where they
    did not spend as much."""
    spent = _spent(rows, cost, seconds)
    if spent is None or not rows or budget > spent[-1] * (1 + 1e-9):
        return None
    places, reached = [0.0], [0.0]
    for before, after, row in zip([0.0, *spent], spent, rows, strict=False):
        kept = row["so_far"]
        places += [before + (after - before) * k / kept["programs"][-1] for k in kept["programs"]]
        reached += [100 * value / row["count"] for value in kept[measure]]
    return float(np.interp(budget, places, reached))


def _operations(row: Row) -> float | None:
    """Return the floating-point operations of a search and the finetuning before it, by two parameters' worth."""
    if not sum(row["tokens"]) or ("examples" in row and "finetune_tokens" not in row):
        return None
    return sum(row["tokens"]) + 3 * row.get("finetune_tokens", 0)


def _seconds(row: Row, seconds: float) -> float | None:
    """Return the CPU seconds of a search, priced at `seconds`, and the finetuning before it. What one cost that was
    interrupted is not known."""
    if not seconds or ("examples" in row and "finetune_cpu" not in row):
        return None
    return seconds + row.get("finetune_cpu", 0.0)


def _panels(comparison: Comparison, found: Found, seeds: Sequence[int]) -> list[list[Panel]]:
    """Return scores against what was spent, in searches of the arm that only searches: a panel for programs and one for
    FLOPs."""
    panels = []
    for unit in ("programs", "FLOPs"):
        series = []
        for colour, arm in enumerate(comparison.experiment.settings.arms):
            ways = [_way(comparison, found, arm, seed, BUDGETS[unit]) for seed in seeds]
            ways = [way for way in ways if way]
            points = min(map(len, ways), default=0)
            if points > 1:
                xs, ys = ([fmean(way[n][axis] for way in ways) for n in range(points)] for axis in (0, 1))
                series.append(Series(f"{arm} (n = {len(ways)})", xs, ys, [None] * points, colour))
        if series:
            across = f"{unit}, in first searches"
            panels.append(Panel(f"equal {unit}", across, "score of all programs so far, %", series))
    return [panels] if panels else []


def _way(comparison: Comparison, found: Found, arm: str, seed: int, cost: Cost) -> list[tuple[float, float]]:
    """Return after each search what was spent, in first searches, and the score."""
    rows = _as_far(comparison, found, arm, seed)
    spent = _spent(rows, cost, 0.0)
    if not spent:
        return []
    scores = [100 * row["so_far"]["score"][-1] / row["count"] for row in rows]
    return [(each / spent[0], score) for each, score in zip(spent, scores, strict=True)]
