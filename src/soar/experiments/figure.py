"""The picture of an experiment: tasks first solved after the first search, search after search, arm by arm.

Knows cells and panels; `soar.report.figures.draw` draws.
"""

import math
from statistics import fmean

from soar.experiments.report import Shown
from soar.experiments.statistics import first_solved, margin, rows_of
from soar.report.figures.figure import Figure, Panel, Series

VIEWS = {"solved": "by a program of its own", "pooled": "by any task's program", "voted": "by one of two answers"}


def learning_figure(shown: Shown, name: str) -> Figure:
    """Return the figure of an experiment's arms, a panel for each way of counting that there are cells for."""
    panels = [panel for view, title in VIEWS.items() if (panel := _panel(shown, view, title)).series]
    return Figure(name, "Tasks first solved after the first search", "none", (), panels=[panels] if panels else [])


def _panel(shown: Shown, view: str, title: str) -> Panel:
    series = [
        made for number, arm in enumerate(shown.searched) if (made := _series(shown, arm, view, number)) is not None
    ]
    return Panel(title, "searches after the first", "tasks, mean over seeds", series, top=math.inf)


def _series(shown: Shown, arm: str, view: str, colour: int) -> Series | None:
    """Return how many tasks an arm has first solved after 0, 1, 2, … searches more, over the seeds that are there."""
    counts = [_counts(shown, arm, view, searches) for searches in range(shown.experiment.searches(arm))]
    counts = [each for each in counts if each]
    if len(counts) < 2:
        return None
    seeds = len(counts[-1])
    return Series(
        f"{arm} (n = {seeds})", range(len(counts)), [*map(fmean, counts)], [*map(margin, counts)], colour=colour
    )


def _counts(shown: Shown, arm: str, view: str, searches: int) -> list[int]:
    found = [rows_of(shown.found, arm, seed, searches + 1) for seed in shown.seeds]
    return [len(first_solved(rows, view)) for rows in found if rows and rows[0][view] is not None]
