"""Values and failures side by side, titled, in groups that belong together. Draws values as the domain does."""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from soar.protocols import Domain
from soar.report.foreign import failure_text
from soar.report.html.markup import Html, element
from soar.types import Failure, Output

Group: TypeAlias = Sequence[tuple[object, Output | None]]
"""Titled values that belong together; None (no output, or a hidden one) is drawn as a question mark."""


def drawn(domain: Domain, value: Output | None) -> Html:
    """Return one value as its domain draws it; a failure says what went wrong."""
    if value is None:
        return element("div", "?", class_="value soft")
    if isinstance(value, Failure):
        return element("div", failure_text(value), class_="value bad")
    return element("div", Html(domain.svg(value)), class_="value")


def groups(domain: Domain, found: Iterable[Group]) -> Html:
    """Return groups of titled values, as many side by side as there is room for."""
    return element("div", *(element("div", *_figures(domain, group)) for group in found), class_="values")


def _figures(domain: Domain, group: Group) -> list[Html]:
    return [element("figure", element("figcaption", title), drawn(domain, value)) for title, value in group]


def verdict(output: Output, *, right: bool | None) -> Html:
    """Return the label of an output: right, wrong, failed, or just output."""
    if isinstance(output, Failure):
        return element("span", "failed", class_="bad")
    if right is None:
        return element("span", "output")
    return element("span", "✓ right", class_="good") if right else element("span", "✗ wrong", class_="bad")
