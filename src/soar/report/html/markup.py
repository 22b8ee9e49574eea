"""HTML elements from text: the one place where anything becomes markup.

Whatever is not `Html` already is text, and is escaped: a hostile id, program or message can only be read. Knows no
subject and no style.
"""

import html
from collections.abc import Iterable

from soar.report.foreign import visible

VOID = frozenset({"br", "meta", "link"})
"""Elements without content or an end tag."""


class Html(str):
    """Markup: made by `element` and `joined`, or by a domain that draws its values."""

    __slots__ = ()


def text(value: object) -> Html:
    """Return a value's text as markup that shows it; what would be obeyed or hidden is escaped as in a Python
    string."""
    return Html(html.escape(visible(str(value)), quote=True))


def joined(parts: Iterable[object]) -> Html:
    """Return the parts in a row: markup as it is, all else as text; None is left out."""
    return Html("".join(part if isinstance(part, Html) else text(part) for part in parts if part is not None))


def element(name: str, /, *inside: object, **attributes: object) -> Html:
    """Return an element. An attribute that is None is left out; ``class_`` and ``stroke_width`` become ``class`` and
    ``stroke-width``."""
    named = ((key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items() if value is not None)
    # In an attribute, markup is text too.
    start = "".join(
        f' {key}="{text(str.__str__(value) if isinstance(value, Html) else value)}"' for key, value in named
    )
    return Html(f"<{name}{start}>" if name in VOID else f"<{name}{start}>{joined(inside)}</{name}>")


def table(headings: Iterable[object], rows: Iterable[Iterable[object]], **attributes: object) -> Html:
    """Return a table; the first cell of a row names it."""
    head = element("thead", element("tr", *(element("th", heading, scope="col") for heading in headings)))
    lines = []
    for first, *cells in rows:
        lines.append(element("tr", element("th", first, scope="row"), *(element("td", cell) for cell in cells)))
    return element("div", element("table", head, element("tbody", *lines), **attributes), class_="scroll")
