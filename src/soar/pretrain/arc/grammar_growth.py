"""Idioms about growth: walks, spirals, arms, waves, what repeats outwards or continues, new grids from a list.

Every function draws one step of a program as text. Loops here continue from what they drew before.
"""

from soar.pretrain.arc.grammar_boxes import box, most
from soar.pretrain.arc.grammar_draw import EIGHT, INDICES, Draw

WITHIN = "0 <= {} < len(g) and 0 <= {} < len(g[0])"
"""The test that a row and a column are on the grid."""


def view(d: Draw) -> str:
    """Return an expression of the grid whose rows are traversed: from above, below, left or right."""
    return d.one("g", "g[::-1]", "g.T", "g.T[::-1]")


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
    """Send a diagonal ray from marked cells that bounces off the sides, perhaps off a colour too."""
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
    """Continue lines, or their content, at the spacing of the first two."""
    full = d.weighted((3, "h[:] = h.max(1)[:, None]\n"), (2, ""))
    test = d.weighted((4, "h.any(1)"), (2, f"(h == {d.colour()}).any(1)"))
    before = d.weighted((4, "h[i - 2 * k]"), (2, "h[i - k]"))
    return (
        f"h = {view(d)}\ny = np.flatnonzero({test})\nk = y[1] - y[0]\n{full}"
        f"for i in range(y[1] + k, len(h), k):\n    h[i] = {before}"
    )


def go_on(d: Draw) -> str:
    """Continue from two cells of a colour in the direction, and at the distance, from one to the other."""
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


def carry(d: Draw) -> str:
    """Go along each row or column carrying a colour that is picked up, changed or dropped on the way."""
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
