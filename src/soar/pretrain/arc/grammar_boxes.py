"""Idioms about the bounding boxes of objects: what is drawn in, around or beside each, put into it or taken from it.

Every function draws one step of a program as text.
"""

from soar.pretrain.arc.grammar_draw import EIGHT, INDICES, Draw


def any_label(d: Draw) -> str:
    """Return the statement that labels objects, mostly those of any colour."""
    return d.label(d.weighted((4, "g > 0"), (1, f"g == {d.colour()}")))


def most(d: Draw, end: str) -> str:
    """Return the statements that label objects and take the biggest or smallest as ``b``, then `end`."""
    return f"{any_label(d)}\nb = {d.one('max', 'min')}(ndimage.find_objects(l), key=lambda b: g[b].size)\n{end}"


def repeat_object(d: Draw) -> str:
    """Repeat each object to one side up to the border, with a gap or without."""
    gap = d.weighted((3, ""), (4, " + 1"), (1, " + 2"))
    where = d.one("h[y, x.start :].T", "h[y.start :, x]")
    size = "x.stop - x.start" if "T" in where else "y.stop - y.start"
    change = d.weighted((4, ""), (1, f"\n        r[i][r[i] > 0] = {d.paint()}"))
    things = d.weighted((3, "h > 0"), (2, f"h == {d.colour()}"))
    return (
        f"h = {d.one('g', 'g[::-1]', 'g[:, ::-1]', 'g')}\nl, n = ndimage.label({things}{EIGHT})\n"
        f"for y, x in ndimage.find_objects(l):\n    r = {where}\n    k = {size}{gap}\n"
        f"    for i in range(k, len(r)):\n        r[i] = r[i - k]{change}"
    )


def box() -> str:
    """Return the index of the bounding box of the cells at ``y, x``."""
    return "[y.min() : y.max() + 1, x.min() : x.max() + 1]"


def in_each_box(d: Draw) -> str:
    """Paint a pattern of positions within each object: a checkerboard, a diagonal, rings, a corner."""
    where = d.weighted(
        (4, "(y + x) % 2 == 1"),
        (2, "(y + x) % 2 == 0"),
        (2, "y == x"),
        (1, "y + x == len(h) - 1"),
        (2, "(y == x) | (y + x == len(h) - 1)"),
        (2, "n % 2 == 1"),
        (2, "n == 0"),
        (1, "n == 1"),
        (1, "n == n.max()"),
        (1, "y > x"),
        (1, "y + x < len(h)"),
        (1, "(y == len(h) // 2) | (x == len(h[0]) // 2)"),
        (1, "y * x % 2 == 1"),
        (1, "(y % 2 == 0) | (x % 2 == 0)"),
    )
    n = ""
    if "n " in where.split("len")[0]:
        n = "    n = np.minimum(y, x)\n    n = np.minimum(n, n[::-1, ::-1])\n"
    on = d.weighted((3, "h > 0"), (2, "h == 0"), (2, f"h == {d.colour()}"), (1, ""))
    cells = f"({where}) & ({on})" if on else where
    paint = d.weighted((4, str(d.paint_or_zero())), (1, "h.max()"))
    return (
        f"{d.label()}\nfor b in ndimage.find_objects(l):\n    h = g[b]\n    y, x = np.indices(h.shape)\n"
        f"{n}    h[{cells}] = {paint}"
    )


def halo(d: Draw) -> str:
    """Draw rings around each object in its own colour, at a distance, every second one, or up to a limit."""
    metric = d.weighted((5, ""), (2, ', "taxicab"'))
    where = d.weighted(
        (3, f"n == {d.weighted((3, 2), (3, 1), (1, 3))}"),
        (2, "n % 2 == 0"),
        (2, f"n < {d.weighted((1, 2), (2, 3), (1, 4))}"),
        (1, f"n == m.sum() {d.one('', '// 2', '- 1')}".rstrip()),
        (2, "n <= len(g[b])"),
        (1, "n <= m.sum()"),
    )
    paint = d.weighted((5, "g[m].max()"), (1, str(d.paint())), (1, "g[m].min()"))
    return (
        f"{d.label()}\nfor i, b in enumerate(ndimage.find_objects(l), 1):\n    m = l == i\n"
        f"    n = ndimage.distance_transform_cdt(~m{metric})\n    g[({where}) & (g == 0)] = {paint}"
    )


def around_boxes(d: Draw) -> str:
    """Paint a figure placed by each object's box: rays from its corners, beams, frames at a distance."""
    p = d.weighted((5, "np.maximum(a.start - y, y - a.stop + 1)"), (1, "a.start - y"), (1, "y - a.stop + 1"))
    q = d.weighted((5, "np.maximum(b.start - x, x - b.stop + 1)"), (1, "b.start - x"), (1, "x - b.stop + 1"))
    k = d.weighted((3, 2), (1, 3), (1, 1))
    where = d.weighted(
        (4, "(p == q) & (p > 0)"),
        (1, f"(p == q) & (p == {k})"),
        (2, f"(np.maximum(p, q) == {k})"),
        (1, f"(np.maximum(p, q) > 0) & (np.maximum(p, q) % {max(k, 2)} == 0)"),
        (1, "(p > 0) & (q <= 0)"),
        (1, "(q > 0) & (p <= 0)"),
        (1, "(p > 0) & (q <= 0) & (p % 2 == 0)"),
        (1, "(p < 0) & (q > 0)"),
        (1, "(p > 0) & (q < p)"),
        (1, "(q > 0) & (p < q)"),
        (1, "((p <= 0) ^ (q <= 0))"),
    )
    paint = d.weighted((3, "g[a, b].max()"), (2, str(d.paint())))
    things = d.weighted((3, f"g == {d.colour()}"), (2, "g > 0"))
    return (
        f"l, n = ndimage.label({things}{d.weighted((1, ''), (1, EIGHT))})\n{INDICES}\n"
        f"for a, b in ndimage.find_objects(l):\n    p = {p}\n    q = {q}\n    g[{where} & (g == 0)] = {paint}"
    )


def nested(d: Draw) -> str:
    """Read the colours of nested frames, of the grid or of each object, and write them in another order."""
    new = d.weighted(
        (4, "u[::-1]"),
        (1, "np.roll(u, 1)"),
        (1, "np.roll(u, -1)"),
        (1, "sorted(u)"),
        (1, "sorted(u)[::-1]"),
        (1, f"[{d.paint()}, {d.paint()}] * 8"),
        (1, f"[{d.paint()}, {d.paint()}, {d.paint()}] * 8"),
    )
    body = [
        "u = [h[i, i] for i in range((min(h.shape) + 1) // 2)]",
        f"for i, c in enumerate({new}):",
        "    h[i : len(h) - i, i : len(h[0]) - i] = c",
    ]
    if "* 8" in new:
        body = body[1:]
    if d.chance(0.5):
        return "\n".join(["h = g", *body])
    lines = [f"    {line}" for line in ["h = g[b]", *body]]
    return "\n".join([any_label(d), "for b in ndimage.find_objects(l):", *lines])


def sized(d: Draw) -> str:
    """Answer with a pattern whose side is a count or a length."""
    n = d.weighted(
        (3, d.label()),
        (2, "n = len(np.unique(g[g > 0]))"),
        (1, f"n = (g == {d.colour()}).sum()"),
        (1, f"n = (g == {d.colour()}).any(0).sum()"),
        (1, "n = np.bincount(g[g > 0]).max()"),
        (1, "n = (g > 0).any(1).sum()"),
    )
    shape = d.weighted((4, "(n, n)"), (1, "(n, 2 * n)"), (1, "(2 * n, 2 * n)"), (1, "(2 * n - 1, 2 * n - 1)"))
    where = d.weighted(
        (2, "y == x"),
        (2, "(y == x) | (y == len(y) - 1 - x)"),
        (2, "(y + x) % 2 == 0"),
        (2, "y >= x"),
        (1, "y + x < n"),
        (1, "abs(y - n + 1) + abs(x - n + 1) < n"),
        (1, "np.maximum(y, x) % 2 == 0"),
        (1, "(y == 0) | (x == 0)"),
        (1, "y % 2 == 0"),
        (1, "x % 2 == 0"),
        (1, "(y % (n - 1) == 0) | (x % (n - 1) == 0)"),
        (1, "y * len(y[0]) + x < n"),
    )
    return f"{n}\ny, x = np.indices({shape})\ng = np.where({where}, {d.number()}, {d.weighted((4, 0), (1, d.paint()))})"


def placed_copies(d: Draw) -> str:
    """Put copies of the grid, or of a part of it, where a pattern of positions says."""
    k = d.weighted((3, "3"), (2, "2"), (2, "len(np.unique(h))"), (0.5, "len(h)"))
    what = d.weighted(
        (2, "h = g"),
        (1, f"y, x = np.where({d.weighted((1, f'g == {d.colour()}'), (1, 'g > 0'))})\nh = g{box()}"),
        (1, "h = g[:3, :3]"),
        (3, most(d, "h = g[b]")),
    )
    m = d.weighted(
        (3, f"m = np.eye({k}, dtype=int)"),
        (2, f"m = np.eye({k}, dtype=int)[::-1]"),
        (2, f"k = {k}\nm = np.zeros((k, k), int)\nm[[0, 0, -1, -1], [0, -1, 0, -1]] = 1"),
        (2, f"k = {k}\nm = np.ones((k, k), int)\nm[1:-1, 1:-1] = 0"),
        (1, f"k = {k}\nm = np.tri(k, dtype=int)"),
        (2, f"m = np.indices(({k}, {k})).sum(0) % 2"),
        (1, f"k = {k}\nm = np.zeros((k, k), int)\nm.flat[: (h > 0).sum()] = 1"),
    )
    tile = d.weighted((5, "h"), (1, "h[::-1]"), (1, "h[:, ::-1]"))
    return f"{what}\n{m}\ng = np.kron(m, {tile})"


def stretch(d: Draw) -> str:
    """Stretch one object to the box of another, or of the grid, and paint by it."""
    c = d.colour()
    by = d.weighted((3, "g[b].size"), (1, "len(np.unique(g[b]))"), (1, f"(g[b] == {d.colour()}).sum()"))
    end = d.weighted(
        (3, "a[a > 0] = h[a > 0]"),
        (2, "a[:] = h"),
        (2, f"a[a == {c}] = h[a == {c}]"),
        (2, "g = h"),
        (1, "a[a == 0] = h[a == 0]"),
        (1, "g = np.where(a > 0, h, 0)"),
        (1, f"a[h == 0] = {d.paint_or_zero()}"),
    )
    a = d.weighted((4, "g[s[-1]]"), (1, "g"))
    return (
        f"{any_label(d)}\ns = sorted(ndimage.find_objects(l), key=lambda b: {by})\nh, a = g[s[0]], {a}\n"
        f"y, x = np.indices(a.shape)\nh = h[y * len(h) // len(a), x * len(h[0]) // len(a[0])]\n{end}"
    )


def panels(d: Draw) -> str:
    """Split at full lines of any colour and choose, overlay or compare the parts."""
    c = d.colour()
    end = d.weighted(
        (2, "g = np.max(s, 0)"),
        (2, f"g = np.where(np.all(s, 0), {d.paint()}, 0)"),
        (1, f"g = np.where(np.any(s, 0), 0, {d.paint()})"),
        (1, f"g = np.where(np.sum([b > 0 for b in s], 0) == {d.small(1, 3)}, {d.paint()}, 0)"),
        (2, f"g = {d.one('max', 'min')}(s, key=lambda b: (b {d.one('> 0', f'== {c}')}).sum())"),
        (1, f"g = {d.one('max', 'min')}(s, key=lambda b: len(np.unique(b)))"),
        (1, "g = max(s, key=lambda b: (b == b[:, ::-1]).sum())"),
        (2, f"g = {d.one('max', 'min')}(s, key=lambda b: sum(np.array_equal(a, b) for a in s))"),
        (1, "g = min(s, key=lambda b: sum(np.array_equal(a > 0, b > 0) for a in s))"),
        (1, f"g = s[{d.one(0, -1, 1)}]"),
        (1, "g = np.array([[np.bincount(b.ravel()).argmax() for b in s]])"),
        (1, "g = np.array([[b.max() for b in s]])"),
        (1, f"g = np.{d.one('hstack', 'vstack')}(s)"),
    )
    line = d.weighted(
        (3, "m = (g > 0) & ((g == g[:, :1]).all(1)[:, None] | (g == g[0]).all(0))"),
        (1, "m = (g > 0).all(1)[:, None] | (g > 0).all(0)"),
    )
    return f"{line}\nl, n = ndimage.label(~m)\ns = [g[b] for b in ndimage.find_objects(l)]\n{end}"


def absorb(d: Draw) -> str:
    """Let each small patch of one colour take the most common colour around it."""
    k = d.weighted((3, 2), (2, 3), (1, 4), (1, 5), (1, 8))
    test = d.weighted(
        (4, f"m.sum() < {k}"),
        (2, "len(set(u)) == 1"),
        (1, f"(u == {d.colour()}).all()"),
        (1, f"(u == {d.colour()}).sum() > {d.small(1, 4)}"),
        (1, "not u.any()"),
    )
    around = d.weighted((2, ""), (2, EIGHT))
    paint = d.weighted((5, "np.bincount(u).argmax()"), (1, "u.max()"), (2, str(d.paint_or_zero())))
    colours = d.weighted((2, "np.unique(g)"), (3, "np.unique(g[g > 0])"))
    return (
        f"h = g.copy()\nfor c in {colours}:\n    l, n = ndimage.label(h == c)\n    for i in range(1, n + 1):\n"
        f"        m = l == i\n        u = h[ndimage.binary_dilation(m{around}) & ~m]\n"
        f"        if {test}:\n            g[m] = {paint}"
    )


def by_turns(d: Draw) -> str:
    """Paint the cells of a colour, or of each object, in alternation, in the order they are found."""
    colours = [d.paint_or_zero() for _ in range(d.weighted((4, 2), (3, 3)))]
    step = d.weighted((3, "2"), (2, "3"), (1, "4"))
    c = d.colour()
    order = d.weighted((3, "{}"), (2, "{}.T"))
    swap = ".T" in order
    within = d.weighted((3, f"g == {c}"), (1, "g > 0"))
    names = "x, y" if swap else "y, x"
    cells = f"np.argwhere({f'({within}).T' if swap else within})"
    first = d.one("", "1")
    return d.weighted(
        (3, f"for i, ({names}) in enumerate({cells}):\n    g[y, x] = {colours}[i % {len(colours)}]"),
        (3, f"for {names} in {cells}[{first}::{step}]:\n    g[y, x] = {d.paint_or_zero()}"),
        (
            3,
            f"{d.label()}\nfor i in range(1, n + 1):\n    {names} = np.where({'(l == i).T' if swap else 'l == i'})\n"
            f"    g[y[{first}::{step}], x[{first}::{step}]] = {d.paint_or_zero()}",
        ),
    )
