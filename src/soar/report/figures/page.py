"""The text of figures and tables in Markdown: how to read each, a small table, the command that made it. Knows only
Markdown."""

from collections.abc import Iterable, Sequence

from soar.report.figures.figure import Figure
from soar.report.figures.point import Drawn
from soar.report.foreign import visible


def page(title: str, figures: Iterable[Figure], runs: Sequence[Drawn], says: Iterable[str], command: str) -> str:
    """Return the text of all figures. `says`: what holds for all of them; `command`: what made them."""
    parts = [f"# {title}", _runs(runs), *map(_text, says), *(_figure(figure, command) for figure in figures)]
    return "\n\n".join(parts) + "\n"


def _runs(runs: Sequence[Drawn]) -> str:
    """Return the lines of the figures, with the runs and seeds that each stands for."""
    rows = []
    for line in dict.fromkeys(run.line for run in runs):
        own = [run for run in runs if run.line == line]
        told = ", ".join(f"{run.name} (seed {run.seed})" for run in own)
        rows.append([line, told, f"n = {len(own)}"])
    said = (
        "Runs whose configurations differ only in the seed are one line: the mean over its seeds ± half of its"
        " 95 % interval (Student's t). With n = 1 there is no interval."
    )
    return f"{said}\n\n{table(('line', 'runs', 'seeds'), rows)}"


def _figure(figure: Figure, command: str) -> str:
    made_after = "" if figure.paper == "none" else f" ({figure.paper} of the paper)"
    parts = [f"## {figure.title}{made_after}", *map(_text, figure.says)]
    if figure.values:
        picture = [f"![{figure.title}]({figure.name}.svg)"] if figure.panels else []
        files = [f"[values]({figure.name}.csv)", *([f"[PDF]({figure.name}.pdf)"] if figure.panels else [])]
        parts += [*picture, table(figure.headings, figure.rows), ", ".join(files)]
    return "\n\n".join([*parts, f"    {_line(command)}"])


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    return _text(text).replace("|", "\\|")


def _text(text: str) -> str:
    """Return foreign text, such as the name of a run, that is neither obeyed nor markup."""
    return _line(text).replace("\\", "\\\\").replace("<", "&lt;").replace("`", "\\`")


def _line(text: str) -> str:
    return visible(text).replace("\n", " ")
