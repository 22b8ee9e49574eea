"""Idioms about rows and columns: each that passes a test, from its marks on, the commonest, crossings.

Every function draws one step of a program as text. A row or column is ``r``.
"""

from soar.pretrain.arc.grammar_draw import Draw


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
    """Change each row or column from its marks on."""
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


def insert_lines(d: Draw) -> str:
    """Insert separating lines after every k rows and columns, or in the middle."""
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
