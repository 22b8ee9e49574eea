"""Idioms that change colours cell by cell, or make a small answer out of colours and counts.

Every function draws one step of a program as text. Knows nothing of objects, neighbours or positions.
"""

from soar.pretrain.arc.grammar_draw import Draw

COUNTS = "n = np.bincount(g.ravel(), minlength=10)"


def recolour(d: Draw) -> str:
    """Paint all cells of one colour."""
    return f"g[g == {d.weighted((5, d.colour()), (1, 0))}] = {d.paint_or_zero()}"


def recolour_mask(d: Draw) -> str:
    """Paint the cells of a mask in a constant or a colour read from the grid."""
    return f"g[{d.mask()}] = {d.number()}"


def recolour_by_table(d: Draw) -> str:
    """Map two to four colours to others at once."""
    old = sorted(d.sources(d.weighted((5, 2), (3, 3), (2, 4))))
    new = [d.paint_or_zero() for _ in old]
    return f"p = np.arange(10)\np[{old}] = {new}\ng = p[g]"


def swap_colours(d: Draw) -> str:
    """Exchange two colours."""
    pair = sorted(d.sources(2))
    if len(pair) < 2 or d.chance(0.3):
        return "u = np.unique(g)[-2:]\ng = np.where(g == u[0], u[1], np.where(g == u[1], u[0], g))"
    return f"p = np.arange(10)\np[{pair}] = {pair[::-1]}\ng = p[g]"


def reverse_colours(d: Draw) -> str:
    """Map the colours, ordered by occurrence, frequency or value, to that order reversed or rotated."""
    order = d.weighted(
        (2, "u = g.ravel()[np.sort(np.unique(g, return_index=True)[1])]"),
        (1, "u = np.argsort(np.bincount(g.ravel(), minlength=10))[-len(np.unique(g)) :]"),
        (1, "u = np.unique(g[g > 0])"),
    )
    new = d.weighted((3, "u[::-1]"), (1, "np.roll(u, 1)"), (1, "np.roll(u, -1)"))
    return f"{order}\np = np.arange(10)\np[u] = {new}\ng = p[g]"


def keep_colour(d: Draw) -> str:
    """Clear everything but one colour, constant or read from the grid."""
    return d.weighted(
        (4, f"g[g != {d.colour()}] = {d.weighted((4, 0), (1, d.paint()))}"),
        (1, "g[g != np.bincount(g[g > 0]).argmax()] = 0"),
        (1, "g[g != np.bincount(g.ravel()).argmax()] = " + str(d.paint_or_zero())),
    )


def common_colour(d: Draw) -> str:
    """Paint the most or the least common colour."""
    rank = d.weighted((3, "n.argmax()"), (3, "np.where(n > 0, n, 999).argmin()"))
    start = d.weighted((1, COUNTS), (1, COUNTS + "\nn[0] = 0"))
    compare = d.one("==", "!=")
    return f"{start}\nc = {rank}\ng[g {compare} c] = {d.paint_or_zero()}"


def one_colour(d: Draw) -> str:
    """Fill the whole grid with a colour read from it."""
    start = d.one(COUNTS, COUNTS + "\nn[0] = 0")
    return f"{start}\ng[:] = n.{d.one('argmax()', 'argsort()[-2]')}"


def paint_all(d: Draw) -> str:
    """Reduce to two colours: paint what is there, or what is not, in one colour."""
    return d.one(
        f"g = np.where(g == {d.weighted((2, 0), (2, d.colour()))}, {d.paint_or_zero()}, {d.paint_or_zero()})",
        f"g = np.where(g > 0, 0, {d.number()})",
        "g = np.where(g > 0, 0, g.max())",
        f"g[g > 0] = {d.number()}",
    )


def headers(d: Draw) -> str:
    """Let an edge row or column say the colour of the marked cells below or beside it."""
    edge = d.one("g[:1]", "g[-1:]", "g[:, :1]", "g[:, -1:]", "g.max(0)", "g.max(1)[:, None]")
    where = d.weighted((4, f"g == {d.colour()}"), (2, "g > 0"), (3, "g == 0"))
    return f"g = np.where({where}, {edge}, g)"


def edge_agreement(d: Draw) -> str:
    """Fill rows or columns whose two ends agree, or that hold one colour only."""
    edge, other, axis = d.one(("g[:, :1]", "g[:, -1:]", 1), ("g[:1]", "g[-1:]", 0))
    whole = f"(g == {edge}).all({axis})" + ("[:, None]" if axis == 1 else "[None]")
    same = d.one(f"({edge} == {other}) & ({edge} > 0)", whole)
    return f"m = {same}\ng = np.where(m, {d.weighted((2, edge), (2, str(d.paint())))}, {d.one('g', 'g', '0')})"


def count_cells(d: Draw) -> str:
    """Answer with one cell for each that was counted: cells of a mask, objects or colours."""
    count = d.weighted(
        (3, f"n = ({d.mask()}).sum()"),
        (2, f"n = {d.label()[7:]}[1]"),
        (2, "n = len(np.unique(g[g > 0]))"),
        (1, "n = np.bincount(g.ravel()).max()"),
    )
    k = d.weighted((3, 3), (1, 2), (1, 5))
    c = d.number()
    shape = d.weighted(
        (2, f"g = np.full((1, n), {c})"),
        (1, f"g = np.full((n, 1), {c})"),
        (1.5, f"g = np.eye(n, dtype=int) * {c}"),
        (2, f"c = {c}\ng = np.zeros(({k}, {k}), int)\ng.flat[:n] = c"),
        (1, f"c = {c}\ng = np.zeros((1, {d.one(3, 5, 9)}), int)\ng.flat[:n] = c"),
        (1, f"g = np.full((n, n), {c})"),
    )
    return f"{count}\n{shape}"


def histogram(d: Draw) -> str:
    """Answer with a bar per colour, its length the number of its cells."""
    order = d.weighted((3, "np.argsort(-n)"), (1, "np.argsort(n)"), (1, "range(1, 10)"))
    lines = [
        COUNTS,
        "n[0] = 0",
        f"u = [c for c in {order} if n[c]]",
        "g = np.array([[c * (i < n[c]) for c in u] for i in range(n.max())])",
    ]
    turn = d.weighted((4, None), (3, "g = g.T"), (2, "g = g[::-1]"), (1, "g = g.T[:, ::-1]"))
    return "\n".join([*lines, turn] if turn else lines)


def colours_in_order(d: Draw) -> str:
    """Answer with the list of colours: by number of cells, by value, or as they occur."""
    order = d.weighted((3, "np.argsort(-n)"), (1, "np.argsort(n)"), (1, "np.argsort(i)"))
    form = d.one("u[:, None]", "u[None]", "u[:1, None]", "u[:2, None]")
    start = f"u, i, n = np.unique(g{d.weighted((4, '[g > 0]'), (1, ''))}, return_index=True, return_counts=True)"
    return f"{start}\nu = u[{order}]\ng = {form}"


def yes_or_no(d: Draw) -> str:
    """Answer a question about the whole grid with one cell."""
    question = d.weighted(
        (3, f"(g == {d.mirror()}).all()"),
        (2, f"(g == {d.colour()}).any()"),
        (2, f"(g == {d.colour()}).sum() > {d.small(1, 6)}"),
        (1, f"(g == {d.colour()}).sum() > (g == {d.colour()}).sum()"),
        (1, f"{d.label()[7:]}[1] > {d.small(1, 4)}"),
    )
    return f"g = np.array([[{d.paint()} if {question} else {d.paint_or_zero()}]])"


def number_of_colours(d: Draw) -> str:
    """Repeat or enlarge the grid by a number read from it."""
    count = d.weighted(
        (3, "n = len(np.unique(g))"),
        (3, "n = len(np.unique(g[g > 0]))"),
        (2, f"n = ({d.weighted((3, 'g > 0'), (1, f'g == {d.colour()}'), (1, 'g == 0'))}).sum()"),
    )
    grow = d.weighted(
        (4, "g = g.repeat(n, 0).repeat(n, 1)"), (1, "g = np.tile(g, (n, n))"), (1, "g = np.tile(g, (1, n))")
    )
    return f"{count}\n{grow}"
