"""Idioms about relations between objects: alike, nearest, facing, containing, touching; joined, put in order.

Every function draws one step of a program as text. The tests of one object alone are in `grammar_objects`.
"""

from soar.pretrain.arc.grammar_draw import EIGHT, Draw

SHAPE = "(l[b] > 0).tobytes()"
"""The expression of the shape of the object in box ``b``, to be compared with another's."""


def of_colour(d: Draw, other: float = 1.0) -> str:
    """Return an expression of the cells of objects, mostly those of one colour."""
    return d.weighted((3, f"g == {d.colour()}"), (other, "g > 0"))


def order(d: Draw) -> str:
    """Return an expression that objects are put in order by; ``b`` is an object's box."""
    return d.weighted(
        (2, "b[0].start"),
        (3, "b[1].start"),
        (1, "b[0].stop"),
        (3, "(g[b] > 0).sum()"),
        (1, "len(g[b])"),
        (1, "g[b].size"),
        (1, "g[b].max()"),
        (1, f"(g[b] == {d.colour()}).sum()"),
    )


def condition_of_box(d: Draw) -> str:
    """Return a test of the object in box ``b``."""
    return d.weighted(
        (2, f"{d.colour()} in g[b]"),
        (2, f"(g[b] > 0).sum() > {d.small(1, 6)}"),
        (1, "g[b].all()"),
        (1, f"len(np.unique(g[b])) > {d.small(1, 3)}"),
        (1, "(g[b] == g[b][:, ::-1]).all()"),
        (1, "len(g[b]) > len(g[b][0])"),
    )


def nearest_object(d: Draw) -> str:
    """Paint each object of a colour by what is nearest to it, or by how far that is."""
    c = d.colour()
    things = d.weighted((3, f"g == {c}"), (1, f"(g > 0) & (g != {c})"))
    colours = "h = g[tuple(i)]\n"
    start, act = d.weighted(
        (4, (colours, "g[m] = h[m][k[m].argmin()]")),
        (2, (colours, "g[m] = np.bincount(h[m]).argmax()")),
        (2, (colours, f"if h[m][k[m].argmin()] == {d.colour()}:\n        g[m] = {d.paint_or_zero()}")),
    )
    if d.chance(0.2):
        near = f"k = ndimage.distance_transform_{d.one('edt', 'cdt')}((g == 0) | (l > 0))\n"
        start, act = "", f"if k[m].min() {d.one('<', '>')} {d.small(2, 4)}:\n        g[m] = {d.paint_or_zero()}"
    else:
        near = "k, i = ndimage.distance_transform_edt((g == 0) | (l > 0), return_indices=True)\n"
    return f"{d.label(things)}\n{near}{start}for i in range(1, n + 1):\n    m = l == i\n    {act}"


def like_one(d: Draw) -> str:
    """Take one object as the model and change all that are like it, or all that are not."""
    model = d.weighted(
        (3, f"max(s, key=lambda b: (g[b] == {d.colour()}).sum())"),
        (3, "max(s, key=lambda b: len(np.unique(g[b])))"),
        (2, f"{d.one('max', 'min')}(s, key=lambda b: g[b].size)"),
        (2, f"s[{d.one(0, -1)}]"),
        (1, f"{d.one('max', 'min')}(s, key=lambda b: b[1].start)"),
    )
    alike = d.weighted(
        (4, "(l[a] > 0).tobytes() == (l[b] > 0).tobytes()"),
        (3, "g[a].shape == g[b].shape"),
        (2, "(l[a] > 0).sum() == (l[b] > 0).sum()"),
        (2, "g[a].max() == g[b].max()"),
        (1, "a[0] == b[0]"),
        (1, "a[1] == b[1]"),
    )
    if d.chance(0.3):
        alike = alike.replace("==", "!=")
    same = "tobytes() ==" in alike or "shape ==" in alike
    act = d.weighted(
        (3, f"g[b][g[b] > 0] = {d.paint()}"),
        (2, "g[b][g[b] > 0] = g[a].max()"),
        (2, "g[b] = 0"),
        (4 if same else 0, "g[b] = g[a]"),
        (1 if same else 0, f"g[b] = g[a]{d.one('[::-1]', '[:, ::-1]')}"),
        (1, f"g[b][g[b] == 0] = {d.paint()}"),
    )
    return f"{d.label()}\ns = ndimage.find_objects(l)\na = {model}\nfor b in s:\n    if {alike}:\n        {act}"


def by_repetition(d: Draw) -> str:
    """Paint objects by how often their like occurs: the odd one out, the commonest, one colour to each kind."""
    key = d.weighted(
        (5, SHAPE),
        (2, "g[b].shape"),
        (2, "(l[b] > 0).sum()"),
        (2, "g[b].max()"),
        (1, "g[b].tobytes()"),
        (1, "len(np.unique(g[b]))"),
        (1, "b[0]"),
    )
    test = d.weighted(
        (3, "s.count(a) == 1"),
        (3, "s.count(a) > 1"),
        (1, "s.count(a) == 2"),
        (2, "a == max(s, key=s.count)"),
        (1, "a == min(s, key=s.count)"),
        (2, f"a == s[{d.one(0, -1)}]"),
    )
    colours = ", ".join(str(d.paint()) for _ in range(3))
    act = d.weighted(
        (5, f"if {test}:\n        g[l == i] = {d.paint_or_zero()}"),
        (2, f"g[l == i] = {d.paint()} if {test} else {d.paint_or_zero()}"),
        (1, f"if {test}:\n        g[l != i] = 0"),
        (2, f"g[l == i] = [{colours}][s.index(a) % 3]"),
        (2, f"g[l == i] = [{colours}][s.count(a) % 3]"),
    )
    return f"{d.label()}\ns = [{key} for b in ndimage.find_objects(l)]\nfor i, a in enumerate(s, 1):\n    {act}"


def corridor(d: Draw) -> str:
    """Paint the strip between every two objects that face each other across or down."""
    start, stop = d.weighted((3, ("", "")), (1, (" + 1", " - 1")))
    across = f"g[max(a.start, b.start){start} : min(a.stop, b.stop){stop}, p.stop : q.start]"
    down = f"g[a.stop : b.start, max(p.start, q.start){start} : min(p.stop, q.stop){stop}]"
    paint = d.weighted((3, str(d.paint())), (2, "g[a, p].max()"))
    test = d.weighted(
        (5, ""),
        (3, "if not h.any():"),
        (1, "if g[a, p].max() == g[b, q].max():"),
        (1, f"if max(h.shape) < {d.small(2, 6)}:"),
    )
    fill = d.weighted((4, f"h[h == 0] = {paint}"), (1, f"h[:] = {paint}"))
    lines = [test, f"    {fill}"] if test else [fill]
    step = d.weighted((2, [f"h = {across}"]), (2, [f"h = {down}"]), (2, []))
    if step:
        body = "\n".join(f"        {line}" for line in [*step, *lines])
    else:
        body = f"        u = {across}\n        k = {down}\n        for h in u, k:\n" + "\n".join(
            f"            {line}" for line in lines
        )
    return f"{d.label(of_colour(d, 2))}\ns = ndimage.find_objects(l)\nfor a, p in s:\n    for b, q in s:\n{body}"


def containers(d: Draw) -> str:
    """Change objects, or what they hold, by what lies enclosed in them or in their boxes."""
    test, some = d.weighted(
        (6, ("len(u)", True)),
        (3, ("len(set(u)) == 1", True)),
        (1, ("len(set(u)) > 1", True)),
        (1, ("len(u) == 0", False)),
        (1, (f"len(u) == {d.small(1, 4)}", True)),
        (1, (f"len(u) > {d.small(1, 2)}", True)),
        (1, (f"{d.colour()} in u", True)),
        (1, (f"{d.colour()} not in u", False)),
    )
    act = d.weighted(
        (3 * some, "g[l == i] = u[0]"),
        (1 * some, "g[l == i] = np.bincount(u).argmax()"),
        (3, f"g[l == i] = {d.paint_or_zero()}"),
        (2, f"g[m] = {d.paint_or_zero()}"),
        (2 * some, "g[m] = u[0]"),
        (2, f"g[m & (g == 0)] = {d.paint()}"),
        (2 * some, "g[m & (g == 0)] = u[0]"),
        (1, f"g[m & (l != i) & (g > 0)] = {d.paint_or_zero()}"),
        (1, "g[m & (l != i)] = g[l == i].max()"),
    )
    within = d.weighted(
        (3, "m = ndimage.binary_fill_holes(l == i)"),
        (5, "m = l == i\n    m = m.any(1)[:, None] & m.any(0)"),
        (1, f"m = ndimage.binary_closing(l == i, np.ones(({d.one('3, 3', '1, 9', '9, 1', '5, 5')})))"),
    )
    things = d.weighted(
        (3, f"g == {d.colour()}"),
        (1, "g > 0"),
        (3, "g == np.bincount(g[g > 0]).argmax()"),
    )
    return (
        f"{d.label(things)}\nfor i in range(1, n + 1):\n    {within}\n"
        f"    u = g[m & (l != i) & (g > 0)]\n    if {test}:\n        {act}"
    )


def pass_on(d: Draw) -> str:
    """Put the objects in an order and let each take the colour, or the cells, of another."""
    turned = d.weighted((3, "u[::-1]"), (3, "u[1:] + u[:1]"), (2, "u[-1:] + u[:-1]"))
    start = f"{d.label(d.weighted((4, 'g > 0'), (1, f'g != {d.colour()}')))}\ns = sorted(ndimage.find_objects(l)"
    if d.chance(0.25):
        return (
            f"{start}, key=lambda b: {order(d)})\nu = [g[b].copy() for b in s]\nfor b, h in zip(s, {turned}):\n"
            "    if g[b].shape == h.shape:\n        g[b] = h"
        )
    turned = d.weighted((3, turned), (1, "sorted(u)"), (1, "sorted(u, key=u.count)"), (1, "u[::2] + u[1::2]"))
    colour = d.weighted((3, "g[b].max()"), (1, "g[b][0, 0]"), (1, "np.bincount(g[b][g[b] > 0]).argmax()"))
    where = d.weighted((4, "g[b][g[b] > 0]"), (1, "g[b]"), (1, "g[b][g[b] == 0]"))
    loop = f"u = [{colour} for b in s]\nfor b, c in zip(s, {turned}):\n    {where} = c"
    return f"{start}, key=lambda b: {order(d)})\n{loop}"


def seen_from(d: Draw) -> str:
    """Look from each object along its rows or columns and change it, or the way, by what is seen there."""
    strip, near = d.weighted(
        (2, ("g[: y.start, x]", "-1")),
        (2, ("g[y.stop :, x]", "0")),
        (2, ("g[y, : x.start]", "-1")),
        (2, ("g[y, x.stop :]", "0")),
        (2, ("g[0, x]", "0")),
        (1, ("g[-1, x]", "0")),
        (2, ("g[y, 0]", "0")),
        (1, ("g[y, -1]", "0")),
        (1, ("g[y]", "0")),
        (1, ("g[:, x]", "0")),
    )
    c = d.colour()
    test, some = d.weighted(
        (4, ("h.any()", True)),
        (2, (f"{c} in h", True)),
        (1, (f"{c} not in h", False)),
        (2, ("not h.any()", False)),
        (2, (f"(h == {c}).sum() {d.one('>', '==')} {d.small(1, 4)}", False)),
    )
    where = d.weighted((4, "g[y, x][l[y, x] > 0]"), (1, "g[y, x]"))
    act = d.weighted(
        (4 * some, f"{where} = h[h > 0][{near}]"),
        (1 * some, f"{where} = np.bincount(h[h > 0]).argmax()"),
        (3, f"{where} = {d.paint_or_zero()}"),
        (2, f"h[h == 0] = {d.paint()}"),
        (2, "h[h == 0] = g[y, x].max()"),
    )
    return (
        f"{d.label(of_colour(d))}\nfor y, x in ndimage.find_objects(l):\n    h = {strip}\n    if {test}:\n        {act}"
    )


def sketch(d: Draw) -> str:
    """Replace each object by something simple in its colour: a cell, a bar, a box, a frame."""
    middle = "(y.start + y.stop) // 2", "(x.start + x.stop) // 2"
    spot = d.weighted(
        (3, f"{middle[0]}, {middle[1]}"),
        (1, f"{d.one('y.start', 'y.stop - 1')}, {d.one('x.start', 'x.stop - 1')}"),
        (1, "y.start, x"),
        (1, "y.stop - 1, x"),
        (1, "y, x.start"),
        (1, "y, x.stop - 1"),
        (1, f"{middle[0]}, x"),
        (1, f"y, {middle[1]}"),
        (2, "y, x"),
        (1, "y.start : y.stop : 2, x"),
        (1, "y, x.start : x.stop : 2"),
        (2, "y.start, x.start : x.start + (g[y, x] > 0).sum()"),
        (1, "len(g) - (g[y, x] > 0).sum() :, x.start"),
        (1, "y.start + 1 : y.stop - 1, x.start + 1 : x.stop - 1"),
        (1, f"{middle[0]}"),
        (1, f":, {middle[1]}"),
    )
    colour = d.weighted((3, "g[y, x].max()"), (1, "np.bincount(g[y, x][g[y, x] > 0]).argmax()"), (1, str(d.paint())))
    start = d.weighted((4, "0 * g"), (1, "g.copy()"), (0.7, f"np.where(g == {d.colour()}, g, 0)"))
    return f"h = {start}\n{d.label()}\nfor y, x in ndimage.find_objects(l):\n    h[{spot}] = {colour}\ng = h"


def map_of_objects(d: Draw) -> str:
    """Answer with a small map of the objects: one cell for each, placed as they lie."""
    value = d.weighted(
        (4, "g[b].max()"),
        (1, "g[b][g[b] > 0].min()"),
        (2, f"{d.paint()} if {condition_of_box(d)} else {d.paint_or_zero()}"),
        (1, "np.bincount(g[b].ravel()).argmax()"),
    )
    k = d.weighted((3, 3), (2, 2), (1, 4))
    if d.chance(0.5):
        place = f"b[0].start * {k} // len(g), b[1].start * {k} // len(g[0])"
        return (
            f"{d.label()}\nh = np.zeros(({k}, {k}), int)\nfor b in ndimage.find_objects(l):\n"
            f"    h[{place}] = {value}\ng = h"
        )
    return (
        f"{d.label()}\ns = ndimage.find_objects(l)\ny, x = [sorted({{b[i].start for b in s}}) for i in (0, 1)]\n"
        "h = np.zeros((len(y), len(x)), int)\n"
        f"for b in s:\n    h[y.index(b[0].start), x.index(b[1].start)] = {value}\ng = h"
    )


def pair_key(d: Draw) -> str:
    """Take small two-coloured objects as a key that sends one of their colours to the other."""
    test = d.weighted(
        (3, "h[b].size == 2"),
        (4, "len(set(h[b].flat)) == 2"),
        (2, "h[b].size < 10"),
        (1, "h[b].min() > 0"),
    )
    pair = d.weighted(
        (3, "h[b].flat[[0, -1]]"),
        (1, "h[b].flat[[-1, 0]]"),
        (2, "h[b][0, 0], h[b][len(h[b]) // 2, -1]"),
        (2, "h[b].max(), np.bincount(h[b].flat).argmax()"),
        (2, "h[b].min(), h[b].max()"),
    )
    change = d.weighted(
        (4, "g[h == a] = c"),
        (1, "g[h == a] = c\n        g[h == c] = a"),
        (2, "g[ndimage.binary_dilation(h == a) & (h == 0)] = c"),
        (2, "g[ndimage.binary_fill_holes(h == a) & (h == 0)] = c"),
        (1, "g[(h == a).any(1)[:, None] & (h == 0)] = c"),
    )
    after = d.weighted((3, ""), (2, "\n        g[b] = h[b]"), (2, "\n        g[b] = 0"))
    return (
        f"h = g.copy()\n{d.label('h > 0')}\nfor b in ndimage.find_objects(l):\n    if {test}:\n"
        f"        a, c = {pair}\n        {change}{after}"
    )


def ordered(d: Draw) -> str:
    """Put the objects in an order and change some of them: all but the first, every second, the inner ones."""
    some = d.weighted(
        (3, "[1:]"), (3, "[:-1]"), (2, "[::2]"), (2, "[1::2]"), (1, "[1:-1]"), (2, "[:2]"), (2, "[-2:]"), (1, "[::3]")
    )
    act = d.weighted(
        (4, f"g[b][g[b] > 0] = {d.paint()}"),
        (3, "g[b] = 0"),
        (1, f"g[b] = {d.paint()}"),
        (2, f"g[b][g[b] == 0] = {d.paint()}"),
        (1, f"g[b] = g[b]{d.one('[::-1]', '[:, ::-1]')}"),
        (1, f"g[b][g[b] == {d.colour()}] = {d.paint_or_zero()}"),
        (1, f"g[b][1:-1, 1:-1] = {d.paint_or_zero()}"),
    )
    return f"{d.label()}\ns = sorted(ndimage.find_objects(l), key=lambda b: {order(d)})\nfor b in s{some}:\n    {act}"


def clusters(d: Draw) -> str:
    """Take what lies near together as a group and paint it, box it or crop to it by how many parts it has."""
    near = d.weighted((3, EIGHT), (2, ""), (2, ", np.ones((5, 5))"), (1, ", np.ones((1, 3))"), (1, ", np.ones((3, 1))"))
    things = of_colour(d, 2)
    count = d.weighted((4, "ndimage.label(m)[1]"), (2, "m.sum()"), (1, "len(np.unique(g[m]))"))
    colours = ", ".join(str(d.paint_or_zero()) for _ in range(4))
    k = d.small(1, 5)
    act = d.weighted(
        (3, f"g[m] = [{colours}][{count} % 4]"),
        (4, f"if {count} {d.one('>', '==')} {k}:\n        g[m] = {d.paint_or_zero()}"),
        (2, f"if {count} {d.one('>', '==')} {k}:\n        g[(l == i) & (g == 0)] = {d.paint()}"),
        (2, "g[m] = np.bincount(g[m]).argmax()"),
    )
    return (
        f"l, n = ndimage.label(ndimage.binary_dilation({things}{near}))\nfor i in range(1, n + 1):\n"
        f"    m = (l == i) & ({things})\n    {act}"
    )


def touch_count(d: Draw) -> str:
    """Change objects of one colour by which or how many objects of another touch them, or change those."""
    a, b = d.colour(), d.colour()
    eight = d.weighted((2, ""), (1, EIGHT), (1, ", np.ones((5, 5))"))
    test = d.weighted(
        (2, f"len(u) > {d.small(1, 3)}"),
        (2, f"len(u) == {d.small(1, 3)}"),
        (2, "len(u) == 0"),
        (2, "len(u)"),
    )
    act = d.weighted(
        (3, f"g[l == i] = {d.paint_or_zero()}"),
        (2, f"g[np.isin(h, list(u))] = {d.paint_or_zero()}"),
        (2, f"g[np.isin(h, list(u))] = {a}"),
        (2 if test == "len(u)" else 0, "g[l == i] = g[h == min(u)][0]"),
    )
    second = d.weighted((3, f"g == {b}"), (5, f"(g > 0) & (g != {a})"))
    return (
        f"l, n = ndimage.label(g == {a})\nh, k = ndimage.label({second})\nfor i in range(1, n + 1):\n"
        f"    u = set(h[ndimage.binary_dilation(l == i{eight})]) - {{0}}\n    if {test}:\n        {act}"
    )


def chain(d: Draw) -> str:
    """Join objects or cells one after the other, in an order, by straight lines or corners."""
    paint = d.weighted((2, str(d.paint())), (1, "g[y, x]"))
    middle = "((y.start + y.stop) // 2, (x.start + x.stop) // 2)"
    spots = d.weighted(
        (3, f"s = np.argwhere(g == {d.colour()})"),
        (2, "s = np.argwhere(g > 0)"),
        (2, f"s = np.argwhere(g.T == {d.colour()})[:, ::-1]"),
        (4, f"{d.label()}\ns = [{middle} for y, x in ndimage.find_objects(l)]"),
    )
    down, across = "min(y, p) : max(y, p) + 1", "min(x, q) : max(x, q) + 1"
    act = d.weighted(
        (4, f"if y == p or x == q:\n        h = g[{down}, {across}]\n        h[h == 0] = {paint}"),
        (2, f"g[{down}, x] = {paint}\n    g[p, {across}] = {paint}"),
        (2, f"g[y, {across}] = {paint}\n    g[{down}, q] = {paint}"),
        (1, f"if g[y, x] == g[p, q]:\n        h = g[{down}, {across}]\n        h[h == 0] = {paint}"),
    )
    pairs = d.weighted((4, "zip(s, s[1:])"), (1, "zip(s[::2], s[1::2])"), (1, "zip(s, s[2:])"))
    return f"{spots}\nfor (y, x), (p, q) in {pairs}:\n    {act}"
