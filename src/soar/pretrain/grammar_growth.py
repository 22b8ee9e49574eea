"""Idioms about growth and construction: walks, spirals, arms, waves, what repeats outwards, new grids from a list.

Every function draws one step of a program as text. Knows loops that go on from what was drawn before.
"""

from soar.pretrain.grammar_draw import EIGHT, Draw

WITHIN = "0 <= {} < len(g) and 0 <= {} < len(g[0])"
"""The test that a row and a column are on the grid."""

INDICES = "y, x = np.indices(g.shape)"


def view(d: Draw) -> str:
    """Return an expression of the grid whose rows are gone through: from above, below, left or right."""
    return d.one("g", "g[::-1]", "g.T", "g.T[::-1]")


def any_label(d: Draw) -> str:
    """Return the statement that labels objects, mostly those of any colours."""
    return d.label(d.weighted((4, "g > 0"), (1, f"g == {d.colour()}")))


def most(d: Draw, end: str) -> str:
    """Return the statements that label objects and take the biggest or smallest as ``b``, then `end`."""
    return f"{any_label(d)}\nb = {d.one('max', 'min')}(ndimage.find_objects(l), key=lambda b: g[b].size)\n{end}"


def walk(d: Draw) -> str:
    """Walk from marked cells straight on and turn at cells of a colour."""
    start, wall, other = d.colour(), d.colour(), d.colour()
    left, right, back = "a, b = -b, a", "a, b = b, -a", "a, b = -a, -b"
    turn = d.weighted((3, left), (3, right), (1, back))
    test = f"g[p, q] == {wall}" if wall != start and d.chance(0.8) else "g[p, q] > 0"
    second = ""
    if "> 0" not in test and other not in (start, wall) and d.chance(0.5):
        second = f"        elif g[p, q] == {other}:\n            {right if turn == left else left}\n"
    way = d.one("0, 1", "0, -1", "1, 0", "-1, 0", "1, 1", "1, -1")
    return (
        f"for y, x in np.argwhere(g == {start}):\n    a, b = {way}\n    for i in range(60):\n"
        f"        p, q = y + a, x + b\n        if not ({WITHIN.format('p', 'q')}):\n            break\n"
        f"        if {test}:\n            {turn}\n{second}"
        f"        else:\n            y, x = p, q\n            g[y, x] = {d.weighted((2, start), (2, d.paint()))}"
    )


def bounce(d: Draw) -> str:
    """Send a diagonal ray from marked cells that comes back from the sides, perhaps from a colour too."""
    c = d.colour()
    name, size, ahead = d.weighted((2, ("x", "len(g[0])", "g[y, x + b]")), (1, ("y", "len(g)", "g[y + b, x]")))
    on, end = d.one(1, -1), {"x": "y", "y": "x"}[name]
    last = f"{end} > 0" if on < 0 else f"{end} < len(g{'' if end == 'y' else '[0]'}) - 1"
    wall = d.weighted((3, ""), (1, f" or {ahead} == {d.colour()}"))
    step = f"{end} {'+' if on > 0 else '-'} 1"
    move = f"y, x = {step}, x + b" if end == "y" else f"y, x = y + b, {step}"
    return (
        f"for y, x in np.argwhere(g == {c}):\n    b = {d.one(1, -1)}\n    while {last}:\n"
        f"        if not 0 <= {name} + b < {size}{wall}:\n            b = -b\n        {move}\n"
        f"        g[y, x] = {d.weighted((2, c), (2, d.paint()))}"
    )


def turning_line(d: Draw) -> str:
    """Draw from marked cells a line that turns again and again: a spiral, a staircase or a zigzag."""
    c = d.colour()
    turn, length = d.weighted(
        (3, ("b, -a", "k")),
        (2, ("b, -a", "k // 2")),
        (1, ("-b, a", "k")),
        (2, ("b, a", str(d.weighted((2, 1), (2, 2), (1, 3))))),
        (1, ("b, a", "k // 2")),
        (1, ("-b, -a", "2")),
        (1, ("a, -b", "2")),
    )
    way = d.one("1, 1", "1, -1") if turn == "a, -b" else d.one("0, 1", "0, -1", "1, 0", "-1, 0")
    paint = d.weighted((3, str(c)), (2, str(d.paint())), (1, f"{[d.paint(), d.paint()]}[k % 2]"))
    return (
        f"for y, x in np.argwhere(g == {c}):\n    a, b = {way}\n    for k in range(1, 30):\n"
        f"        for i in range({length}):\n            y, x = y + a, x + b\n"
        f"            if {WITHIN.format('y', 'x')}:\n                g[y, x] = {paint}\n        a, b = {turn}"
    )


def arms(d: Draw) -> str:
    """Look from each marked cell along the four arms to the border and paint those that pass a test."""
    c, other = d.colour(), d.colour()
    paint = d.weighted((2, str(c)), (2, str(d.paint())), (1, "g[y, x]"))
    hit, last = f"(r == {other}).any()", ""
    test = d.weighted(
        (4, hit), (2, "r.any()"), (3, "not r.any()"), (2, f"not {hit}"), (1, "len(r) % 2 == 0"), (2, "min"), (1, "max")
    )
    act = d.weighted((3, f"r[r == 0] = {paint}"), (1, f"r[:] = {paint}"), (1, f"r[::2] = {paint}"))
    cells = d.weighted((5, f"g == {c}"), (1, "g > 0"))
    if test in ("min", "max"):
        last = f"    {test}(s, key=len)[:] = {paint}"
    else:
        last = f"    for r in s:\n        if {test}:\n            {act}"
    return f"for y, x in np.argwhere({cells}):\n    s = [g[:y, x], g[y + 1 :, x], g[y, :x], g[y, x + 1 :]]\n{last}"


def waves(d: Draw) -> str:
    """Flood step by step from marked cells, each step in the next of a few colours."""
    colours = [d.paint() for _ in range(d.weighted((4, 2), (2, 3)))]
    through = d.weighted((4, "g == 0"), (3, f"g == {d.colour()}"))
    ways = d.weighted(
        (3, ""),
        (3, EIGHT),
        (1, ", np.ones((1, 3))"),
        (1, ", np.ones((3, 1))"),
        (1, ", [[1, 0, 1], [0, 1, 0], [1, 0, 1]]"),
    )
    times = d.weighted((3, "30"), (1, "2"), (1, "3"), (1, "4"))
    return (
        f"m = g == {d.colour()}\nh = {through}\nfor i in range({times}):\n"
        f"    m = ndimage.binary_dilation(m{ways}) & h\n    g[m] = {colours}[i % {len(colours)}]\n    h = h & ~m"
    )


def next_line(d: Draw) -> str:
    """Make each row, or column, from the one before: moved, narrower, wider, turned or combined."""
    how = d.weighted(
        (3, f"np.roll(h[i - 1], {d.one(1, -1)})"),
        (3, f"ndimage.shift(h[i - 1], {d.weighted((2, 1), (2, -1), (1, 2))})"),
        (3, "ndimage.grey_erosion(h[i - 1], 3)"),
        (3, "ndimage.grey_dilation(h[i - 1], 3)"),
        (2, f"np.minimum(h[i - 1], np.roll(h[i - 1], {d.one(1, -1)}))"),
        (2, f"np.maximum(h[i - 1], ndimage.shift(h[i - 1], {d.one(1, -1)}))"),
        (2, f"np.roll(h[i - 1], {d.one('(-1) ** i', '-((-1) ** i)')})"),
        (1, "h[i - 1][::-1]"),
        (1, f"{d.paint()} * (ndimage.shift(h[i - 1], 1) != ndimage.shift(h[i - 1], -1))"),
    )
    row = d.weighted((4, f"np.where(h[i] == 0, {how}, h[i])"), (1, how), (1, f"np.maximum(h[i], {how})"))
    return f"h = {view(d)}\nfor i in range(1, len(h)):\n    h[i] = {row}"


def from_one_line(d: Draw) -> str:
    """Answer with a grid that grows from one row or column, line by line."""
    line = d.weighted((4, "g[0]"), (2, "g[-1]"), (1, "g[:, 0]"), (1, "g[len(g) // 2]"))
    count = d.weighted((3, "len(r)"), (2, "len(r) // 2"), (1, "len(set(r))"), (1, "(r > 0).sum()"))
    row = d.weighted(
        (3, "np.roll(r, i)"),
        (1, "np.roll(r, -i)"),
        (2, "np.where(x < n + i, c, 0)"),
        (1, "np.where(x < n - i, c, 0)"),
        (2, "np.where(x > i, 0, r)"),
        (1, "np.where(x < i, 0, r)"),
        (1, "np.where(x == i, r, 0)"),
        (1, "r if i % 2 else r[::-1]"),
        (1, "r if i % 2 else 0 * r"),
        (1, "np.where(x < i, r[i], r)"),
        (1, "ndimage.shift(r, i)"),
    )
    x = "x = np.arange(len(r))\n" if "x " in row else ""
    n = "n, c = (r > 0).sum(), r.max()\n" if " c," in row else ""
    end = d.weighted((4, ""), (1, "[::-1]"), (1, ".T"))
    return f"r = {line}\n{x}{n}g = np.array([{row} for i in range(max(1, {count}))]){end}"


def equal_steps(d: Draw) -> str:
    """Continue lines, or what stands in them, at the step that the first two have."""
    full = d.weighted((3, "h[:] = h.max(1)[:, None]\n"), (2, ""))
    test = d.weighted((4, "h.any(1)"), (2, f"(h == {d.colour()}).any(1)"))
    before = d.weighted((4, "h[i - 2 * k]"), (2, "h[i - k]"))
    return (
        f"h = {view(d)}\ny = np.flatnonzero({test})\nk = y[1] - y[0]\n{full}"
        f"for i in range(y[1] + k, len(h), k):\n    h[i] = {before}"
    )


def go_on(d: Draw) -> str:
    """Go on from two cells of a colour in the direction, and at the distance, from one to the other."""
    c = d.colour()
    ends = d.weighted((3, "[[0, -1]]"), (2, "[[-1, 0]]"), (1, "[:2]"))
    step = d.weighted((3, "p - y, q - x"), (2, "np.sign([p - y, q - x])"))
    cell = "y + k * a, x + k * b"
    times = d.weighted((3, "30"), (1, "3"))
    paint = d.weighted((2, "c"), (2, str(d.paint())))
    if paint == "c" and d.chance(0.4):
        paint = f"[c, {d.paint()}][k % 2]"
    body = [
        f"(y, x), (p, q) = np.argwhere(g == c){ends}",
        f"a, b = {step}",
        f"for k in range({times}):",
        f"    i, j = {cell}",
        f"    if {WITHIN.format('i', 'j')}{d.weighted((3, ''), (1, ' and g[i, j] == 0'))}:",
        f"        g[i, j] = {paint}",
    ]
    if d.chance(0.3):
        return "\n".join([f"c = {c}", *body])
    return "\n".join(["for c in np.unique(g[g > 0]):", *(f"    {line}" for line in body)])


def repeat_object(d: Draw) -> str:
    """Repeat each object to one side until the border, with a gap or without."""
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


def carry(d: Draw) -> str:
    """Go along each row or column with a colour in hand that is taken up, changed or put down on the way."""
    start, wall = d.colour(), d.colour()
    test = d.weighted(
        (2, ("a > 0", "c = a")),
        (3, (f"a == {start}", f"c = {d.weighted((1, start), (1, d.paint()))}")),
        (3, (f"a == {start}", f"c = {d.paint()} - c")),
        (2, ("a > 0", f"c = {d.paint()} - c")),
    )
    second = d.weighted(
        (3, ""),
        (4, f"        elif a == {wall}:\n            c = {d.weighted((2, 0), (2, d.paint()))}\n"),
        (2, "        elif a > 0:\n            c = 0\n"),
    )
    last = d.weighted((3, "elif c > 0"), (2, "elif a == 0 and c > 0"))
    return (
        f"for r in {d.one('g', 'g[:, ::-1]', 'g.T', 'g[::-1].T')}:\n    c = 0\n    for i, a in enumerate(r):\n"
        f"        if {test[0]}:\n            {test[1]}\n{second}        {last}:\n            r[i] = c"
    )


def gaps(d: Draw) -> str:
    """Fill between neighbouring marked cells of a row or column where the gap passes a test."""
    c, k = d.colour(), d.weighted((2, 3), (2, 4), (2, 5), (1, 6), (1, 2))
    paint = d.weighted((2, str(d.paint())), (1, str(c)))
    what = d.weighted((4, f"r == {c}"), (2, "r"))
    test = d.weighted(
        (3, f"1 < j - i < {k + 1}"),
        (1, f"j - i > {k}"),
        (2, f"j - i == {k}"),
        (2, "not r[i + 1 : j].any()"),
        (2, "r[i] == r[j]"),
        (2, "r[i] != r[j]"),
        (1, f"(r[i:j] == {d.colour()}).any()"),
    )
    pairs = d.weighted((4, "zip(x, x[1:])"), (1, "zip(x[::2], x[1::2])"), (1, "zip(x, x[2:])"))
    act = d.weighted((4, f"r[i + 1 : j] = {paint}"), (2, f"r[(i + j) // 2] = {paint}"), (1, "r[i + 1 : j] = r[i]"))
    loop = f"for r in {{}}:\n    x = np.flatnonzero({what})\n    for i, j in {pairs}:\n"
    loop = f"{loop}        if {test}:\n            {act}"
    if d.chance(0.25):
        return loop.format("[*g, *g.T]")
    return loop.format(d.one("g", "g.T"))


def images_about(d: Draw) -> str:
    """Complete by mirrored or turned images about the centre of the cells of one colour, or of the figure."""
    flip = ("p - y, x", "y, q - x", "p - y, q - x")
    turn = ("(p - q) // 2 + x, (p + q) // 2 - y", "(p + q) // 2 - x, (q - p) // 2 + y")
    images = d.weighted((4, flip), (1, flip[:1]), (1, flip[1:2]), (2, flip[2:]), (2, turn))
    loop = f"for i, j in {', '.join(f'({image})' for image in images)}:"
    if len(images) == 1:
        loop = f"i, j = {images[0]}\n    "
    here = d.weighted((2, "g > 0"), (1, f"g != {d.colour()}"), (1, f"g == {d.colour()}"))
    free = d.weighted((3, ""), (2, " and g[i, j] == 0"))
    paint = d.weighted((4, "g[y, x]"), (1, str(d.paint())))
    indent = "    " if len(images) == 1 else "        "
    body = f"{indent}if {WITHIN.format('i', 'j')}{free}:\n{indent}    g[i, j] = {paint}"
    head = f"    {loop}".rstrip() + "\n"
    return (
        f"y, x = np.where({d.weighted((4, f'g == {d.colour()}'), (3, 'g > 0'), (1, 'g == g.max()'))})\n"
        f"p, q = y.min() + y.max(), x.min() + x.max()\nfor y, x in np.argwhere({here}):\n{head}{body}"
    )


def reflect(d: Draw) -> str:
    """Mirror one side of a line of a colour to the other, or move it there."""
    c = d.colour()
    end = d.weighted(
        (3, "b[:] = np.maximum(b, a[::-1])"),
        (2, "b[:] = a[::-1]"),
        (2, "b[:] = np.where(b == 0, a[::-1], b)"),
        (1, "b[:] = a"),
        (1, "a[:], b[:] = b[::-1].copy(), a[::-1].copy()"),
        (1, "b[:] = np.maximum(b, a[::-1])\na[:] = 0"),
        (1, f"b[b != a[::-1]] = {d.paint()}"),
        (1, "g = np.maximum(a, b[::-1])"),
    )
    what = d.weighted((3, f"h == {c}"), (2, "h > 0"))
    return (
        f"h = {view(d)}\ny = ({what}).sum(1).argmax()\nk = min(y, len(h) - 1 - y)\n"
        f"a, b = h[y - k : y], h[y + 1 : y + 1 + k]\n{end}"
    )


def wallpaper(d: Draw) -> str:
    """Fill an area, or the grid, with copies of a pattern that lies elsewhere."""
    k = d.weighted((3, 3), (2, 2), (1, 4))
    c = d.colour()
    source = d.weighted(
        (3, most(d, "h = g[b]")),
        (2, f"y, x = np.where({d.weighted((3, f'g == {d.colour()}'), (2, 'g > 0'))})\nh = g{box()}"),
        (2, f"h = g[{d.one(f':{k}, :{k}', f'-{k}:, -{k}:', f':{k}', f':, :{k}')}]"),
    )
    end = d.weighted(
        (2, "g = h"),
        (3, f"g = np.where(g == {c}, h, g)"),
        (3, "g = np.where(g == 0, h, g)"),
        (1, "g[g > 0] = h[g > 0]"),
    )
    at = d.weighted((3, "h[y % len(h), x % len(h[0])]"), (1, "h[y % len(h), x % len(h[0])][::-1, ::-1]"))
    return f"{source}\n{INDICES}\nh = {at}\n{end}"


def box() -> str:
    """Return the index of the bounding box of the cells at ``y, x``."""
    return "[y.min() : y.max() + 1, x.min() : x.max() + 1]"


def classes(d: Draw) -> str:
    """Give all cells of a class of positions one colour: every third diagonal, every ring, every strip."""
    k = d.weighted((3, 3), (3, 2), (2, 4), (1, 5))
    c = d.colour()
    n = d.weighted(
        (3, f"(y + x) % {k}"),
        (2, f"(y - x) % {k}"),
        (1, "y + x"),
        (1, "y - x"),
        (2, "np.minimum(np.minimum(y, x), np.minimum(y, x)[::-1, ::-1])"),
        (1, "np.maximum(y, x)"),
        (1, "np.minimum(y, x)"),
        (1, f"y % {k} * 9 + x % {k}"),
        (1, f"y // {k} * 9 + x // {k}"),
        (1, f"x % {k}"),
        (1, f"y // {k}"),
        (1, "np.minimum(x, x[:, ::-1])"),
    )
    i = "n == i"
    act = d.weighted(
        (4, f"g[{i}] = g[{i}].max()"),
        (2, f"g[({i}) & (g == 0)] = g[{i}].max()"),
        (1, f"g[({i}) & (g == {c})] = g[{i}].max()"),
        (2, f"g[{i}] = np.bincount(g[{i}]).argmax()"),
        (2, f"if (g[{i}] == {c}).any():\n        g[{i}] = {d.weighted((1, c), (2, d.paint_or_zero()))}"),
        (1, f"if (g[{i}] == {c}).any():\n        g[({i}) & (g == 0)] = {d.weighted((1, c), (2, d.paint()))}"),
    )
    return f"{INDICES}\nn = {n}\nfor i in np.unique(n):\n    {act}"


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
    """Draw rings around each object in its own colour, at a distance, every second, or as far as they reach."""
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
    """Paint a figure seen from each object's box: rays from its corners, beams, frames at a distance."""
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


def colour_list(d: Draw) -> str:
    """Return the statement that lists colours ``u`` of the grid as an array."""
    return d.weighted(
        (3, "u = np.unique(g[g > 0])"),
        (3, "u, n = np.unique(g[g > 0], return_counts=True)\nu = u[np.argsort(-n)]"),
        (2, "u, n = np.unique(g, return_counts=True)\nu = u[np.argsort(n)]"),
        (2, "u = g[0]"),
        (1, "u = g[:, 0]"),
        (1, "u = np.diag(g)"),
        (2, "u = g[g > 0]\nu = u[:9]"),
    )


def from_list(d: Draw) -> str:
    """Answer with a new grid whose colours, taken from a list, depend on the position only."""
    index = d.weighted(
        (3, "(y + x) % k"),
        (1, "(y - x) % k"),
        (3, "np.maximum(y, x) % k"),
        (2, "np.maximum(abs(y - k + 1), abs(x - k + 1)) % k"),
        (1, "(k - 1 - np.maximum(abs(y - k + 1), abs(x - k + 1))) % k"),
        (1, "np.minimum(y, x) % k"),
        (1, "abs(y - x) % k"),
        (1, "y % k"),
        (1, "x % k"),
    )
    size = d.weighted((2, "(k, k)"), (2, "g.shape"), (1, "(2 * k, 2 * k)"))
    if "abs(y - k" in index:
        size = "(2 * k - 1, 2 * k - 1)"
    return f"{colour_list(d)}\nk = len(u)\ny, x = np.indices({size})\ng = u[{index}]"


def sized(d: Draw) -> str:
    """Answer with a pattern, its side a count or the length of something."""
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
    """Split at full lines of whatever colour and choose, overlay or compare the parts."""
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
    """Paint the cells of a colour, or of each object, by turns in the order they are met."""
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
