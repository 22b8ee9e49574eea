"""Idioms about windows: patches, blocks, rectangles and their corners that pass a test; rules of neighbours.

Every function draws one step of a program as text.
"""

from soar.pretrain.arc.grammar_draw import Draw


def corners(d: Draw) -> str:
    """Find the rectangles whose four corners are marked, and fill or frame them."""
    c = d.colour()
    paint = d.weighted((2, d.paint()), (1, c))
    gap = d.weighted((3, ""), (2, " + 1"))
    change = d.weighted(
        (3, f"b = g[y : p + 1, x : q + 1]\n            b[b == 0] = {paint}"),
        (2, f"g[y + 1 : p, x + 1 : q] = {d.paint_or_zero()}"),
        (1, f"g[[y, y, p, p], [x, q, x, q]] = {d.paint_or_zero()}"),
        (1, f"g[[y, p], x : q + 1] = {paint}\n            g[y : p + 1, [x, q]] = {paint}"),
    )
    start, test = d.weighted(
        (5, (f"m = g == {c}\ns = np.argwhere(m)", "m[y, q] and m[p, x]")),
        (2, ("h = g.copy()\ns = np.argwhere(h > 0)", "h[y, x] == h[p, q] == h[y, q] == h[p, x]")),
    )
    test = f"if p > y{gap} and q > x{gap} and {test}:"
    return f"{start}\nfor y, x in s:\n    for p, q in s:\n        {test}\n            {change}"


def biggest_rectangle(d: Draw) -> str:
    """Find the biggest rectangles that fit into a mask."""
    things = d.weighted((4, "g == 0"), (2, f"g == {d.colour()}"), (1, "g > 0"))
    least = d.weighted((3, 1), (1, 2))
    return (
        f"s = [(a * b, a, b) for a in range({least}, len(g) + 1) for b in range({least}, len(g[0]) + 1)]\n"
        "for k, a, b in sorted(s)[::-1]:\n"
        f'    m = ndimage.grey_opening(1 * ({things}), (a, b), mode="constant") > 0\n'
        "    if m.any():\n        break\n"
    ) + d.weighted((4, f"g[m] = {d.paint()}"), (1, d.use(fill=0)))


def block_facts(d: Draw) -> str:
    """Answer with one cell for each block of the grid, saying something about it."""
    c, k = d.paint(), d.weighted((3, 3), (3, 2), (1, 4))
    fact = d.weighted(
        (4, "np.bincount(h.ravel()).argmax()"),
        (1, "np.bincount(h[h > 0]).argmax()"),
        (2, f"{c} * (h == {d.colour()}).any()"),
        (2, f"{c} * ((h > 0).sum() {d.one('>', '==')} {d.small(1, 4)})"),
        (1, f"{c} * (h == {d.colour()}).all()"),
        (1, "h.max() * (h == h[:, ::-1]).all()"),
        (1, "len(np.unique(h)) - 1"),
        (1, "h.max() * (len(np.unique(h)) == 2)"),
        (1, "h[0, 0]"),
        (1, "h[len(h) // 2, len(h[0]) // 2]"),
    )
    if d.chance(0.5):
        split = f"[np.array_split(r, {k}, 1) for r in np.array_split(g, {k})]"
    else:
        split = f"[np.split(r, range({k}, len(g[0]), {k}), 1) for r in np.split(g, range({k}, len(g), {k}))]"
    return f"s = {split}\ng = np.array([[{fact} for h in r] for r in s])"


def sandwiched(d: Draw) -> str:
    """Change cells that lie between two equal ones in a row, a column or a diagonal."""
    k = d.weighted((5, 1), (1, 2))
    before, same, after = f":{-2 * k}", f"{k}:{-k}", f"{2 * k}:"
    a, b = d.weighted(
        (3, (f"h[{same}, {before}]", f"h[{same}, {after}]")),
        (3, (f"h[{before}, {same}]", f"h[{after}, {same}]")),
        (2, (f"h[{before}, {before}]", f"h[{after}, {after}]")),
        (2, (f"h[{before}, {after}]", f"h[{after}, {before}]")),
    )
    equal, paint = d.weighted(
        (4, ("(a == b) & (a > 0)", d.paint())),
        (3, ("(a == b)", "a")),
        (2, ("(a > 0) & (b > 0)", d.paint())),
        (1, ("(a > 0) & (b > 0)", "np.maximum(a, b)")),
        (1, (f"(a == {d.colour()}) & (b == {d.colour()})", d.paint())),
    )
    where = d.weighted((4, "g == 0"), (1, f"g == {d.colour()}"), (1, "g > 0"))
    return f"h = np.pad(g, {k})\na, b = {a}, {b}\ng = np.where({equal} & ({where}), {paint}, g)"


def automaton(d: Draw) -> str:
    """Let cells be born or die by the number of their neighbours, several times over."""
    kernel = d.weighted(
        (3, "np.ones((3, 3))"), (2, "[[0, 1, 0], [1, 0, 1], [0, 1, 0]]"), (1, "[[1, 0, 1], [0, 0, 0], [1, 0, 1]]")
    )
    c = d.colour()
    test = d.weighted(
        (2, f"(n > {d.small(1, 5)}) & (g == 0)"),
        (2, "(n == 1) & (g == 0)"),
        (1, f"(n < {d.small(2, 4)}) & (g == {c})"),
        (1, f"(n == {d.small(2, 4)}) & (g == 0)"),
    )
    paint = 0 if f"g == {c}" in test else c
    return (
        f"for i in range({d.weighted((2, 2), (2, 3), (2, 20))}):\n"
        f'    n = ndimage.convolve(1 * (g == {c}), {kernel}, mode="constant")\n    g[{test}] = {paint}'
    )


def window_test(d: Draw, size: int) -> str:
    """Return a test of a small window ``b``."""
    c = d.colour()
    return d.weighted(
        (3, f"(b == {c}).sum() == {d.one(*range(1, size + 1))}"),
        (2, f"(b == {c}).sum() > {max(1, size // 2)}"),
        (2, "b.min() == b.max() > 0"),
        (2, "(b > 0).all()"),
        (2, f"(b > 0).sum() == {size - d.small(1, 3)}"),
        (1, "len(np.unique(b)) > 2"),
        (1, f"b[0, 0] == {c} and b[-1, -1] == {d.colour()}"),
        (1, "b[0, 0] == b[-1, -1] != b[0, -1]"),
        (1, "(b == b[::-1, ::-1]).all() and b.max() > b.min()"),
    )


def windows(d: Draw) -> str:
    """Paint each small window that passes a test."""
    p, q = d.weighted((4, (2, 2)), (4, (3, 3)), (1, (1, 3)), (1, (3, 1)), (1, (2, 3)), (1, (4, 4)), (0.5, (1, 2)))
    c, place = d.paint(), f"[y : y + {p}, x : x + {q}]"
    change = d.weighted(
        (3, f"g{place} = {c}"),
        (2, f"b = g{place}\n        b[b == 0] = {c}"),
        (1, f"b = g{place}\n        b[b == {d.colour()}] = {d.paint_or_zero()}"),
        (3 if p == q == 3 else 0, f"g[y + 1, x + 1] = {d.paint_or_zero()}"),
    )
    return (
        f"h = g.copy()\nfor y, x in np.ndindex(len(g) - {p - 1}, len(g[0]) - {q - 1}):\n"
        f"    b = h{place}\n    if {window_test(d, p * q)}:\n        {change}"
    ).replace(" - 0", "")


def best_window(d: Draw) -> str:
    """Answer with the window of a size that has the highest or lowest key."""
    k = d.weighted((4, 3), (2, 2), (1, 4), (1, 5))
    key = d.weighted(
        (3, "(b > 0).sum()"),
        (3, f"(b == {d.colour()}).sum()"),
        (2, "len(np.unique(b))"),
        (1, "b.sum()"),
        (0.5, "sum((a == b).all() for a in s)"),
        (1, "(b == b.T).sum()"),
        (1, "(b == b[:, ::-1]).sum()"),
    )
    return (
        f"s = [g[y : y + {k}, x : x + {k}] for y, x in np.ndindex(len(g) - {k - 1}, len(g[0]) - {k - 1})]\n"
        f"g = {d.weighted((3, 'max'), (1, 'min'))}(s, key=lambda b: {key})"
    )
