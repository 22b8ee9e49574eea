"""Idioms about motion and measures: objects that move, lean, change or are measured, lines between cells, copies.

Every function draws one step of a program as text. Objects and their tests are those of `grammar_objects`.
"""

from soar.pretrain.arc.grammar_draw import EIGHT, Draw
from soar.pretrain.arc.grammar_objects import condition
from soar.pretrain.arc.grammar_relations import of_colour, order


def approach(d: Draw) -> str:
    """Move the cells of one colour in a straight line until they touch another colour."""
    a, b = d.colour(), d.colour()
    near = d.weighted((3, "sum(2) == 1"), (1, "max(2) == 1"))
    left = d.weighted((4, 0), (1, d.paint()))
    return (
        f"a, b = np.argwhere(g == {a}), np.argwhere(g == {b})\nk = 1 * (b.min(0) > a.max(0)) - (b.max(0) < a.min(0))\n"
        f"g[g == {a}] = {left}\nfor i in range(30):\n    if (abs(a[:, None] - b).{near}).any():\n        break\n"
        f"    a = a + k\ng[tuple(a.T)] = {d.weighted((4, a), (1, d.paint()))}"
    )


def by_measure(d: Draw) -> str:
    """Paint each object in a colour that depends on a number read from it."""
    measure = d.weighted(
        (3, "ndimage.label(ndimage.binary_fill_holes(m) & ~m)[1]"),
        (2, "len(g[b])"),
        (2, "len(g[b][0])"),
        (2, "len(np.unique(g[b]))"),
        (2, f"(g[b] == {d.colour()}).sum()"),
        (2, "m.sum()"),
        (1, "m.sum() % 2"),
        (1, "min(g[b].shape)"),
        (1, "len(g[b]) - len(g[b][0])"),
    )
    colours = ", ".join(str(d.paint_or_zero()) for _ in range(4))
    return (
        f"{d.label(d.weighted((2, 'g > 0'), (3, f'g == {d.colour()}')))}\n"
        f"for i, b in enumerate(ndimage.find_objects(l), 1):\n    m = l == i\n    g[m] = [{colours}][{measure} % 4]"
    )


def reflect_beside(d: Draw) -> str:
    """Draw each object's mirror image, or a copy, beside it."""
    c = d.weighted((3, "g > 0"), (2, f"g == {d.colour()}"))
    across, turned = d.weighted((3, "[:, ::-1]"), (1, "")), d.weighted((3, "[::-1]"), (1, ""))
    side = d.one(
        f"h = g[y, x.stop : 2 * x.stop - x.start]\n    a = g[y, x]{across}[:, : len(h[0])]",
        f"h = g[y.stop : 2 * y.stop - y.start, x]\n    a = g[y, x]{turned}[: len(h)]",
        f"h = g[y, max(0, 2 * x.start - x.stop) : x.start]\n    a = g[y, x]{across}[:, -len(h[0]) :]",
        f"h = g[max(0, 2 * y.start - y.stop) : y.start, x]\n    a = g[y, x]{turned}[-len(h) :]",
    )
    paint = d.weighted((3, "np.maximum(h, a)"), (1, f"np.where(a > 0, {d.paint()}, h)"))
    return f"l, n = ndimage.label({c}{EIGHT})\nfor y, x in ndimage.find_objects(l):\n    {side}\n    h[:] = {paint}"


def segments(d: Draw) -> str:
    """Draw the straight line, in any direction, between the first and the last cell of a colour."""
    each = d.chance(0.5)
    which = "c" if each else str(d.colour())
    paint = d.weighted((2, which), (1, str(d.paint())))
    lines = [
        f"s = np.argwhere(g == {which})",
        "n = max(1, abs(s[-1] - s[0]).max())",
        "for i in range(n + 1):",
        f"    g[tuple(s[0] + (s[-1] - s[0]) * i // n)] = {paint}",
    ]
    if each:
        return "for c in np.unique(g[g > 0]):\n" + "\n".join(f"    {line}" for line in lines)
    return "\n".join(lines)


def tile_alternate(d: Draw) -> str:
    """Tile the grid with copies that are mirrored in alternation or follow a pattern."""
    k = d.weighted((3, 3), (2, 2))
    flip = d.one("g[:, ::-1]", "g[::-1]", "g[::-1, ::-1]")
    pattern = d.weighted(
        (2, f"np.eye({k}, dtype=int)"),
        (1, f"np.eye({k}, dtype=int)[::-1]"),
        (1, "np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]])"),
        (1, "np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]])"),
        (1, f"np.tri({k}, dtype=int)"),
        (2, "np.eye(len(np.unique(g[g > 0])), dtype=int)"),
    )
    return d.weighted(
        (3, f"g = np.vstack([np.hstack([h] * {k}) for h in (g, {flip}, g)])"),
        (2, f"g = np.hstack([np.vstack([h] * {k}) for h in (g, {flip}, g)])"),
        (1, f"g = np.vstack([np.hstack([h] * {k}) for h in ({flip}, g, {flip})])"),
        (4, f"g = np.kron({pattern}, g)"),
        (1, f"h = np.zeros_like(g)\ng = np.block([[g, h], [h, {d.weighted((2, 'g'), (1, flip))}]])"),
    )


def cell_patterns(d: Draw) -> str:
    """Turn every cell into a small pattern of its colour."""
    pattern = d.weighted(
        (1, "[[1, 0], [0, 1]]"),
        (1, "[[1, 1], [1, 0]]"),
        (1, "[[1, 0], [0, 0]]"),
        (1, "[[0, 1, 0], [1, 1, 1], [0, 1, 0]]"),
        (1, "[[1, 1, 1], [1, 0, 1], [1, 1, 1]]"),
        (1, "[[0, 0, 0], [0, 1, 0], [0, 0, 0]]"),
        (1, "[[1, 0, 1], [0, 1, 0], [1, 0, 1]]"),
        (1, "[[1, 1]]"),
        (1, "[[1, 0]]"),
        (1, "[[1], [0]]"),
    )
    fill = d.weighted((3, ""), (1, f"\ng[g == 0] = {d.paint()}"))
    return f"g = np.kron(g, {pattern}){fill}"


def small_pieces(d: Draw) -> str:
    """Clear or paint the pieces, each of one colour, that are smaller or bigger than a size."""
    test = d.weighted((3, f"n < {d.small(2, 6)}"), (1, f"n > {d.small(2, 8)}"), (1, f"n == {d.small(1, 6)}"))
    paint = d.weighted((3, "0"), (2, str(d.paint())), (1, "np.bincount(g.ravel()).argmax()"))
    eight = d.weighted((2, ""), (1, EIGHT))
    return (
        f"for c in np.unique(g{d.weighted((2, '[g > 0]'), (1, ''))}):\n    l, n = ndimage.label(g == c{eight})\n"
        f"    n = np.bincount(l.ravel())[l]\n    g[(l > 0) & ({test})] = {paint}"
    )


def centre_lines(d: Draw) -> str:
    """Draw a row, a column or both through the middle of each object."""
    row, column = "g[(y.start + y.stop) // 2]", "g[:, (x.start + x.stop) // 2]"
    paint = d.weighted((2, str(d.paint())), (1, "c"))
    read = "c = g[y, x].max()\n    " if paint == "c" else ""
    lines = d.weighted((2, (row,)), (2, (column,)), (3, (row, column)))
    act = "\n    ".join(f"h = {line}\n    h[h == 0] = {paint}" for line in lines)
    return f"{d.label()}\nfor y, x in ndimage.find_objects(l):\n    {read}{act}"


def move_if(d: Draw) -> str:
    """Move each object that passes a test, by a constant or by its own size."""
    k = d.weighted((4, "1"), (2, "2"), (1, "3"), (2, "len(g[b])"), (2, "len(g[b][0])"))
    sign, axis = d.one("", "-"), d.one(0, 1)
    test = d.weighted((2, None), (3, condition(d)), (3, f"g[m].max() == {d.colour()}"))
    clear = d.weighted((4, "g[m] = 0"), (1, f"g[m] = {d.paint()}"))
    lines = [clear, f"n = np.roll(m, {sign}{k}, {axis})", "g[n] = h[m].max()"]
    if d.chance(0.3):
        lines = lines[1:]
    head = f"h = g.copy()\nl, n = ndimage.label(g > 0{d.weighted((1, ''), (1, EIGHT))})\n"
    loop = "for i, b in enumerate(ndimage.find_objects(l), 1):\n    m = l == i\n"
    if test is None:
        return head + loop + "\n".join(f"    {line}" for line in lines)
    return head + loop + f"    if {test}:\n" + "\n".join(f"        {line}" for line in lines)


def change_if(d: Draw) -> str:
    """Change the surroundings or the inside of each object that passes a test."""
    c = d.paint()
    act = d.weighted(
        (2, ("h = g[b]", "h[:] = h[:, ::-1]")),
        (2, ("h = g[b]", "h[:] = h[::-1]")),
        (2, ("h = g[b]", f"h[1:-1, 1:-1] = {d.paint_or_zero()}")),
        (2, ("h = g[:, b[1]]", f"h[h == 0] = {c}")),
        (2, ("h = g[b[0]]", f"h[h == 0] = {c}")),
        (1, ("h = g[b[0].stop :, b[1]]", f"h[h == 0] = {c}")),
        (1, ("h = g[: b[0].start, b[1]]", f"h[h == 0] = {c}")),
        (1, ("h = g[b[0], b[1].stop :]", f"h[h == 0] = {c}")),
        (1, ("h = g[b[0], : b[1].start]", f"h[h == 0] = {c}")),
        (1, (f"g[ndimage.binary_erosion(m{EIGHT})] = {d.paint_or_zero()}",)),
        (1, (f"g[m & (g == {d.colour()})] = {d.paint_or_zero()}",)),
        (1, ("g[m] = np.bincount(g[m]).argmax()",)),
        (1, ("g[~m] = 0",)),
        (1, ("h = g[b]", "h[h == 0] = g[m].max()")),
    )
    lines = "\n".join(f"        {line}" for line in act)
    return (
        f"{d.label()}\nfor i, b in enumerate(ndimage.find_objects(l), 1):\n    m = l == i\n"
        f"    if {condition(d)}:\n{lines}"
    )


def symmetrise_box(d: Draw) -> str:
    """Complete the box of a mask, or of each object, by its mirror images or turns."""
    fill = d.weighted((3, "np.maximum(h, {})"), (1, "np.where(h == 0, {}, h)"))
    turns = d.weighted(
        (3, ("h[:, ::-1]",)),
        (3, ("h[::-1]",)),
        (3, ("h[::-1]", "h[:, ::-1]")),
        (2, ("h.T",)),
        (2, ("np.rot90(h)", "np.rot90(h, 2)")),
        (1, ("h[::-1, ::-1]",)),
    )
    if d.chance(0.5):
        what = d.weighted((2, "g > 0"), (3, f"g == {d.colour()}"), (1, f"g != {d.colour()}"))
        steps = "\n".join(f"h[:] = {fill.format(turn)}" for turn in turns)
        return f"y, x = np.where({what})\nh = g[y.min() : y.max() + 1, x.min() : x.max() + 1]\n{steps}"
    steps = "\n    ".join(f"h[:] = {fill.format(turn)}" for turn in turns)
    return f"l, n = ndimage.label(g > 0{EIGHT})\nfor b in ndimage.find_objects(l):\n    h = g[b]\n    {steps}"


def move_to(d: Draw) -> str:
    """Move each object of a colour next to, or in line with, the cells of another colour or the border."""
    c, other = d.colour(), d.colour()
    if other == c:
        other = d.colour()
    touch = "np.maximum(p.min(0) - s.max(0) - 1, 0) - np.maximum(s.min(0) - p.max(0) - 1, 0)"
    only = d.one("[1, 0]", "[0, 1]")
    k = d.weighted(
        (5, touch),
        (2, f"(p.min(0) - s.min(0)) * {only}"),
        (1, f"(p.max(0) - s.max(0)) * {only}"),
        (1, "p.min(0) - s.min(0)"),
        (1, "p.min(0) + p.max(0) - s.min(0) - s.max(0)"),
        (1, f"(p.min(0) + p.max(0) - s.min(0) - s.max(0)) // 2 * {only}"),
        (1.5, f"-s.min(0) * {only}"),
        (1.5, f"(g.shape - s.max(0) - 1) * {only}"),
    )
    find = f"p = np.argwhere(g == {other})\n" if "p." in k else ""
    clear = d.weighted((4, "    g[l == i] = 0\n"), (2, ""), (1, f"    g[l == i] = {d.paint()}\n"))
    to = "(s + k)" if k == touch else "((s + k) % g.shape)"
    return (
        f"{d.label(f'g == {c}')}\n{find}for i in range(1, n + 1):\n    s = np.argwhere(l == i)\n{clear}    k = {k}\n"
        f"    g[tuple({to}.T)] = {d.weighted((3, c), (1, d.paint()))}"
    )


def point(d: Draw) -> str:
    """Send a ray from marked cells of objects, away from the object's middle or across it."""
    c = d.colour()
    way = d.weighted(
        (3, "[2 * y, 2 * x] - s.min(0) - s.max(0)"),
        (2, "[y, x] - s.mean(0)"),
        (1, "s.min(0) + s.max(0) - [2 * y, 2 * x]"),
        (0.5, "s.mean(0) - [y, x]"),
    )
    whole = d.weighted((4, ""), (1, " * [0, 1]"), (1, " * [1, 0]"))
    free = d.weighted((3, " and g[p, q] == 0"), (1, ""))
    paint = d.weighted((3, c), (2, d.paint()))
    return (
        f"l, n = ndimage.label(g > 0{EIGHT})\nfor y, x in np.argwhere(g == {c}):\n    s = np.argwhere(l == l[y, x])\n"
        f"    a, b = np.sign({way}).astype(int){whole}\n    for k in range(1, 30):\n"
        "        p, q = y + k * a, x + k * b\n"
        f"        if 0 <= p < len(g) and 0 <= q < len(g[0]){free}:\n            g[p, q] = {paint}"
    )


def lean(d: Draw) -> str:
    """Move or smear each object to the side where it has more cells or a mark, or towards a colour or the border."""
    c = d.colour()
    way = d.weighted(
        (3, "2 * np.median(s, 0) - s.min(0) - s.max(0)"),
        (2, f"2 * s[(g[m] == {c}).argmax()] - s.min(0) - s.max(0)"),
        (2, "s.min(0) + s.max(0) + 1 - g.shape"),
        (2, f"np.argwhere(g == {c}).mean(0) - s.mean(0)"),
    )
    whole = d.weighted((3, ""), (1, " * [0, 1]"), (1, " * [1, 0]"))
    sign = d.weighted((4, ""), (1, "-"))
    paint = d.weighted((2, "g[m].max()"), (2, str(d.paint())))
    start = f"{d.label(of_colour(d, 3))}\nh = g.copy()\nfor i in range(1, n + 1):\n    m = l == i\n"
    start += f"    s = np.argwhere(m)\n    k = {sign}np.sign({way}){whole}\n"
    where = d.weighted((3, " & (h == 0)"), (1, ""))
    if d.chance(0.35):
        times = d.weighted((3, ""), (1, "2 * "), (1, "np.ptp(s, 0) * "), (1, "(np.ptp(s, 0) + 1) * "))
        clear = d.weighted((3, "    h[m] = 0\n"), (1, ""))
        return f"{start}{clear}    h[ndimage.shift(m, {times}k, order=0)] = {paint}\ng = h"
    times = d.weighted((4, 30), (1, 3), (1, 4))
    return (
        f"{start}    for j in range(1, {times}):\n        a = ndimage.shift(m, j * k, order=0)\n"
        f"        h[a{where}] = {paint}\ng = h"
    )


def mirror_about_mark(d: Draw) -> str:
    """Complete each object by its mirror images, or turns, about its marked cell."""
    images = d.weighted(
        (3, "(2 * y - p, q), (p, 2 * x - q)"),
        (2, "(2 * y - p, q), (p, 2 * x - q), (2 * y - p, 2 * x - q)"),
        (2, "(y + x - q, x - y + p), (y - x + q, y + x - p)"),
        (3, "2 * y - p, q"),
        (3, "p, 2 * x - q"),
        (3, "2 * y - p, 2 * x - q"),
        (1, "y - x + q, x - y + p"),
    )
    c = d.colour()
    paint = d.weighted((4, "g[p, q]"), (1, str(d.paint())))
    free = d.weighted((2, ""), (1, " and g[i, j] == 0"))
    test = f"if 0 <= i < len(g) and 0 <= j < len(g[0]){free}:"
    if "(" in images:
        body = f"        for i, j in {images}:\n            {test}\n                g[i, j] = {paint}"
    else:
        body = f"        i, j = {images}\n        {test}\n            g[i, j] = {paint}"
    return (
        f"l, n = ndimage.label(g > 0{EIGHT})\nfor y, x in np.argwhere(g == {c}):\n"
        f"    for p, q in np.argwhere(l == l[y, x]):\n{body}"
    )


def pack(d: Draw) -> str:
    """Push the objects, in an order, together or all against one side."""
    gap = d.weighted((3, ""), (2, " + 1"))
    across = f"    h[y, k : k + len(a[0])] = a\n    k += len(a[0]){gap}"
    down = f"    h[k : k + len(a), x] = a\n    k += len(a){gap}"
    side = d.weighted(
        (2, (across, True)),
        (2, (down, True)),
        (1, (across.replace("[y,", "[: len(a),"), True)),
        (1, (down.replace(", x]", ", : len(a[0])]"), True)),
        (1, ("    h[: len(a), x] = a", False)),
        (1, ("    h[-len(a) :, x] = a", False)),
        (1, ("    h[y, : len(a[0])] = a", False)),
        (1, ("    h[y, -len(a[0]) :] = a", False)),
    )
    move, running = side
    first = "h, k = 0 * g, 0" if running else "h = 0 * g"
    objects = f"sorted(ndimage.find_objects(l), key=lambda b: {order(d)})"
    end = d.weighted((3, "g = h"), (1, "g = h[h.any(1)][:, h.any(0)]"))
    return f"{d.label()}\n{first}\nfor y, x in {objects}:\n    a = g[y, x]\n{move}\n{end}"
