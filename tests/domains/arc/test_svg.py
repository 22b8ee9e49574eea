import re
from xml.etree import ElementTree

from soar.domains.arc.grids import COLOURS
from soar.domains.arc.svg import CELL, LARGEST, svg


def painted(drawing):
    """Return the cells of a drawing by their place: the colour of the rectangle that covers each."""
    cells = {}
    for path in ElementTree.fromstring(drawing).iter("path"):
        fill = path.get("fill")
        for x, y, length in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\d+z", path.get("d") or ""):
            cells |= {(int(y), int(x) + step): fill for step in range(int(length))}
    return cells


def test_every_cell_is_painted_in_its_colour_once():
    grid = ((0, 1, 1, 2), (3, 3, 1, 9), (5, 5, 5, 5))
    cells = painted(svg(grid))
    assert cells == {(y, x): COLOURS[cell][1] for y, row in enumerate(grid) for x, cell in enumerate(row)}


def test_the_drawing_has_the_grids_proportions_fits_and_tells_its_size():
    for rows, columns in ((2, 3), (30, 30), (30, 10)):
        drawing = ElementTree.fromstring(svg(tuple((4,) * columns for _ in range(rows))))
        width, height = float(drawing.get("width") or 0), float(drawing.get("height") or 0)
        assert max(width, height) <= LARGEST
        assert abs(width / height - columns / rows) < 1e-6
        assert drawing.get("aria-label") == f"{rows} rows x {columns} columns"
    assert ElementTree.fromstring(svg(((4,),))).get("width") == str(CELL)


def test_a_row_of_one_colour_is_one_rectangle():
    assert len(svg(((7,) * 30,) * 30)) < 3000
