"""The wall of a run's tasks: a tile each, with how far its searches got. Knows states; draws a test input."""

from collections import Counter
from collections.abc import Mapping, Sequence

from soar.protocols import Domain
from soar.report.html.markup import Html, element, joined
from soar.report.html.values import drawn
from soar.report.overview import State, Tile

MARKS: Mapping[State, tuple[str, str, str]] = {
    "solved": ("✓", "good", "an answer is right"),
    "fits": ("◐", "half", "a program is right on all training pairs"),
    "partly": ("◔", "bad", "a program is right on some training pairs"),
    "nothing": ("✗", "none", "no program is right on any pair"),
    "waiting": ("·", "waiting", "no programs yet"),
}
"""The mark, class and text of each state; the mark tells them apart without colour."""


def walls(tiles: Mapping[str, Sequence[Tile]], domain: Domain) -> Html:
    """Return a wall per stage."""
    return joined(_wall(name, found, domain) for name, found in tiles.items())


def _wall(name: str, tiles: Sequence[Tile], domain: Domain) -> Html:
    counts = Counter(tile.state for tile in tiles)
    key = [_key(state, counts[state]) for state in MARKS if counts[state]]
    order = list(MARKS)
    shown = sorted(tiles, key=lambda tile: (order.index(tile.state), tile.task.id))
    return joined(
        [
            element("h3", f"stage {name}"),
            element("ul", *key, class_="key"),
            element("ul", *(_tile(tile, domain) for tile in shown), class_="wall"),
        ]
    )


def _key(state: State, count: int) -> Html:
    mark, style, said = MARKS[state]
    return element("li", element("span", f"{mark} {count}", class_=style), f" {said}")


def _tile(tile: Tile, domain: Domain) -> Html:
    mark, style, said = MARKS[tile.state]
    name = element("span", element("span", mark, class_=style), f" {tile.task.id}", class_="name")
    picture = element("span", drawn(domain, tile.task.test[0].input), class_="small", aria_hidden="true")
    told = f"{tile.task.id}: {said}; {tile.programs} programs"
    return element("li", name, picture, class_=style, title=told)
