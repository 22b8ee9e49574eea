"""Idioms about rows, columns, diagonals and directions: lines through cells, rays, stripes, gravity, fills in between.

Every function draws one step of a program as text.
"""

from soar.pretrain.arc.grammar_draw import Draw

PLACES = (
    (3, "(y == p) | (x == q)"),
    (2, "y == p"),
    (2, "x == q"),
    (2, "abs(y - p) == abs(x - q)"),
    (1, "y - p == x - q"),
    (1, "y - p == q - x"),
    (1.5, "(x == q) & (y > p)"),
    (1, "(x == q) & (y < p)"),
    (1.5, "(y == p) & (x > q)"),
    (1, "(y == p) & (x < q)"),
    (0.7, "(y - p == x - q) & (y > p)"),
    (0.7, "(y - p == q - x) & (y > p)"),
    (0.7, "(y - p == x - q) & (y < p)"),
    (0.7, "(y - p == q - x) & (y < p)"),
    (1, "(x == q) & ((y - p) % 2 == 0)"),
    (1, "(y == p) & ((x - q) % 2 == 0)"),
    (1, "(abs(y - p) < 2) & (abs(x - q) < 2)"),
    (0.7, "abs(y - p) + abs(x - q) == 1"),
    (0.7, "(abs(y - p) == 1) & (abs(x - q) == 1)"),
    (1, "np.maximum(abs(y - p), abs(x - q)) % 2 == 0"),
    (0.5, "np.maximum(abs(y - p), abs(x - q)) == 2"),
    (0.5, "(y - p + x - q) % 2 == 0"),
    (0.5, "(y == p - 1) & (x == q)"),
    (0.5, "(y == p + 1) & (x == q)"),
    (0.5, "(y == p) & (x == q + 1)"),
    (0.5, "(y == p) & (x == q - 1)"),
)
"""Where something is painted, relative to a cell at row ``p``, column ``q``."""


def through_cells(d: Draw) -> str:
    """Paint a figure around each marked cell: lines, diagonals, rays, squares."""
    everything = d.chance(0.35)
    c = d.colour()
    what = "g > 0" if everything else f"g == {c}"
    paint = "h[p, q]" if everything and d.chance(0.8) else str(d.weighted((3, c), (4, d.paint())))
    keep = d.weighted((5, " & (g == 0)"), (3, ""))
    place = d.weighted(*PLACES)
    mask = f"({place}){keep}" if keep else place
    return f"h = g.copy()\ny, x = np.indices(g.shape)\nfor p, q in np.argwhere(h{what[1:]}):\n    g[{mask}] = {paint}"


def two_figures(d: Draw) -> str:
    """Paint one figure around the cells of one colour and another around those of another."""
    places = [d.weighted(*PLACES) for _ in range(2)]
    lines = ["h = g.copy()", "y, x = np.indices(g.shape)"]
    for place in places:
        c = d.colour()
        paint = d.weighted((1, c), (2, d.paint()))
        lines += [f"for p, q in np.argwhere(h == {c}):", f"    g[({place}) & (g == 0)] = {paint}"]
    return "\n".join(lines)


def rows_and_columns(d: Draw) -> str:
    """Paint the rows, the columns, or both, that hold a marked cell."""
    c = d.colour()
    m = d.weighted(
        (3, f"m = (g == {c}).any(1)[:, None]"),
        (3, f"m = (g == {c}).any(0)[None]"),
        (3, f"m = (g == {c}).any(1)[:, None] | (g == {c}).any(0)"),
        (2, f"m = (g == {c}).any(1)[:, None] & (g == {c}).any(0)"),
        (1, "m = (g > 0).any(1)[:, None] & (g > 0).any(0)"),
        (1, "m = (g > 0).all(1)[:, None] | (g > 0).all(0)"),
        (1, f"m = (g == {c}).all(1)[:, None] | (g == {c}).all(0)"),
    )
    where = d.weighted((5, "m & (g == 0)"), (2, "m"), (1, f"m & (g == {d.colour()})"))
    return f"{m}\ng = np.where({where}, {d.weighted((1, c), (2, d.paint()))}, g)"


def empty_lines(d: Draw) -> str:
    """Paint the rows and columns that are empty, or of one colour."""
    what = d.weighted((4, "g == 0"), (2, f"g != {d.colour()}"), (1, f"g == {d.colour()}"))
    c = d.paint()
    rows, columns = f"y = ({what}).all(1)", f"x = ({what}).all(0)"
    return d.weighted(
        (3, f"{rows}\n{columns}\ng[y] = {c}\ng[:, x] = {c}"),
        (1, f"{rows}\ng[y] = {c}"),
        (1, f"{columns}\ng[:, x] = {c}"),
    )


def running_maximum(d: Draw) -> str:
    """Let colours run to one side up to the edge."""
    view = d.one("g", "g[::-1]", "g.T", "g.T[::-1]")
    back = {"g": "h", "g[::-1]": "h[::-1]", "g.T": "h.T", "g.T[::-1]": "h[::-1].T"}[view]
    h = f"h = np.maximum.accumulate({view})"
    return d.weighted((3, f"{h}\ng = {back}"), (2, f"{h}\ng = np.where(g == 0, {back}, g)"))


def shadow(d: Draw) -> str:
    """Let a colour run to one side and paint the empty cells it meets."""
    view = d.one("{}", "{}[::-1]", "{}.T", "{}.T[::-1]")
    back = {"{}": "m", "{}[::-1]": "m[::-1]", "{}.T": "m.T", "{}.T[::-1]": "m[::-1].T"}[view]
    c = d.colour()
    start = f"m = g == {c}\nm = np.maximum.accumulate({view.format('m')})\nm = {back}\n"
    return start.replace("\nm = m\n", "\n") + d.weighted(
        (3, f"g[m & (g == 0)] = {d.weighted((1, c), (2, d.paint()))}"), (1, d.use())
    )


def between(d: Draw) -> str:
    """Fill between equal cells of a row or a column."""
    c = d.colour()
    turns = d.weighted((3, ("",)), (3, (".T",)), (3, ("", ".T")))
    paint = d.weighted((2, c), (2, d.paint()))
    span = "np.maximum.accumulate(h) & np.maximum.accumulate(h[::-1])[::-1]"
    parts = [f"h = m{turn}\nh = {span}\ng{turn}[h & (g{turn} == 0)] = {paint}" for turn in turns]
    return f"m = g == {c}\n" + "\n".join(parts)


def between_pairs(d: Draw) -> str:
    """Connect cells of any colour with the next of their colour in the same row or column."""
    axes = d.weighted((3, ("g",)), (3, ("g.T",)), (3, ("g", "g.T")))
    paint = d.weighted((2, "c"), (2, str(d.paint())))
    return "\n".join(
        f"for r in {axis}:\n    for c in np.unique(r[r > 0]):\n        x = np.flatnonzero(r == c)\n"
        f"        b = r[x[0] : x[-1]]\n        b[b == 0] = {paint}"
        for axis in axes
    )


def meet_in_the_middle(d: Draw) -> str:
    """Fill a row or a column between its ends, half in each end's colour."""
    axis = d.one("g", "g.T")
    paint = d.weighted((1, f"\n        r[len(r) // 2] = {d.paint()}"), (1, ""))
    return (
        f"for r in {axis}:\n    if r[0] and r[-1]:\n        k = len(r) // 2\n        r[:k], r[-k:] = r[0], r[-1]{paint}"
    )


def ray(d: Draw) -> str:
    """Send a ray from each marked cell in one direction until something is in the way."""
    c = d.colour()
    dy, dx = d.one((0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (-1, -1), (1, -1), (-1, 1))
    move = ", ".join((_plus("y", dy), _plus("x", dx)))
    paint = d.weighted((2, c), (2, d.paint()))
    stop = d.weighted((3, "g[y, x] == 0"), (1, f"g[y, x] != {d.colour()}"))
    return (
        f"for y, x in np.argwhere(g == {c}):\n    y, x = {move}\n"
        f"    while 0 <= y < len(g) and 0 <= x < len(g[0]) and {stop}:\n"
        f"        g[y, x] = {paint}\n        y, x = {move}"
    )


def _plus(name: str, step: int) -> str:
    return name if step == 0 else f"{name} {'+' if step > 0 else '-'} {abs(step)}"


def stripes(d: Draw) -> str:
    """Paint every k-th row, column or diagonal, or a checkerboard, perhaps only on some cells."""
    k, r = d.weighted((5, 2), (3, 3), (1, 4)), d.weighted((3, 0), (2, 1), (1, 2))
    r = r % k
    line = d.weighted(
        (3, "y"), (3, "x"), (3, "(x + y)"), (1, "(x - y)"), (1, "np.maximum(y, x)"), (0.5, "np.minimum(y, x)")
    )
    where = d.weighted((3, ""), (3, f" & (g == {d.colour()})"), (2, " & (g == 0)"), (1, " & (g > 0)"))
    test = f"({line} % {k} == {r}){where}" if where else f"{line} % {k} == {r}"
    return f"y, x = np.indices(g.shape)\ng[{test}] = {d.paint_or_zero()}"


def stripes_from(d: Draw) -> str:
    """Continue marked cells as stripes with a step."""
    axis = d.one("g", "g.T")
    k = d.weighted((4, 2), (1, 3), (1, 4))
    return f"h = g.copy()\nfor p, q in np.argwhere(h > 0):\n    {axis}[{'q' if axis == 'g.T' else 'p'}::{k}] = h[p, q]"


def gravity(d: Draw) -> str:
    """Let cells fall to one side, past everything or only past the empty cells."""
    what = d.weighted((5, "g > 0"), (2, f"g == {d.colour()}"), (1, f"g != {d.colour()}"), (1, "g == 0"))
    axis = d.one(0, 1)
    return f'i = np.argsort({what}, {axis}, kind="stable")\ng = np.take_along_axis(g, i, {axis})'


def slide(d: Draw) -> str:
    """Slide the cells of a colour together until something is in the way."""
    c = d.colour()
    axis, step = d.one(0, 1), d.one(1, -1)
    front = {(0, 1): "n[0]", (0, -1): "n[-1]", (1, 1): "n[:, 0]", (1, -1): "n[:, -1]"}[axis, step]
    return (
        f"m = g == {c}\ng[m] = 0\nfor i in range(30):\n    n = np.roll(m, {step}, {axis})\n"
        f"    if g[n].any() or {front}.any():\n        break\n    m = n\ng[m] = {c}"
    )


def slide_objects(d: Draw) -> str:
    """Slide each object, the farthest last, until something is in the way."""
    axis, step = d.one(0, 1), d.one(1, -1)
    front = {(0, 1): "k[0]", (0, -1): "k[-1]", (1, 1): "k[:, 0]", (1, -1): "k[:, -1]"}[axis, step]
    order = "range(n, 0, -1)" if step == 1 else "range(1, n + 1)"
    move = f"k = np.roll(m, {step}, {axis})"
    return (
        f"{d.label()}\nfor i in {order}:\n    m = l == i\n    c = g[m].max()\n    g[m] = 0\n    {move}\n"
        f"    while not g[k].any() and not {front}.any():\n        m = k\n        {move}\n    g[m] = c"
    )


def diagonal_copy(d: Draw) -> str:
    """Repeat the pattern along a direction, moved a little each time, behind what is there."""
    k = d.weighted((3, 1), (3, 2), (2, 3))
    dy, dx = d.one((k, k), (k, 0), (0, k), (k, -k), (-k, 0), (0, -k))
    things = d.weighted((3, "g"), (3, f"g * (g == {d.colour()})"))
    times = d.weighted((2, "30"), (2, "1"), (1, "2"), (1, "3"))
    move = f"h = ndimage.shift(h, ({dy}, {dx}), order=0)\ng = np.where(g == 0, h, g)"
    body = move if times == "1" else f"for i in range({times}):\n    " + move.replace("\n", "\n    ")
    return f"h = {things}\n{body}"


def join_cells(d: Draw) -> str:
    """Draw the straight line, or the corner, between two marked cells of a colour."""
    c = d.colour()
    paint = d.weighted((1, c), (1, d.paint()))
    start = f"(a, b), (p, q) = np.argwhere(g == {c})[[0, -1]]\n"
    return start + d.one(
        f"g[min(a, p) : max(a, p) + 1, b] = {paint}\ng[p, min(b, q) : max(b, q) + 1] = {paint}",
        f"g[a, min(b, q) : max(b, q) + 1] = {paint}\ng[min(a, p) : max(a, p) + 1, q] = {paint}",
        f"m = g[min(a, p) : max(a, p) + 1, min(b, q) : max(b, q) + 1]\nm[m == 0] = {d.paint()}",
    )
