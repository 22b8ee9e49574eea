"""What a model reaches by one program, by samples, by refinements and by learning (Table 1), and what several models
reach that vote together (Figure 10). Knows what cells keep of both.
"""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from soar.experiments.cells import Cell
from soar.experiments.compare import TOGETHER, Comparison
from soar.experiments.settings import BASE
from soar.experiments.statistics import Found, margin
from soar.experiments.tabled import Tabled, mean_text
from soar.report.figures.figure import Panel, Series

MEASURES = ("score", "solved", "oracle")

SAID = (
    "Percent of the tasks; means over seeds, ± half of the 95 % interval by Student's t. score: the mean share of test"
    " outputs that one of two voted answers has right; solved: tasks that they solve; oracle: tasks with a program that"
    " is right on all test outputs."
)

WAYS = (
    " one-shot: the first program of each task in the first search; sampling: one search of samples alone; refining:"
    " the first search, samples and refinements as the file says; soar: the last search, after learning. All but the"
    " first have as many programs a task."
)

VOTES = " The programs of the models' last searches, each combination of models in a row."


def ways_table(comparison: Comparison, found: Found, seeds: Sequence[int]) -> Tabled:
    """Return a row per measure, a column for each way to spend a search."""
    last = comparison.experiment.searches("soar") - 1
    ways = {
        "one-shot": (Cell(BASE, 0, 0), 0),
        "sampling": (Cell("sampling", 0, 0), -1),
        "refining": (Cell(BASE, 0, 0), -1),
        "soar": (Cell("soar", 0, last), -1),
    }
    rows, values = [], []
    for measure in MEASURES:
        texts = []
        for way, (cell, place) in ways.items():
            own = {seed: found.get(Cell(cell.arm, seed, cell.search)) for seed in seeds}
            reached = {
                seed: 100 * (row["curve"][measure] or [0])[place] / row["count"]
                for seed, row in own.items()
                if row and "curve" in row
            }
            texts.append(f"{mean_text([*reached.values()])} (n = {len(reached)})" if reached else "missing")
            values += [[way, seed, measure, f"{value:.4f}"] for seed, value in reached.items()]
        rows.append([measure, *texts])
    rows.append(["the paper's score", *(f"{comparison.paper[way]:.2f}" for way in ways)])
    about = SAID + WAYS + f" The paper's scores are of {comparison.paper_on}."
    return Tabled(about, ["%", *ways], rows, ["way", "seed", "measure", "percent"], values)


def together_table(comparison: Comparison, found: Found, seeds: Sequence[int]) -> Tabled:
    """Return a row per combination of models, with the picture of it."""
    cells = {seed: row for seed in seeds if (row := found.get(Cell(TOGETHER, seed, 0)))}
    names = comparison.experiment.settings.arms[TOGETHER].votes_of
    whole: dict[str, dict[int, dict[str, Any]]] = {}
    for seed, row in cells.items():
        for vote in row["votes"]:
            of = " + ".join(vote["arms"])
            whole.setdefault(of, {})[seed] = {name: 100 * vote[name] / row["count"] for name in MEASURES}
    rows = [
        [
            of,
            *(mean_text([each[name] for each in by_seed.values()]) for name in MEASURES),
            f"{len(by_seed)} of {len(seeds)}",
        ]
        for of, by_seed in whole.items()
    ]
    values = [
        [of, seed, name, f"{each[name]:.4f}"]
        for of, by_seed in whole.items()
        for seed, each in by_seed.items()
        for name in MEASURES
    ]
    missing = [] if cells else [["missing"] * (len(MEASURES) + 2)]
    header = ["models", *(f"{name}, %" for name in MEASURES), "seeds"]
    about = SAID + VOTES + f" Models: {', '.join(names)}."
    return Tabled(about, header, rows or missing, ["models", "seed", "measure", "percent"], values, _panels(whole))


def _panels(whole: dict[str, dict[int, dict[str, Any]]]) -> list[list[Panel]]:
    if not whole:
        return []
    series = []
    for colour, name in enumerate(MEASURES):
        listed = [[each[name] for each in by_seed.values()] for by_seed in whole.values()]
        at = [place + (colour - 1) / 5 for place in range(len(listed))]
        series.append(Series(name, at, [*map(fmean, listed)], [*map(margin, listed)], colour))
    return [[Panel("votes together", "models", "%", series, ticks=[*whole])]]
