"""Writes all figures and tables of some runs as files in a folder. Knows which there are, and their order."""

import csv
import io
from collections.abc import Collection, Sequence
from pathlib import Path

from soar.errors import ConfigError, DataError, StoreError
from soar.files import write_atomically
from soar.report.figures.anytime import anytime_figure, anytime_points
from soar.report.figures.combined import combined_figure
from soar.report.figures.diversity import diversity_figure, diversity_points
from soar.report.figures.draw import draw, matplotlib_or_error
from soar.report.figures.endings import ending_figure, ending_points, kinds_of
from soar.report.figures.figure import Figure
from soar.report.figures.lines import drawn, other_tasks, settings_of
from soar.report.figures.page import page
from soar.report.figures.point import Drawn
from soar.report.figures.read import Reading, read
from soar.report.figures.score import score_figure, score_points
from soar.report.figures.tables import settings_table, ways_table
from soar.report.together import together
from soar.report.view import RunView, leak_lines


def write_figures(
    views: Sequence[RunView],
    folder: Path,
    command: str,
    stage: str | None = None,
    *,
    free: Collection[str] = (),
    tables: bool = False,
) -> str:
    """Write the figures of runs into a folder, created if missing, and `tables` like the paper's; return what was
    written.

    ``figures.md`` describes all of them; each has its values as CSV, and an SVG and a PDF. ``tables.md`` holds the
    tables, each with its values as CSV. Files of these names are overwritten. `stage`: the stage whose programs vote
    together (default: each run's last). `free`: settings in which seeds of one line may differ. `ConfigError` without
    matplotlib, or if a file has the folder's name.
    """
    matplotlib_or_error()
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file: name a folder for the figures")
    runs = drawn(views, free)
    readings = [read(view, run) for view, run in zip(views, runs, strict=True)]
    figures = [*_figures(readings), *([_combined(views, runs, stage)] if len(views) > 1 else [])]
    tabled = _tables(views, runs, readings) if tables else []
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{folder} cannot be created: {error}") from None
    for figure in (*figures, *tabled):
        if figure.values:
            write_atomically(folder / f"{figure.name}.csv", as_csv(figure))
            if figure.panels:
                draw(figure, folder)
    says = _says(views, readings)
    write_atomically(folder / "figures.md", page("Figures", figures, runs, says, command))
    if tables:
        write_atomically(folder / "tables.md", page("Tables", tabled, runs, says, command))
    made = [figure.name for figure in figures if figure.values]
    told = f"figures.md, and as CSV, SVG and PDF: {', '.join(made) or 'nothing, for no search is finished'}"
    return told + (f"; tables.md, and as CSV: {', '.join(each.name for each in tabled)}" if tables else "")


def _tables(views: Sequence[RunView], runs: Sequence[Drawn], readings: Sequence[Reading]) -> list[Figure]:
    """Return the tables."""
    searches = [search for each in readings for search in each.searches]
    return [ways_table(searches), settings_table(searches, settings_of(views, runs))]


def _figures(readings: Sequence[Reading]) -> list[Figure]:
    """Return the figures that need no other run."""
    kinds = kinds_of(record for reading in readings for record in reading.records)
    return [
        score_figure([p for each in readings for p in score_points(each.run, each.records, each.answered)]),
        anytime_figure([*anytime_points(search for each in readings for search in each.searches)]),
        diversity_figure([p for each in readings for p in diversity_points(each.run, each.distances)]),
        ending_figure([p for each in readings for p in ending_points(each.run, each.records, kinds)]),
    ]


def _combined(views: Sequence[RunView], runs: Sequence[Drawn], stage: str | None) -> Figure:
    """Return the figure of joint votes; without values if the runs share no task."""
    try:
        found = together(views, stage)
    except DataError as error:
        return Figure("combinations", "Score per combination of runs", "Figure 10", [f"Not drawn: {error}."])
    return combined_figure(found, [run.name for run in runs])


def _says(views: Sequence[RunView], readings: Sequence[Reading]) -> list[str]:
    """Return what holds for all figures."""
    left_out = [f"{each.unfinished} of {each.run.name}" for each in readings if each.unfinished]
    differing = other_tasks(views, [each.run for each in readings])
    leaks = dict.fromkeys(line for view in views for line in leak_lines(view.leaks))
    return [
        *([f"Unfinished searches are left out: {', '.join(left_out)}."] if left_out else []),
        *([f"The seeds of {', '.join(differing)} do not search the same tasks."] if differing else []),
        *(f"{line}." for line in leaks),
    ]


def as_csv(figure: Figure) -> str:
    """Return a figure's values in the long form."""
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(figure.columns)
    writer.writerows(figure.values)
    return sink.getvalue()
