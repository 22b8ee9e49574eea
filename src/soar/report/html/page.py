"""A run's report as one self-contained page, and the same in short for a notebook. Knows the order of its parts.

The page loads no script, font or picture from elsewhere, and its own policy forbids it.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from soar.files import growing
from soar.report.html.markup import Html, element, joined
from soar.report.html.score import scores
from soar.report.html.searches import costs, failures, reached
from soar.report.html.style import SHEET
from soar.report.html.task import cell
from soar.report.html.telling import telling
from soar.report.html.wall import walls
from soar.report.overview import Overview, overview
from soar.report.view import RunView, leak_lines

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""What a browser may fetch for the page: nothing."""


def write_page(view: RunView, out: Path) -> str:
    """Write the report of a run, all or nothing; return what was written."""
    text = page(view)
    with growing(out) as sink:
        sink.write(text)
    return f"{len(text.encode()) / 1e6:.1f} MB, to open in any browser"


def page(view: RunView) -> str:
    """Return the report of a run as it stands, as a complete HTML document."""
    found = overview(view)
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"SOAR: {view.name}"),
        element("style", SHEET),
    )
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    body = element("body", element("h1", view.name), _standing(view, found, now), _parts(view, found), class_="soar")
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def run_cell(view: RunView) -> Html:
    """Return a run as a notebook shows it: what its searches reached, and the wall of its tasks."""
    found = overview(view)
    told = [
        element("h3", view.name),
        _standing(view, found),
        reached(found.records),
        walls(found.tiles, view.domain),
    ]
    return cell(*told)


def _standing(view: RunView, found: Overview, now: str | None = None) -> Html:
    done = sum(record["finished"] for record in found.records)
    state = "finished" if done == len(view.plan) else f"{done} of {len(view.plan)} searches finished"
    sources = ", ".join(f"{name} ({source})" for name, source in view.sources.items())
    voted = f"; vote changed: {', '.join(view.overrides)}" if view.overrides else ""
    told = element("p", f"{state}; stages: {sources}{voted}{f'; as of {now}' if now else ''}", class_="soft")
    return joined([told, *(element("p", element("strong", line)) for line in leak_lines(view.leaks))])


def _parts(view: RunView, found: Overview) -> Html:
    if not found.records:
        return joined([element("p", "No search has begun."), _part("Tasks", walls(found.tiles, view.domain))])
    return joined(
        [
            _part("Searches", reached(found.records), _reached_note()),
            _part("Tasks", walls(found.tiles, view.domain)),
            _part("Score against programs", scores(found.curves)),
            _part("Failures", failures(found.failures, _completions(found.records))),
            _part("Costs", costs(found.records, found.requests)),
            _part("Telling programs", _telling_note(), telling(found.telling, view.domain)),
        ]
    )


def _part(title: str, *inside: Html) -> Html:
    return element("section", element("h2", title), *inside)


def _reached_note() -> Html:
    said = (
        "train pairs: tasks with a program right on all training pairs; solved: one of two voted answers is right;"
        " newly solved: for the first time in the stage; oracle: some program has all test outputs right; ?: not known."
    )
    return element("p", said, class_="soft")


def _telling_note() -> Html:
    said = (
        "Right on tasks that few programs solve; right on the training pairs but wrong on a test output; nearest if"
        " none is right on the training pairs."
    )
    return element("p", said, class_="soft")


def _completions(records: Sequence[Mapping[str, Any]]) -> int:
    return sum(record["completions"] for record in records)
