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
GAP, MARGIN, TITLE, ROW, WIDE = 14, 16, 18, 17, 880


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
    parts, x, y, tallest, widest = [], float(MARGIN), float(MARGIN), 0.0, 0.0
    for name, left, right in pairs:
        if x > MARGIN and x + size(view, left)[0] + size(view, right)[0] > WIDE:
            x, y, tallest = float(MARGIN), y + TITLE + tallest + GAP, 0.0
        parts.append(element("text", name, x=f"{x:g}", y=f"{y + 8:g}"))
        for value in (left, right):
            width, height = size(view, value)
            parts.append(placed(view, value, x, y + TITLE))
            x, tallest = x + width + GAP / 2, max(tallest, height)
        x, widest = x + GAP, max(widest, x)
    top = y + TITLE + tallest + GAP
    lines = [f"task {task.id}, solved by {program.key}:", "", *program.code.split("\n")]
    for n, line in enumerate(lines):
        y, family = top + ROW * (n + 1), MONO if n > 1 else "sans-serif"
        parts.append(element("text", Html(text_of(line)), x=MARGIN, y=f"{y:g}", style=f"font-family:{family}"))
    widest = max(widest, 7.4 * max(map(len, lines)))
    return picture(widest + MARGIN, top + ROW * len(lines) + MARGIN, *parts)


def text_of(line: str) -> str:
    """Return a line as text whose indentation is kept."""
    return joined([line]).replace(" ", "\u00a0")


def size(view: RunView, value: Output | None) -> tuple[float, float]:
    """Return the pixels that a value takes, across and down."""
    if value is None or isinstance(value, Failure):
        return 10, 12
    found = re.search(r'width="([\d.]+)" height="([\d.]+)"', view.domain.svg(value))
    return (float(found[1]), float(found[2])) if found else sys.exit("only values that are drawn as SVG have a picture")


def placed(view: RunView, value: Output | None, x: float, y: float) -> Html:
    """Return a value drawn at a place."""
    if value is None or isinstance(value, Failure):
        return element("text", "?", x=f"{x:g}", y=f"{y + 12:g}")
    return Html(view.domain.svg(value).replace("<svg ", f'<svg x="{x:g}" y="{y:g}" ', 1))


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
