"""Idioms about cells and their surroundings: holes, outlines, neighbours, floods, distances.

Every function draws one step of a program as text; most make a mask ``m`` and use it. Knows no objects as such.
"""

from soar.pretrain.arc.grammar_draw import EIGHT, Draw

STRUCTURES = (
    (4, ""),
    (4, EIGHT),
    (1, ", np.ones((1, 3))"),
    (1, ", np.ones((3, 1))"),
    (1, ", [[1, 0, 1], [0, 1, 0], [1, 0, 1]]"),
    (0.5, ", np.ones((5, 5))"),
    (0.3, ", np.eye(3)"),
)
"""Neighbourhoods: the four, the eight, along a row or a column, the diagonals."""


def holes(d: Draw) -> str:
    """Paint what is enclosed."""
    things = d.weighted((4, f"g == {d.colour()}"), (4, "g > 0"))
    paint = d.paint()
    eight = d.weighted((4, ""), (1, EIGHT))
    return d.weighted(
        (5, f"m = ndimage.binary_fill_holes({things}{eight})\ng[m & (g == 0)] = {paint}"),
        (1, f"m = ndimage.binary_fill_holes({things}) & (g == 0)\n{d.use(fill=0)}"),
        (1, f"m = ndimage.binary_fill_holes({things})\n{d.use()}"),
    )


def inside_or_outside(d: Draw) -> str:
    """Paint the empty cells by whether the border can be reached."""
    a, b = d.paint_or_zero(), d.paint_or_zero()
    things = d.weighted((3, f"g == {d.colour()}"), (2, "g > 0"))
    return f"m = ndimage.binary_fill_holes({things})\ng[g == 0] = {a}\ng[m & (g == {a})] = {b}"


def outside(d: Draw) -> str:
    """Flood from the border."""
    eight = d.weighted((3, ""), (1, EIGHT))
    c = d.weighted((4, 0), (1, d.colour()))
    return (
        f"h = np.pad(g, 1, constant_values={c})\nl, n = ndimage.label(h == {c}{eight})\nm = (l == 1)[1:-1, 1:-1]\n"
        + d.weighted(
            (3, f"g[m] = {d.paint()}"),
            (3, f"g[~m & (g == {c})] = {d.paint()}"),
            (2, f"g = np.where(m, {d.paint_or_zero()}, {d.paint_or_zero()})"),
        )
    )


def flood(d: Draw) -> str:
    """Flood from the cells of one colour through the cells of another."""
    a, through = d.colour(), d.weighted((4, "g == 0"), (1, f"g != {d.colour()}"), (1, "g > 0"))
    eight = d.weighted((3, ""), (2, EIGHT))
    use = d.weighted((4, f"g[m] = {d.weighted((2, a), (2, d.paint_or_zero()))}"), (2, d.use()))
    return f"m = g == {a}\nm = ndimage.binary_propagation(m{eight}, mask=m | ({through}))\n{use}"


def spread(d: Draw) -> str:
    """Let the cells of a colour spread in straight lines until something is in the way."""
    c = d.colour()
    ways = d.weighted(
        (2, "[[0, 0, 0], [1, 1, 1], [0, 0, 0]]"),
        (2, "[[0, 1, 0], [0, 1, 0], [0, 1, 0]]"),
        (1, "[[0, 0, 0], [0, 1, 1], [0, 0, 0]]"),
        (1, "[[0, 0, 0], [1, 1, 0], [0, 0, 0]]"),
        (1, "[[0, 0, 0], [0, 1, 0], [0, 1, 0]]"),
        (1, "[[0, 1, 0], [0, 1, 0], [0, 0, 0]]"),
        (1, "[[1, 0, 0], [0, 1, 0], [0, 0, 1]]"),
        (1, "[[0, 0, 1], [0, 1, 0], [1, 0, 0]]"),
        (1, "[[1, 0, 1], [0, 1, 0], [1, 0, 1]]"),
        (0.5, "[[0, 0, 0], [0, 1, 0], [1, 1, 1]]"),
    )
    through = d.weighted((5, "g == 0"), (1, f"g != {d.colour()}"))
    paint = d.weighted((1, c), (1, d.paint()))
    return f"m = g == {c}\nm = ndimage.binary_propagation(m, {ways}, mask=m | ({through}))\ng[m & (g == 0)] = {paint}"


def biggest_square(d: Draw) -> str:
    """Find the biggest squares, or the longest lines, that fit into a mask."""
    things = d.weighted((3, "g == 0"), (1, f"g == {d.colour()}"), (1, "g > 0"))
    size = d.weighted((3, "(k, k)"), (1, "(1, k)"), (1, "(k, 1)"))
    find = f"m = ndimage.binary_opening({things}, np.ones({size}))"
    return f"k = len(g)\nm = g < 0\nwhile not m.any():\n    {find}\n    k -= 1\n" + d.weighted(
        (4, f"g[m] = {d.paint()}"), (1, d.use(fill=0))
    )


def dilate(d: Draw) -> str:
    """Paint the neighbours of a mask."""
    things = d.weighted((5, f"g == {d.colour()}"), (2, "g > 0"), (1, d.mask()))
    structure = d.weighted(*STRUCTURES)
    use = d.weighted((5, f"g[m & (g == 0)] = {d.paint()}"), (3, d.use()))
    return f"m = ndimage.binary_dilation({things}{structure})\n{use}"


def dilate_twice(d: Draw) -> str:
    """Paint two rings around a mask."""
    things = d.weighted((3, f"g == {d.colour()}"), (2, "g > 0"))
    structure = d.weighted((2, ""), (4, EIGHT))
    return "\n".join(
        f"m = ndimage.binary_dilation({what}{structure})\ng[m & (g == 0)] = {d.paint()}" for what in (things, "g > 0")
    )


def dilate_colours(d: Draw) -> str:
    """Let every colour grow by its own neighbourhood."""
    size = d.weighted((4, "3"), (1, "(1, 3)"), (1, "(3, 1)"), (0.5, "5"))
    how = d.weighted((3, "dilation"), (1, "erosion"), (0.5, "closing"), (0.5, "opening"))
    grow = f"ndimage.grey_{how}(g, {size})"
    return d.weighted((3, f"g = {grow}"), (4, f"g = np.where(g == 0, {grow}, g)"))


def erode(d: Draw) -> str:
    """Take the inside or the rim of a mask."""
    things = d.weighted((4, f"g == {d.colour()}"), (3, "g > 0"), (2, "g == 0"))
    structure = d.weighted((2, ""), (4, EIGHT))
    return f"m = ndimage.binary_erosion({things}{structure})\n" + d.weighted(
        (5, f"g[m] = {d.paint_or_zero()}"),
        (2, d.use(fill=0)),
        (2, f"g[({things}) & ~m] = {d.paint_or_zero()}"),
    )


def opening(d: Draw) -> str:
    """Keep, paint or clear what a rectangle fits into."""
    things = d.weighted((3, f"g == {d.colour()}"), (3, "g > 0"), (3, "g == 0"))
    size = d.weighted((4, (2, 2)), (4, (3, 3)), (1, (1, 3)), (1, (3, 1)), (1, (1, 2)), (1, (2, 1)), (1, (4, 4)))
    what = f"m = ndimage.binary_{d.weighted((5, 'opening'), (1, 'closing'))}({things}, np.ones({size}))\n"
    return what + d.weighted(
        (4, f"g[m] = {d.paint_or_zero()}"),
        (2, f"g[({things}) & ~m] = {d.paint_or_zero()}"),
        (1, "g[~m] = 0"),
    )


def pattern(d: Draw) -> str:
    """Find a small pattern of a mask and paint it."""
    things = d.weighted((3, f"g == {d.colour()}"), (2, "g == 0"), (2, "g > 0"))
    shape = d.weighted((3, (2, 2)), (3, (3, 3)), (1, (1, 3)), (1, (3, 1)))
    bits = [[int(d.chance(0.6)) for _ in range(shape[1])] for _ in range(shape[0])]
    how = d.weighted((3, "binary_hit_or_miss"), (3, "binary_opening"))
    after = d.weighted((2, ""), (2, f"\nm = ndimage.binary_dilation(m{EIGHT})"))
    return f"m = ndimage.{how}({things}, {bits}){after}\ng[m] = {d.paint_or_zero()}"


def neighbours(d: Draw) -> str:
    """Paint cells by how many neighbours of a kind they have."""
    kernel = d.weighted(
        (3, "np.ones((3, 3))"),
        (3, "[[0, 1, 0], [1, 0, 1], [0, 1, 0]]"),
        (1, "[[1, 0, 1], [0, 0, 0], [1, 0, 1]]"),
        (1, "[[1, 1, 1], [1, 0, 1], [1, 1, 1]]"),
        (0.5, "[[1, 0, 1]]"),
        (0.5, "[[1], [0], [1]]"),
    )
    things = d.weighted((4, f"g == {d.colour()}"), (3, "g > 0"))
    test = f"n {d.one('>', '<', '==')} {d.small(1, 5)}"
    count = f'n = ndimage.convolve(1 * ({things}), {kernel}, mode="constant")'
    where = d.weighted((3, things), (2, "g == 0"), (1, f"g == {d.colour()}"))
    return f"{count}\ng[({test}) & ({where})] = {d.paint_or_zero()}"


def denoise(d: Draw) -> str:
    """Smooth single cells away."""
    return d.weighted(
        (2, f"g = ndimage.median_filter(g, {d.weighted((4, 3), (1, 5))})"),
        (1, f"g = ndimage.{d.one('grey_opening', 'grey_closing')}(g, {d.weighted((3, 3), (3, 2))})"),
        (1, f"m = ndimage.median_filter(g, 3)\ng = np.where(g == {d.weighted((1, 0), (2, d.colour()))}, m, g)"),
        (1, "g = ndimage.grey_closing(ndimage.grey_opening(g, 2), 2)"),
    )


def distance_rings(d: Draw) -> str:
    """Colour cells by their distance from the border, from a colour or from the background."""
    metric = d.weighted((3, ', "chessboard"'), (2, ', "taxicab"'))
    base = d.weighted(
        (3, "np.pad(g > 0, 1)"), (2, "np.ones(np.add(g.shape, 2))"), (2, f"g != {d.colour()}"), (1, "g == 0")
    )
    if "pad" in base or "ones" in base:
        inner = (
            f"np.pad(g {d.weighted((2, '> 0'), (1, f'== {d.colour()}'))}, 1)" if "pad" in base else "np.pad(g >= 0, 1)"
        )
        start = f"n = ndimage.distance_transform_cdt({inner}{metric})[1:-1, 1:-1]"
    else:
        start = f"n = ndimage.distance_transform_cdt({base}{metric})"
    c = d.paint()
    return f"{start}\n" + d.weighted(
        (2, f"g[n == {d.small(1, 4)}] = {c}"),
        (2, f"g[n % 2 == {d.one(0, 1)}] = {d.paint_or_zero()}"),
        (1, f"g[(n % 2 == {d.one(0, 1)}) & (g > 0)] = {c}"),
        (1, f"g[n > {d.small(1, 3)}] = {c}"),
        (1, f"g = np.array({[0, d.paint(), d.paint(), d.paint()]})[n % 4]"),
        (1, f"g[(n == n.max()) & (n > 0)] = {c}"),
    )


def nearest_colour(d: Draw) -> str:
    """Give cells the colour of the nearest coloured cell."""
    base = d.weighted((3, "g == 0"), (2, f"g == {d.colour()}"), (1, f"(g == 0) | (g == {d.colour()})"))
    start = f"i = ndimage.distance_transform_edt({base}, return_distances=False, return_indices=True)\n"
    return start + d.weighted((3, "g = g[tuple(i)]"), (3, f"g = np.where(g == {d.colour()}, g[tuple(i)], g)"))


def stamp(d: Draw) -> str:
    """Write a small constant pattern around every cell of a colour."""
    c = d.colour()
    kind = d.weighted(
        (3, "[[{0}, {0}, {0}], [{0}, {1}, {0}], [{0}, {0}, {0}]]"),
        (3, "[[0, {0}, 0], [{0}, {1}, {0}], [0, {0}, 0]]"),
        (3, "[[{0}, 0, {0}], [0, {1}, 0], [{0}, 0, {0}]]"),
        (2, "[[{0}, {2}, {0}], [{2}, {1}, {2}], [{0}, {2}, {0}]]"),
    ).format(d.paint(), d.weighted((3, c), (1, d.paint())), d.paint())
    return (
        f"h = np.pad(g, 1)\nfor y, x in np.argwhere(g == {c}):\n"
        f"    b = h[y : y + 3, x : x + 3]\n    b[:] = np.maximum(b, {kind})\ng = h[1:-1, 1:-1]"
    )
