"""Idioms about rules: for each region or each colour, on one condition, by a legend, or for the whole grid.

Every function draws one step of a program as text. Most have the form "where this holds, do that".
"""

from soar.pretrain.arc.grammar_draw import CROP, EIGHT, Draw


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
    """Do something with what is not the most common colour."""
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
