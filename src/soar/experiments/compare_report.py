"""A comparison's result as it is printed and written: which view a comparison has, Markdown, CSV, a picture.

Knows no cell; what stands in a table is its view's business.
"""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from soar.experiments.compare import Comparison
from soar.experiments.compare_budgets import budgets_table
from soar.experiments.compare_curves import distances_table, programs_table
from soar.experiments.compare_models import together_table, ways_table
from soar.experiments.compare_scores import scores_table
from soar.experiments.statistics import Found
from soar.experiments.tabled import Tabled
from soar.files import write_atomically
from soar.report.figures.draw import draw
from soar.report.figures.figure import Figure

WIDTH = 120
"""Columns that the widest table takes."""

VIEWS: Mapping[str, Callable[[Comparison, Found, Sequence[int]], Tabled]] = {
    "scores": scores_table,
    "programs": programs_table,
    "distances": distances_table,
    "budgets": budgets_table,
    "together": together_table,
    "ways": ways_table,
}


def tabled(comparison: Comparison, found: Found, seeds: Sequence[int]) -> Tabled:
    """Return a comparison's result, in the view that it asks for."""
    return VIEWS[comparison.shows](comparison, found, seeds)


def show(title: str, made: Tabled, console: Console) -> None:
    """Print the table."""
    table = Table(title=title, box=box.SIMPLE, padding=(0, 1), title_justify="left")
    for name in made.header:
        table.add_column(name, justify="left" if name == "arm" else "right")
    for row in made.rows:
        table.add_row(*row)
    console.print(table)
    console.print(made.about, highlight=False, soft_wrap=True)


def write(comparison: Comparison, made: Tabled, folder: Path, command: str) -> None:
    """Write the table to a folder, as Markdown and CSV, and the picture, where there is one, as SVG and PDF."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / f"{comparison.name}.md", markdown(comparison, made, command))
    write_atomically(folder / f"{comparison.name}.csv", as_csv(comparison, made))
    if made.panels:
        draw(Figure(comparison.name, comparison.title, "", (), panels=made.panels), folder)


def markdown(comparison: Comparison, made: Tabled, command: str) -> str:
    """Return the table as Markdown, below the command that made it."""
    table = "\n".join(f"| {' | '.join(row)} |" for row in (made.header, ["---"] * len(made.header), *made.rows))
    picture = f"![{comparison.title}]({comparison.name}.svg)\n\n" if made.panels else ""
    return f"# {comparison.title}\n\n`{command}`\n\n{picture}{made.about}\n\n{table}\n"


def as_csv(comparison: Comparison, made: Tabled) -> str:
    """Return every value in a line of its own, below the comparison's name."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["comparison", *made.columns])
    writer.writerows([comparison.name, *row] for row in made.values)
    return text.getvalue()
