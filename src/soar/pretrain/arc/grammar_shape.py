"""Idioms that turn, cut, repeat, enlarge or stack the whole grid.

Every function draws one step of a program as text. Knows nothing of objects; halves and blocks are in their own file.
"""

from soar.pretrain.arc.grammar_draw import Draw

FLIPS = (("g[::-1]", 0), ("g[:, ::-1]", 1))
"""The two mirror images, each with the axis along which it is mirrored."""


def turn(d: Draw) -> str:
    """Mirror, turn or transpose."""
    return "g = " + d.weighted(
        (3, "g[::-1]"),
        (3, "g[:, ::-1]"),
        (2, "g[::-1, ::-1]"),
        (2, "g.T"),
        (2, "np.rot90(g)"),
        (2, "np.rot90(g, 3)"),
        (1, "g[::-1, ::-1].T"),
    )


def shift(d: Draw) -> str:
    """Move everything, around the edge or off it."""
    k, axis = d.weighted((4, 1), (2, 2), (1, 3)), d.one(0, 1)
    k = k if d.chance(0.6) else -k
    roll = f"g = np.roll(g, {k}, {axis})"
    if d.chance(0.5):
        return roll
    lost = f":{k}" if k > 0 else f"{k}:"
    return f"{roll}\ng[{lost if axis == 0 else ':, ' + lost}] = 0"


def shift_colour(d: Draw) -> str:
    """Move the cells of one colour by a constant."""
    k = d.weighted((4, 1), (2, 2), (1, 3)) * (1 if d.chance(0.6) else -1)
    c = d.colour()
    back = d.weighted((3, "g[m] = 0\n"), (1, ""))
    n = d.weighted((3, f"np.roll(m, {k}, {d.one(0, 1)})"), (1, f"np.roll(m, ({k}, {k}), (0, 1))"))
    return f"m = g == {c}\n{back}g[{n}] = {d.weighted((3, c), (2, d.paint()))}"


def tile(d: Draw) -> str:
    """Repeat the grid."""
    a, b = d.weighted((3, (1, 2)), (3, (2, 1)), (3, (2, 2)), (3, (3, 3)), (2, (1, 3)), (2, (3, 1)), (1, (4, 4)))
    return f"g = np.tile(g, ({a}, {b}))"


def enlarge(d: Draw) -> str:
    """Make a block of every cell."""
    k = d.weighted((4, 2), (4, 3), (1, 4))
    return d.weighted(
        (6, f"g = g.repeat({k}, 0).repeat({k}, 1)"),
        (1, f"g = g.repeat({k}, 0)"),
        (1, f"g = g.repeat({k}, 1)"),
    )


def stack_two(d: Draw) -> str:
    """Put the grid and a turned copy beside or on top of each other."""
    v = d.weighted((3, "g[::-1]"), (3, "g[:, ::-1]"), (2, "g[::-1, ::-1]"), (1, "g"), (0.5, "0 * g"))
    pair = f"(g, {v})" if d.chance(0.7) else f"({v}, g)"
    return f"g = np.{d.one('hstack', 'vstack')}({pair})"


def stack_four(d: Draw) -> str:
    """Make a two by two block of the grid and its mirrored copies."""
    v = d.weighted((4, ("g[:, ::-1]", "g[::-1]")), (1, ("g", "g[::-1]")), (1, ("g[:, ::-1]", "g")))
    pairs = [f"(g, {x})" if d.chance(0.7) else f"({x}, g)" for x in v]
    return f"g = np.hstack({pairs[0]})\ng = np.vstack({pairs[1]})"


def stack_turned(d: Draw) -> str:
    """Make a two by two block of turned copies."""
    cells = [d.one("g", "np.rot90(g)", "np.rot90(g, 2)", "np.rot90(g, 3)", "g[::-1]", "g[:, ::-1]") for _ in range(3)]
    return f"g = np.block([[g, {cells[0]}], [{cells[1]}, {cells[2]}]])"


def stack_three(d: Draw) -> str:
    """Put three copies in a row or column, or nine in a square, the middle ones perhaps mirrored."""
    across, down = d.one("g[:, ::-1]", "g", "g[::-1]"), d.one("g[::-1]", "g", "g[:, ::-1]")
    row, column = f"g = np.hstack((g, {across}, g))", f"g = np.vstack((g, {down}, g))"
    return d.one(row, column, f"{row}\n{column}")


def crop(d: Draw) -> str:
    """Keep a part of the grid: a half, a corner, the inside."""
    k = d.weighted((3, 3), (2, 2), (1, 4), (1, 5))
    half = d.one("[: len(g) // 2]", "[:, : len(g[0]) // 2]", "[-(len(g) // 2) :]", "[: len(g) // 2, : len(g[0]) // 2]")
    corner = d.one(f"[:{k}, :{k}]", f"[:{k}, -{k}:]", f"[-{k}:, :{k}]", f"[-{k}:, -{k}:]", f"[:{k}]", f"[:, :{k}]")
    inside = d.weighted((3, "[1:-1, 1:-1]"), (1, "[2:-2, 2:-2]"), (1, "[1:]"), (1, "[:, 1:]"), (1, "[:-1]"))
    return "g = g" + d.weighted((4, half), (3, corner), (3, inside))


def third(d: Draw) -> str:
    """Keep the first, second or third of three parts."""
    axis = d.one(0, 1)
    return f"g = np.array_split(g, {d.weighted((4, 3), (1, 4))}, {axis})[{d.one(0, 1, 2, -1)}]"


def thin_out(d: Draw) -> str:
    """Keep every k-th row and column."""
    k, start = d.weighted((3, 2), (3, 3), (1, 4)), d.weighted((3, ""), (1, "1"))
    return d.weighted(
        (4, f"g = g[{start}::{k}, {start}::{k}]"), (1, f"g = g[{start}::{k}]"), (1, f"g = g[:, {start}::{k}]")
    )


def shrink(d: Draw) -> str:
    """Make one cell of every k by k block, or of every k-th of the grid."""
    how = d.weighted((4, "max"), (2, "min"))
    if d.chance(0.5):
        k = d.weighted((3, 2), (3, 3), (1, 4))
        return (
            f"a, b = len(g) // {k}, len(g[0]) // {k}\ng = g[: a * {k}, : b * {k}].reshape(a, {k}, b, {k}).{how}((1, 3))"
        )
    k = d.weighted((3, 3), (1, 2))
    return f"a, b = len(g) // {k}, len(g[0]) // {k}\ng = g[: a * {k}, : b * {k}].reshape({k}, a, {k}, b).{how}((1, 3))"


def pad(d: Draw) -> str:
    """Add a border of a colour, or of mirrored cells."""
    k = d.weighted((5, 1), (2, 2), (0.5, 3))
    return d.weighted(
        (5, f"g = np.pad(g, {k}, constant_values={d.paint()})"),
        (2, f"g = np.pad(g, {k})"),
        (2, f'g = np.pad(g, {k}, "{d.one("edge", "symmetric", "reflect", "wrap")}")'),
        (1, f"g = np.pad(g, ((0, {d.one('0', 'len(g)')}), (0, {d.one('len(g[0])', '0')})))"),
    )


def frame(d: Draw) -> str:
    """Paint the border, or everything but the border."""
    c = d.paint_or_zero()
    return d.weighted(
        (3, f"g[[0, -1]] = {c}\ng[:, [0, -1]] = {c}"),
        (1, f"g[[0, -1]] = {c}"),
        (1, f"g[:, [0, -1]] = {c}"),
        (1, f"g[1:-1, 1:-1] = {c}"),
        (0.5, f"g[{d.one('0', '-1', ':, 0', ':, -1')}] = {c}"),
    )


def symmetrise(d: Draw) -> str:
    """Overlay the grid with its mirror image, or complete the hidden cells from it."""
    steps = d.weighted((3, 1), (2, 2), (1, 3))
    c = d.weighted((3, 0), (2, d.colour()))
    flips = [d.mirror() for _ in range(steps)]
    if c == 0 and d.chance(0.6):
        return "\n".join(f"g = np.maximum(g, {flip})" for flip in dict.fromkeys(flips))
    return "\n".join(f"g = np.where(g == {c}, {flip}, g)" for flip in dict.fromkeys(flips))


def symmetrise_somewhere(d: Draw) -> str:
    """Find where the axis of symmetry is and complete the hidden cells by it."""
    c = d.weighted((2, 0), (3, d.colour()))
    steps = [
        f"for k in range(-9, 10):\n    h = np.roll({flip}, k, {axis})\n"
        f"    if ((g == h) | (g == {c}) | (h == {c})).all():\n        g = np.where(g == {c}, h, g)"
        for flip, axis in d.weighted((1, (("g[::-1]", 0),)), (1, (("g[:, ::-1]", 1),)), (2, FLIPS))
    ]
    return "\n".join(steps)


def skew(d: Draw) -> str:
    """Roll each row or column a little further than the one before, or every second one."""
    k = d.weighted((3, "i"), (2, "-i"), (2, "i % 2"), (1, "-(i % 2)"))
    return d.one(
        f"for i in range(len(g)):\n    g[i] = np.roll(g[i], {k})",
        f"for i in range(len(g[0])):\n    g[:, i] = np.roll(g[:, i], {k})",
    )


def hidden_part(d: Draw) -> str:
    """Answer with what a covering colour hides, by the symmetry of the rest."""
    c = d.colour()
    box = "y, x = np.where(m)\ng = h[y.min() : y.max() + 1, x.min() : x.max() + 1]"
    return f"m = g == {c}\nh = np.where(m, {d.mirror()}, g)\n{box}"


def self_product(d: Draw) -> str:
    """Put the grid, or a mask's pattern, where the grid has a certain colour."""
    where = d.weighted(
        (4, "g > 0"),
        (1, "g == 0"),
        (2, f"g == {d.colour()}"),
        (1, "g == g.max()"),
        (1, "g == np.bincount(g.ravel()).argmax()"),
        (1, "g == np.bincount(g[g > 0]).argmax()"),
    )
    return f"g = np.kron({where}, {d.weighted((6, 'g'), (1, 'g[::-1, ::-1]'), (1, 'np.where(g > 0, 0, g.max())'))})"


def sort_lines(d: Draw) -> str:
    """Sort the cells of each row or column, or the rows or columns by their counts."""
    things = d.weighted((3, "g > 0"), (1, f"g == {d.colour()}"))
    sign, axis = d.one("", "-"), d.one(0, 1)
    return d.weighted(
        (2, f"g = np.sort(g, {axis})"),
        (1, f"g = np.sort(g, {axis}){d.one('[::-1]', '[:, ::-1]')}"),
        (2, f'g = g[np.argsort({sign}({things}).sum(1), kind="stable")]'),
        (2, f'g = g[:, np.argsort({sign}({things}).sum(0), kind="stable")]'),
    )


def drop_repeats(d: Draw) -> str:
    """Drop rows and columns equal to the one before."""
    rows = "g = g[np.r_[True, (g[1:] != g[:-1]).any(1)]]"
    columns = "g = g[:, np.r_[True, (g[:, 1:] != g[:, :-1]).any(0)]]"
    return d.weighted((4, f"{rows}\n{columns}"), (1, rows), (1, columns))


def drop_lines(d: Draw) -> str:
    """Drop, or keep only, rows and columns that are empty or of one colour."""
    what = d.weighted((5, "> 0"), (3, f"!= {d.colour()}"), (2, "!= g[0, 0]"), (1, f"== {d.colour()}"))
    rows, columns = f"g = g[(g {what}).any(1)]", f"g = g[:, (g {what}).any(0)]"
    one = d.one("y", "x")
    both = f"m = g {what}\ng = g[m.any(1)][:, m.any(0)]"
    return d.weighted((4, both), (1, rows if one == "y" else columns))


def repeat_lines(d: Draw) -> str:
    """Fill the grid with copies of a row or a column, or continue its first lines."""
    k = d.weighted((3, 1), (3, 2), (2, 3))
    return d.weighted(
        (1, f"g[:] = g[{d.one('0', '-1', 'len(g) // 2')}]"),
        (1, f"g[:] = g[:, {d.one(':1', '-1:')}]"),
        (2, f"for i in range({k}, len(g)):\n    g[i] = g[i - {k}]"),
        (2, f"for i in range({k}, len(g[0])):\n    g[:, i] = g[:, i - {k}]"),
    )


def fill_period(d: Draw) -> str:
    """Find the period of the pattern along one or both axes and complete the hidden cells by it."""
    axes = d.weighted((2, ("g.T",)), (2, ("g",)), (3, ("g", "g.T")))
    first = d.weighted((2, ""), (3, f"g[g == {d.colour()}] = 0\n"))
    steps = [
        f"h = {axis}\nfor p in range(1, len(h)):\n    a, b = h[p:], h[:-p]\n    if ((a == b) | (a * b == 0)).all():\n"
        "        break\nfor i in range(p):\n    h[i::p] = h[i::p].max(0)"
        for axis in axes
    ]
    return first + "\n".join(steps)


def continue_period(d: Draw) -> str:
    """Continue a periodic pattern past the grid's lower or right edge."""
    axis, lines = d.one((0, "g"), (1, "g.T"))
    k = d.weighted((2, "len(g) // 2"), (1, "3"), (1, "len(g)"))
    find = f"h = {lines}\np = 1\nwhile (h[p:] != h[:-p]).any():\n    p += 1"
    grow = f"i = np.arange(len(h) + {k}) % p"
    return f"{find}\n{grow}\ng = {'h[i]' if axis == 0 else 'h[i].T'}"
