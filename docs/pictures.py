"""Make the pictures of the README from a run: a solved task with its program, and how the score grew.

python docs/pictures.py RUN_DIR [TASK]      writes docs/solved.svg and docs/score.svg
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from soar import session
from soar.report.html.chart import HEIGHT, WIDTH, Line, chart
from soar.report.html.markup import Html, element, joined
from soar.report.html.score import UP
from soar.report.overview import Curve, Telling, overview
from soar.report.view import RunView
from soar.types import Failure, Output

HERE = Path(__file__).parent
INK, COLOURS = "#1c1e21", ("#2459a6", "#b3541e", "#1a7f4b", "#7a3fa0", "#8a6d00", "#a02f5f")
MONO = "ui-monospace, Menlo, Consolas, monospace"
GAP, MARGIN, TITLE, ROW = 14, 16, 18, 17


def main(run_dir: str, task_id: str | None = None) -> None:
    with session.view_run(Path(run_dir)) as view:
        found = overview(view)
        right = [each for each in found.telling if each.kind == "right" and task_id in (None, each.task.id)]
        if not right:
            sys.exit(f"no solved task {task_id or ''} among the telling programs of {run_dir}: name another")
        (HERE / "solved.svg").write_text(solved(view, right[0]) + "\n", encoding="utf-8")
        stage = view.plan[0].stage.name
        curves = [each for each in found.curves[stage] if each.known]
        (HERE / "score.svg").write_text(score(curves, stage, len(view.tasks[stage])) + "\n", encoding="utf-8")


def picture(width: float, height: float, *inside: Html) -> str:
    """Return an image that stands alone, on white, since it may be shown on any colour."""
    style = "".join(f".s{n}{{stroke:{colour}}}" for n, colour in enumerate(COLOURS))
    style += ".chart path{fill:none;stroke-width:2}.chart path.axis{stroke:#d9dce1;stroke-width:1}"
    style += ".chart .refine{stroke-dasharray:5 3}.chart text{stroke:none}"
    back = element("rect", width=f"{width:g}", height=f"{height:g}", fill="#ffffff")
    return element(
        "svg",
        element("style", Html(style)),
        back,
        *inside,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width:g} {height:g}",
        width=f"{width:g}",
        height=f"{height:g}",
        font_family="sans-serif",
        font_size="12",
        fill=INK,
    ).replace("font_family", "font-family")


def solved(view: RunView, told: Telling) -> str:
    """Return a task's training pairs and what the program answers, with the program below."""
    task, program = told.task, told.program
    pairs = [(f"pair {n}", e.input, e.output) for n, e in enumerate(task.train, 1)]
    pairs.append(("test input, and the answer", task.test[0].input, program.test[0]))
    parts, x, tallest = [], float(MARGIN), 0.0
    for name, left, right in pairs:
        parts.append(element("text", name, x=f"{x:g}", y=f"{MARGIN + 8}"))
        for value in (left, right):
            drawn, width, height = placed(view, value, x, MARGIN + TITLE)
            parts.append(drawn)
            x, tallest = x + width + GAP / 2, max(tallest, height)
        x += GAP
    top = MARGIN + TITLE + tallest + GAP
    lines = [f"task {task.id}, solved by a program that the shipped model wrote:", "", *program.code.split("\n")]
    for n, line in enumerate(lines):
        y, family = top + ROW * (n + 1), MONO if n > 1 else "sans-serif"
        parts.append(element("text", Html(text_of(line)), x=MARGIN, y=f"{y:g}", style=f"font-family:{family}"))
    widest = max(x, MARGIN * 2 + 7.4 * max(map(len, lines)))
    return picture(widest, top + ROW * len(lines) + MARGIN, *parts)


def text_of(line: str) -> str:
    """Return a line as text whose indentation is kept."""
    return joined([line]).replace(" ", "\u00a0")


def placed(view: RunView, value: Output | None, x: float, y: float) -> tuple[Html, float, float]:
    """Return a value drawn at a place, with its size."""
    if value is None or isinstance(value, Failure):
        return element("text", "?", x=f"{x:g}", y=f"{y + 12:g}"), 10, 12
    drawn = view.domain.svg(value)
    size = re.search(r'width="([\d.]+)" height="([\d.]+)"', drawn)
    if size is None:
        sys.exit("only values that are drawn as SVG have a picture")
    width, height = float(size[1]), float(size[2])
    return Html(drawn.replace("<svg ", f'<svg x="{x:g}" y="{y:g}" ', 1)), width, height


def score(curves: Sequence[Curve], stage: str, tasks: int) -> str:
    """Return how many tasks the searches of a stage solved, against the programs they wrote."""
    lines = [Line(each.points, f"s{each.iteration % len(COLOURS)} {each.phase}", "") for each in curves]
    title = f"stage {stage}, {tasks} tasks: {UP[True]}"
    drawn = chart(lines, "programs per task (sampling, then dashed refinement)", UP[True])
    drawn = Html(drawn.replace("<svg ", f'<svg x="{MARGIN}" y="34" width="{WIDTH}" height="{HEIGHT}" ', 1))
    key = [
        element("text", f"iteration {n}", x=MARGIN + 40 + 90 * n, y=HEIGHT + 54, style=f"fill:{COLOURS[n]}")
        for n in dict.fromkeys(each.iteration for each in curves)
    ]
    return picture(WIDTH + 2 * MARGIN, HEIGHT + 66, element("text", title, x=MARGIN, y=22), drawn, *key)


if __name__ == "__main__":
    main(*sys.argv[1:3])
