"""Idioms about rules: for each row, each window, each region or each colour, on one condition, or for the whole grid.

Every function draws one step of a program as text. Most have the form "where this holds, do that".
"""

from soar.pretrain.grammar_draw import CROP, EIGHT, Draw


def line_test(d: Draw) -> str:
    """Return a test of one row or column ``r``."""
    c = d.colour()
    return d.weighted(
        (3, f"(r == {c}).any()"),
        (1, f"not (r == {c}).any()"),
        (2, f"(r == {c}).sum() {d.one('>', '==')} {d.small(1, 4)}"),
        (2, f"(r > 0).sum() {d.one('>', '==')} {d.small(1, 4)}"),
        (2, "(r > 0).all()"),
        (2, "(r == r[0]).all()"),
        (1, f"(r == {c}).all()"),
        (1, "(r == r[::-1]).all()"),
        (1, f"len(np.unique(r)) {d.one('>', '==')} {d.small(1, 3)}"),
        (1, f"r[{d.one(0, -1)}] == {c}"),
        (1, f"r[{d.one(0, -1)}] > 0"),
        (1, f"r[0] {d.one('==', '!=')} r[-1]"),
        (1, "(np.diff(np.flatnonzero(r)) == 1).all()"),
    )


def line_act(d: Draw) -> str:
    """Return a change of one row or column ``r`` in its place."""
    c = d.paint()
    return d.weighted(
        (3, f"r[:] = {d.paint_or_zero()}"),
        (3, f"r[r == 0] = {c}"),
        (2, f"r[r > 0] = {c}"),
        (2, f"r[r == {d.colour()}] = {d.paint_or_zero()}"),
        (2, "r[:] = r[::-1]"),
        (2, "r[:] = r.max()"),
        (1, "r[r == 0] = r.max()"),
        (1, "r[:] = np.bincount(r).argmax()"),
        (1, "r[r > 0] = np.bincount(r[r > 0]).argmax()"),
        (1, f"r[:] = np.roll(r, {d.one(1, -1, 2)})"),
        (1, f"r[::2] = {c}"),
        (1, "r[:] = np.maximum(r, r[::-1])"),
        (1, "r[:] = np.sort(r)"),
        (1, "r[:] = r[0]"),
    )


def each_line(d: Draw) -> str:
    """Change each row or column that passes a test."""
    other = d.weighted((4, ""), (1, f"\n    else:\n        {line_act(d)}"))
    both = f"for r in {d.one('g', 'g.T')}:\n    if {line_test(d)}:\n        {line_act(d)}{other}"
    plain = d.weighted((2, "g"), (2, "g.T"), (1, "g[::2]"), (1, "g[1::2]"), (1, "g.T[::2]"), (1, "g.T[1::2]"))
    return d.weighted((5, both), (1, f"for r in {plain}:\n    {line_act(d)}"))


def line_from_mark(d: Draw) -> str:
    """Change each row or column from the place of its marks on."""
    everything = d.chance(0.4)
    c = d.colour()
    paint = d.weighted((2, "r[x[0]]" if everything else str(c)), (2, str(d.paint())))
    act = d.weighted(
        (2, f"r[: x[0]] = {paint}"),
        (2, f"r[x[-1] + 1 :] = {paint}"),
        (2, f"r[x[0] :: 2] = {paint}"),
        (1, f"r[x[0] % 2 :: 2] = {paint}"),
        (2, "r[:] = np.roll(r, -x[0])"),
        (1, "r[:] = np.roll(r, len(r) - 1 - x[-1])"),
        (2, f"r[: len(x)] = {paint}"),
        (2, f"r[-len(x) :] = {paint}"),
        (1, f"r[x[0] : x[-1] + 1] = {paint}"),
        (1, f"r[x[::2]] = {d.paint_or_zero()}"),
        (1, f"r[x[{d.one(0, -1)}]] = {d.paint_or_zero()}"),
        (1, f"r[x[1:-1]] = {d.paint_or_zero()}"),
        (1, f"r[len(r) - 1 - x] = {paint}"),
    )
    return (
        f"for r in {d.one('g', 'g.T')}:\n    x = np.flatnonzero(r{'' if everything else f' == {c}'})\n"
        f"    if len(x){d.weighted((5, ''), (1, ' > 1'), (1, ' == 1'))}:\n        {act}"
    )


def common_line(d: Draw) -> str:
    """Find the most or the least frequent row or column and do something with it, or with what differs from it."""
    view = d.one("g", "g.T")
    end = d.weighted(
        (3, f"for r in {view}:\n    if {d.one('(r == c).all()', '(r != c).any()')}:\n        {line_act(d)}"),
        (2, f"{view}[{view} != c] = {d.paint_or_zero()}"),
        (2, f"{view}[:] = c"),
        (1, "g = c[None]" if view == "g" else "g = c[:, None]"),
        (1, "g = g[(g != c).any(1)]" if view == "g" else "g = g[:, (g.T != c).any(1)]"),
    )
    return f"u, n = np.unique({view}, axis=0, return_counts=True)\nc = u[n.{d.one('argmax', 'argmin')}()]\n{end}"


def crossing_lines(d: Draw) -> str:
    """Draw lines along marked rows and columns and paint where they cross."""
    p, q = d.colour(), d.colour()
    kind = d.weighted((3, 0), (2, 1), (2, 2))
    y = (f"(g == {p}).any(1)", "g[:, 0] > 0", f"(g == {p}).sum(1) > {d.small(1, 3)}")[kind]
    x = (f"(g == {q}).any(0)", "g[0] > 0", f"(g == {q}).sum(0) > {d.small(1, 3)}")[kind]
    lines = d.weighted(
        (3, f"g[y] = {d.weighted((2, p), (1, d.paint()))}\ng[:, x] = {d.weighted((2, q), (1, d.paint()))}\n"), (2, "")
    )
    return f"y, x = {y}, {x}\n{lines}g[np.ix_(y, x)] = {d.paint_or_zero()}"


def regions(d: Draw) -> str:
    """Paint each region within walls by the marked cells it holds."""
    test, colours = d.weighted(
        (2, ("len(u)", 3)),
        (3, ("len(u) == 1", 3)),
        (2, (f"len(u) > {d.small(1, 4)}", 2)),
        (1, (f"len(u) == {d.small(1, 4)}", 2)),
        (2, ("len(set(u)) == 1", 3)),
        (1, ("len(set(u)) > 1", 1)),
        (2, ("len(u) == 0", 0)),
    )
    fill = d.weighted((colours, "u[0]"), (colours / 3, "np.bincount(u).argmax()"), (2, str(d.paint_or_zero())))
    where = "m" if fill == "0" else d.weighted((6, "m"), (1, "m & (g == 0)"))
    other = d.weighted((4, ""), (1, f"\n    else:\n        g[m] = {d.paint_or_zero()}"))
    return (
        f"l, n = ndimage.label(g != {d.colour()})\nfor i in range(1, n + 1):\n    m = l == i\n"
        f"    u = g[m & (g > 0)]\n    if {test}:\n        g[{where}] = {fill}{other}"
    )


def seeds(d: Draw) -> str:
    """Let each colour but one spread through the empty cells, or through those of another colour."""
    c = d.colour()
    ways = d.weighted(
        (5, ""),
        (1, EIGHT),
        (1, ", [[0, 0, 0], [1, 1, 1], [0, 0, 0]]"),
        (1, ", [[0, 1, 0], [0, 1, 0], [0, 1, 0]]"),
        (1, ", [[1, 0, 1], [0, 1, 0], [1, 0, 1]]"),
        (1, ", [[0, 0, 0], [0, 1, 0], [0, 1, 0]]"),
        (1, ", [[0, 1, 0], [0, 1, 0], [0, 0, 0]]"),
    )
    through = d.weighted((3, "h == 0"), (2, f"h == {c}"))
    return (
        f"h = g.copy()\nfor c in np.unique(h[(h > 0) & (h != {c})]):\n    m = h == c\n"
        f"    g[ndimage.binary_propagation(m{ways}, mask=m | ({through}))] = c"
    )


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


def whole(d: Draw) -> str:
    """Return a short change of the whole grid, one statement."""
    return d.weighted(
        (4, f"g = {d.flip()}"),
        (1, f"g = g[{d.one(': len(g) // 2', 'len(g) // 2 :', ':, : len(g[0]) // 2', ':, len(g[0]) // 2 :')}]"),
        (2, f"g[{d.mask()}] = {d.paint_or_zero()}"),
        (1, f"g[:] = {d.number()}"),
        (1, f"g[{d.one('0', '-1', ':, 0', ':, -1', '::2', ':, ::2')}] = {d.paint()}"),
        (0.5, f"g = {d.one('np.hstack', 'np.vstack')}((g, g))"),
        (1, f"g = np.maximum(g, {d.mirror()})"),
        (1, f"g = np.sort(g, {d.one(0, 1)})"),
        (1, f"g = np.roll(g, {d.one(1, -1)}, {d.one(0, 1)})"),
        (0.5, "g = g.repeat(2, 0).repeat(2, 1)"),
    )


def if_grid(d: Draw) -> str:
    """Choose between two changes by a condition on the whole grid."""
    a, b = d.colour(), d.colour()
    k = d.small(1, 5)
    test = d.weighted(
        (2, f"(g == {a}).sum() > (g == {b}).sum()" if a != b else f"(g == {a}).sum() > {k}"),
        (2, f"(g == {a}).any()"),
        (1, f"(g == {a}).sum() == {k}"),
        (2, "(g == g[:, ::-1]).all()"),
        (1, "(g == g[::-1]).all()"),
        (1, f"{d.label()[7:]}[1] {d.one('>', '==')} {k}"),
        (1, f"len(np.unique(g)) > {d.small(2, 4)}"),
        (1, "len(g) > len(g[0])"),
        (1, "(g > 0).mean() > 0.5"),
        (1, f"g[{d.one('0, 0', '-1, -1', '0, -1', '-1, 0')}] {d.one('> 0', f'== {a}')}"),
        (2, f"(g{d.one('[0]', '[-1]', '[:, 0]', '[:, -1]')} == {a}).any()"),
        (1, "(g[0] > 0).all()"),
        (1, "(g[: len(g) // 2] > 0).sum() > (g[len(g) // 2 :] > 0).sum()"),
        (1, "(g > 0).any(1).sum() > (g > 0).any(0).sum()"),
    )
    other = d.weighted((4, f"\nelse:\n    {whole(d)}"), (1, ""))
    return f"if {test}:\n    {whole(d)}{other}"


def from_marker(d: Draw) -> str:
    """Let the position of the first marked cell say which part, row, shift or colour is meant."""
    c = d.colour()
    paint = d.weighted((2, d.paint()), (1, c))
    spot = d.weighted(
        (4, f"y, x = np.argwhere(g == {c})[0]"),
        (1, f"y, x = np.argwhere(g == {c})[-1]"),
        (1.5, "y, x = np.argwhere(g > 0)[0]"),
        (1, "y, x = np.argwhere(g == g.max())[0]"),
    )
    end = d.weighted(
        (1, "g = g[y:, x:]"),
        (1, "g = g[: y + 1, : x + 1]"),
        (2, "g = np.roll(g, (-y, -x), (0, 1))"),
        (1, "g = np.roll(g, (len(g) // 2 - y, len(g[0]) // 2 - x), (0, 1))"),
        (1, f"g[y:] = np.where(g[y:] == 0, {paint}, g[y:])"),
        (1, f"h = g[: y + 1, : x + 1]\nh[h == 0] = {paint}"),
        (1, f"h = g[y:, x:]\nh[h == 0] = {paint}"),
        (2, "g[:] = g[y]"),
        (2, "g[:] = g[:, x : x + 1]"),
        (1, "g = g[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]"),
        (2, "g = np.where(g == 0, g[y], g)"),
        (1, "g[g == 0] = g[y, x - 1]"),
        (2, "k = len(g) // 2\ng = g[:k] if y < k else g[k:]"),
        (2, "k = len(g[0]) // 2\ng = g[:, :k] if x < k else g[:, k:]"),
        (1, f"g[y % 2 :: 2, x % 2 :: 2] = {paint}"),
        (1, f"g[:y] = {d.paint_or_zero()}"),
        (1, f"g[:, x + 1 :] = {d.paint_or_zero()}"),
    )
    return f"{spot}\n{end}"


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


def insert_lines(d: Draw) -> str:
    """Insert separating lines between every so many rows and columns."""
    k, c = d.weighted((3, 1), (2, 2), (2, 3), (1, 4)), d.paint_or_zero()
    step = f", {k}" if k > 1 else ""
    rows = f"g = np.insert(g, range({k}, len(g){step}), {c}, 0)"
    columns = f"g = np.insert(g, range({k}, len(g[0]){step}), {c}, 1)"
    return d.weighted(
        (3, f"{rows}\n{columns}"),
        (1, rows),
        (1, columns),
        (1, f"g = np.insert(g, len(g) // 2, {c}, 0)"),
        (1, f"g = np.insert(g, len(g[0]) // 2, {c}, 1)"),
    )


def against_itself(d: Draw) -> str:
    """Compare the grid with its mirrored, turned or shifted self, and do something where they differ or agree."""
    k = d.weighted((3, 1), (2, 2), (1, 3))
    view = d.weighted(
        (4, d.mirror()),
        (1, "np.rot90(g)"),
        (3, f"np.roll(g, {d.one(1, -1) * k}, {d.one(0, 1)})"),
        (1, f"np.roll(g, {d.one('(1, 1)', '(1, -1)', '(-1, -1)')}, (0, 1))"),
    )
    m = d.weighted(
        (4, "g != h"),
        (1, "(g == h) & (g > 0)"),
        (2, "(g > 0) & (h > 0)"),
        (2, "(g > 0) ^ (h > 0)"),
        (1, "(g > 0) & (h == 0)"),
        (1, "(g == 0) & (h > 0)"),
        (1, f"(g == {d.colour()}) & (h == {d.colour()})"),
    )
    end = d.weighted((4, d.use()), (1, "g[m] = h[m]"), (1, "g[m & (g == 0)] = h[m & (g == 0)]"), (1, "g[m] = 0"))
    return f"h = {view}\nm = {m}\n{end}"


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
    """Answer with the window of a size that is most or least by a key."""
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


def orientation(d: Draw) -> str:
    """Paint the cells of a mask by two shapes that fit into it, such as bars lying and standing."""
    things = d.weighted((4, f"g == {d.colour()}"), (1, "g > 0"), (2, "g == 0"))
    first, second = d.weighted(
        (4, ((1, 2), (2, 1))),
        (3, ((1, 3), (3, 1))),
        (1, ((2, 1), (2, 2))),
        (1, ((2, 2), (3, 3))),
        (1, ((1, 2), (2, 2))),
        (1, ((1, 4), (4, 1))),
    )
    if first == second[::-1] and d.chance(0.5):
        first, second = second, first
    rest = d.weighted((2, ""), (1, f"g[m] = {d.paint_or_zero()}\n"))
    return (
        f"m = {things}\n{rest}g[ndimage.binary_opening(m, np.ones({first}))] = {d.paint()}\n"
        f"g[ndimage.binary_opening(m, np.ones({second}))] = {d.paint_or_zero()}"
    )


def background(d: Draw) -> str:
    """Do something with what is not of the most common colour."""
    other = d.weighted(
        (3, "g != c"),
        (2, "ndimage.binary_fill_holes(g != c) & (g == c)"),
        (2, f"ndimage.binary_dilation(g != c{d.weighted((1, ''), (1, EIGHT))}) & (g == c)"),
        (1, "(g != c).any(1)[:, None] & (g != c).any(0) & (g == c)"),
        (1, f"ndimage.binary_opening(g != c, np.ones({d.one((2, 2), (3, 3))}))"),
        (1, f"ndimage.binary_erosion(g != c{EIGHT})"),
        (1, "(g == c).all(1)[:, None] | (g == c).all(0)"),
        (1, "(g != c) & (g == np.bincount(g[g != c]).argmax())"),
    )
    inside = "!= c" in other and "== c)" not in other
    end = d.weighted(
        (4, f"g[m] = {d.paint_or_zero()}"),
        (2 if inside and other != "g != c" else 0, f"g[{d.one('m', '~m')}] = c"),
        (1 if inside else 0, f"g[~m] = {d.paint_or_zero()}"),
        (2, CROP),
    )
    return f"c = np.bincount(g.ravel()).argmax()\nm = {other}\n{end}"


def colours_that(d: Draw) -> str:
    """Keep, clear, paint or list the colours whose cells pass a test."""
    test = d.weighted(
        (2, "(g == c).any(1).all()"),
        (1, "(g == c).any(0).all()"),
        (3, f"(g == c).sum() == {d.small(1, 6)}"),
        (3, f"(g == c).sum() > {d.small(1, 8)}"),
        (2, "ndimage.label(g == c)[1] == 1"),
        (2, "ndimage.label(g == c)[1] > 1"),
        (1, "((g == c) == (g == c)[:, ::-1]).all()"),
        (1, f"(g{d.one('[0]', '[-1]', '[:, 0]', '[:, -1]')} == c).any()"),
        (1, "not (ndimage.binary_fill_holes(g == c) & (g != c)).any()"),
        (1, "(g[: len(g) // 2] == c).any() and (g[len(g) // 2 :] == c).any()"),
        (1, "(g == c).all(1).any() or (g == c).all(0).any()"),
        (1, "(g == c).sum() % 2 == 0"),
    )
    end = d.weighted(
        (3, "g[~np.isin(g, u)] = 0"),
        (2, "g[np.isin(g, u)] = 0"),
        (3, f"g[np.isin(g, u)] = {d.paint()}"),
        (1, f"g[(g > 0) & ~np.isin(g, u)] = {d.paint()}"),
        (1, "g = np.array([u])"),
        (1, "g = np.array([u]).T"),
        (1, "g[:] = u[0]"),
    )
    return f"u = [c for c in np.unique(g[g > 0]) if {test}]\n{end}"


def repair_period(d: Draw) -> str:
    """Take the grid as copies of one tile and repair, or mark, the cells where a copy differs from the others."""
    k = d.weighted((3, "3"), (3, "2"), (1, "4"), (1, "k"))
    how = d.weighted((3, "np.median({}, 0)"), (1, "{}.max(0)"), (1, "{}.min(0)"))
    end = d.weighted((3, ""), (2, f"\ng[g != h] = {d.paint_or_zero()}"), (1, f"\nm = g != h\n{d.use(crop=0.3)}"))
    name = "h" if end else "g"
    views = d.weighted((3, (name,)), (3, (f"{name}.T",)), (1, (name, f"{name}.T")))
    start = (["k = len(g) // 2"] if k == "k" else []) + (["h = g.copy()"] if end else [])
    steps = [f"for i in range({k}):\n    {view}[i::{k}] = {how.format(f'{view}[i::{k}]')}" for view in views]
    return "\n".join([*start, *steps]) + end


def legend(d: Draw) -> str:
    """Read pairs of colours from a part of the grid, or from its two-coloured objects, and recolour by them."""
    k = d.weighted((3, 3), (2, 2), (2, 4), (1, 1))
    pairs = d.weighted(
        (2, f"h[:{k}, :2]"),
        (1, f"h[:{k}, -2:]"),
        (1, f"h[-{k}:, :2]"),
        (2, f"h[:2, :{k}].T"),
        (1, f"h[-2:, :{k}].T"),
        (2, "h[:2].T"),
        (1, "h[-2:].T"),
        (2, "h[:, :2]"),
        (1, "h[:, -2:]"),
        (1, "h[[0, -1]].T"),
        (1, "h[:, [0, -1]]"),
    )
    change = d.weighted(
        (4, "g[h == a] = b"),
        (2, "g[h == b] = a"),
        (1, "g[h == a] = b\n    g[h == b] = a"),
    )
    if d.chance(0.25):
        change = change.replace("\n    ", "\n        ")
        return (
            f"h = g.copy()\nl, n = ndimage.label(h > 0)\nfor i in range(1, n + 1):\n    u = np.unique(h[l == i])\n"
            f"    if len(u) == 2:\n        a, b = u\n        {change}"
        )
    return f"h = g.copy()\nfor a, b in {pairs}:\n    {change}"


def match_objects(d: Draw) -> str:
    """Let objects that are alike in some way, or unlike all others, change each other."""
    alike = d.weighted(
        (3, "(l[a] > 0).tobytes() == (l[b] > 0).tobytes()"),
        (2, "(l[a] > 0).sum() == (l[b] > 0).sum()"),
        (1, "g[a].shape == g[b].shape"),
        (1, "g[a].shape == g[b].T.shape"),
        (1, "a[0] == b[0]"),
        (1, "a[1] == b[1]"),
        (1, "g[a].max() == g[b].max()"),
    )
    c = d.colour()
    change = d.weighted(
        (3, f"g[b][g[b] == {c}] = g[a].max()"),
        (2, f"g[b][g[b] > 0] = {d.paint()}"),
        (1, "g[b][g[b] > 0] = min(g[a].max(), g[b].max())"),
        (1, f"g[b][g[b] == 0] = {d.paint()}"),
        (1, f"g[b] = {d.paint_or_zero()}"),
    )
    return (
        f"{d.label('g > 0')}\ns = ndimage.find_objects(l)\nfor a in s:\n    for b in s:\n"
        f"        if a != b and {alike}:\n            {change}"
    )
