"""Idioms about objects, the connected components: choose one, paint them by a property, change each in its box.

Every function draws one step of a program as text.
"""

from soar.pretrain.arc.grammar_draw import EIGHT, Draw


def key(d: Draw) -> str:
    """Return an expression that objects are compared by; ``b`` is an object's box as a pair of slices."""
    return d.weighted(
        (3, "g[b].size"),
        (3, "(g[b] > 0).sum()"),
        (3, f"(g[b] == {d.colour()}).sum()"),
        (2, "len(np.unique(g[b]))"),
        (1, "(g[b] == 0).sum()"),
        (1, "(g[b] > 0).mean()"),
        (1, "b[0].start"),
        (1, "b[1].start"),
        (1, "g[b].max()"),
        (1, "len(g[b])"),
        (1.5, "(g[b].shape == g[b].T.shape) and (g[b] == g[b].T).all()"),
        (1.5, "(g[b] == g[b][:, ::-1]).all()"),
        (1, "(g[b] == g[b][::-1]).all()"),
        (1.5, "sum((l[b] > 0).tobytes() == (l[a] > 0).tobytes() for a in s)"),
        (1.5, "sum(g[b].tobytes() == g[a].tobytes() for a in s)"),
        (1.5, "sum(g[b].max() == g[a].max() for a in s)"),
    )


def choose(d: Draw) -> str:
    """Answer with the object that has the highest or lowest key."""
    eight = d.weighted((3, EIGHT), (2, ""), (1, ", np.ones((5, 5))"))
    things = d.things()
    if "5" in eight:
        start = f"l, n = ndimage.label(ndimage.binary_dilation({things}))"
    else:
        start = f"l, n = ndimage.label({things}{eight})"
    end = d.weighted(
        (6, "g = g[b]"),
        (1, "g = np.where(l == l[b].max(), g, 0)[b]"),
        (1, "g = g[b]\ng = g[1:-1, 1:-1]"),
        (0.5, "h = 0 * g\nh[b] = g[b]\ng = h"),
        (0.5, "g = np.array([[g[b].max()]])"),
    )
    return f"{start}\ns = ndimage.find_objects(l)\nb = {d.one('max', 'min')}(s, key=lambda b: {key(d)})\n{end}"


def choose_by_size(d: Draw) -> str:
    """Find the biggest or the smallest component and do something with its cells."""
    things = d.weighted((3, "g > 0"), (3, f"g == {d.colour()}"), (2, "g == 0"))
    which = d.weighted((4, "n.argmax()"), (2, "n.argmin()"))
    return f"{d.label(things)}\nn = np.bincount(l[l > 0])[1:]\nm = l == {which} + 1\n{d.use()}"


def by_size(d: Draw) -> str:
    """Paint or clear the components whose size passes a test."""
    things = d.weighted((3, "g > 0"), (4, f"g == {d.colour()}"), (2, "g == 0"))
    k = d.small(1, 8)
    test = d.weighted(
        (3, f"n > {k}"),
        (2, f"n == {k}"),
        (2, f"n < {k + 1}"),
        (2, "n == n[l > 0].max()"),
        (2, "n == n[l > 0].min()"),
        (1, "n % 2 == 0"),
    )
    paint = d.paint_or_zero()
    use = d.weighted(
        (5, f"g[(l > 0) & ({test})] = {paint}"),
        (2, f"g[l > 0] = np.where({test}, {paint}, {d.paint_or_zero()})[l > 0]"),
        (1, f"m = (l > 0) & ({test})\n{d.use()}"),
    )
    return f"{d.label(things)}\nn = np.bincount(l.ravel())[l]\n{use}"


def by_rank(d: Draw) -> str:
    """Paint components by the rank of their sizes."""
    things = d.weighted((2, "g > 0"), (4, f"g == {d.colour()}"))
    colours = ", ".join(str(d.paint()) for _ in range(4))
    sign = d.one("-", "")
    return (
        f"{d.label(things)}\nn = np.bincount(l.ravel())\nu = np.unique({sign}n[1:])\n"
        f"for i in range(1, len(n)):\n    g[l == i] = [{colours}][np.searchsorted(u, {sign}n[i]) % 4]"
    )


def by_order(d: Draw) -> str:
    """Paint components by their place in reading order."""
    colours = ", ".join(str(d.paint()) for _ in range(3))
    flipped = d.one("", ".T")
    things = d.weighted((2, "g > 0"), (4, f"g == {d.colour()}"), (1, "g == 0"))
    return (
        f"h = g{flipped}\nl, n = ndimage.label({things.replace('g', 'h')})\n"
        f"for i in range(n):\n    h[l == i + 1] = [{colours}][{d.one('i % 3', 'i % 2', 'min(i, 2)')}]"
    )


def condition(d: Draw) -> str:
    """Return a test of one object; ``m`` is its mask, ``b`` its box."""
    k = d.small(1, 8)
    return d.weighted(
        (2, f"m.sum() > {k}"),
        (2, f"m.sum() == {k}"),
        (2, f"m.sum() < {k + 1}"),
        (2, "m[b].all()"),
        (2, "not m[b].all()"),
        (2, "len(g[b]) == len(g[b][0])"),
        (2, "len(g[b]) > len(g[b][0])"),
        (1, "len(g[b]) < len(g[b][0])"),
        (2, "(ndimage.binary_fill_holes(m) > m).any()"),
        (1, "not (ndimage.binary_fill_holes(m) > m).any()"),
        (1, "(ndimage.binary_fill_holes(m) > m).sum() == " + str(d.small(1, 4))),
        (2, f"(g[b] == {d.colour()}).any()"),
        (1.5, f"(g[ndimage.binary_dilation(m)] == {d.colour()}).any()"),
        (1, f"(g[b] == {d.colour()}).sum() > {d.small(1, 3)}"),
        (1.5, "(m[b] == m[b][:, ::-1]).all()"),
        (1, "(m[b] == m[b][::-1]).all()"),
        (1, "b[0].start == 0"),
        (1, "b[0].stop == len(g)"),
        (1.5, "m[0].any() or m[-1].any() or m[:, 0].any() or m[:, -1].any()"),
        (1.5, "not (m[0].any() or m[-1].any() or m[:, 0].any() or m[:, -1].any())"),
        (0.7, f"len(g[b]) == {d.small(1, 4)}"),
        (0.7, "len(g[b]) % 2 == 0"),
    )


def paint_if(d: Draw) -> str:
    """Paint each object that passes a test."""
    things = d.weighted((3, "g > 0"), (4, f"g == {d.colour()}"), (2, "g == 0"))
    act = d.weighted(
        (6, f"g[m] = {d.paint_or_zero()}"),
        (1, f"g[b] = {d.paint_or_zero()}"),
        (2, f"g[ndimage.binary_fill_holes(m) & ~m] = {d.paint()}"),
        (1, f"g[ndimage.binary_dilation(m{EIGHT}) & ~m] = {d.paint()}"),
        (1, f"g[b][g[b] == 0] = {d.paint()}"),
    )
    test = condition(d)
    if d.chance(0.2):
        test = f"{test} and {condition(d)}"
    other = ""
    if d.chance(0.25):
        other = f"\n    else:\n        g[m] = {d.paint_or_zero()}"
    return (
        f"{d.label(things)}\nfor i, b in enumerate(ndimage.find_objects(l), 1):\n    m = l == i\n"
        f"    if {test}:\n        {act}{other}"
    )


def colour_within(d: Draw) -> str:
    """Give each object one colour that it holds or touches."""
    c = d.colour()
    choice = d.weighted(
        (3, "g[m].max()"),
        (2, "g[m].min()"),
        (2, "np.bincount(g[m]).argmax()"),
        (2, "g[ndimage.binary_dilation(m)].max()"),
        (1, f"g[m][g[m] != {c}].max(initial=0)"),
        (1, "n[i] % 10"),
    )
    count = "\nn = np.bincount(l.ravel())" if "n[i]" in choice else ""
    loop = f"for i in range(1, {'len(n)' if count else 'n + 1'}):"
    where = d.weighted((4, "g[m]"), (1, f"g[m & (g == {c})]"), (1, f"g[m & (g != {c})]"))
    return (
        f"{d.label(d.weighted((3, 'g > 0'), (1, f'g != {c}')))}{count}\n{loop}\n    m = l == i\n    {where} = {choice}"
    )


def boxes(d: Draw) -> str:
    """Change each object within its bounding box: fill, frame, hollow, flip."""
    c = d.paint()
    act = d.weighted(
        (4, f"h[h == 0] = {c}"),
        (1, f"h[h == {d.colour()}] = {d.paint_or_zero()}"),
        (2, f"h[:] = {c}"),
        (2, "h[:] = h[:, ::-1]"),
        (2, "h[:] = h[::-1]"),
        (1, "h[:] = h[::-1, ::-1]"),
        (2, f"h[1:-1, 1:-1] = {d.paint_or_zero()}"),
        (1, f"h[[0, -1]] = {c}\n    h[:, [0, -1]] = {c}"),
        (1, f"h[[0, 0, -1, -1], [0, -1, 0, -1]] = {d.paint_or_zero()}"),
        (1.5, "h[:] = np.maximum(h, h[:, ::-1])"),
        (1, "h[:] = np.maximum(h, h[::-1])"),
        (1, "h[:] = np.maximum(h, np.maximum(h[::-1], h[:, ::-1]))"),
        (1, "h[:] = np.bincount(h[h > 0]).argmax()"),
        (1, "h[h == 0] = np.bincount(h[h > 0]).argmin()"),
        (1.5, "u = np.unique(h[h > 0])[[0, -1]]\n    h[:] = np.where(h == u[0], u[1], np.where(h == u[1], u[0], h))"),
        (1, f"h[::2] = {d.paint_or_zero()}"),
        (1, f"h[:, 1::2] = {d.paint_or_zero()}"),
        (1, f"h[len(h) // 2] = {c}"),
        (1, f"h[:, len(h[0]) // 2] = {c}"),
        (1, f"h[: len(h) // 2] = {d.paint_or_zero()}"),
        (1, f"h[:, : len(h[0]) // 2] = {d.paint_or_zero()}"),
    )
    return f"{d.label()}\nfor b in ndimage.find_objects(l):\n    h = g[b]\n    {act}"


def boxes_bigger(d: Draw) -> str:
    """Paint the surroundings of each object's box, or the lines that cross the grid through it."""
    c = d.paint()
    act = d.weighted(
        (3, f"h = g[max(y.start - 1, 0) : y.stop + 1, max(x.start - 1, 0) : x.stop + 1]\n    h[h == 0] = {c}"),
        (2, f"h = g[y]\n    h[h == 0] = {c}"),
        (2, f"h = g[:, x]\n    h[h == 0] = {c}"),
        (
            2,
            "h = g[:, x] if y.stop - y.start > x.stop - x.start else g[y]\n"
            f"    h[h == 0] = {d.weighted((1, str(c)), (1, 'g[y, x].max()'))}",
        ),
        (1, f"h = g[y, x.stop :]\n    h[h == 0] = {c}"),
        (1, f"h = g[y.stop :, x]\n    h[h == 0] = {c}"),
        (1, f"h = g[y.start + 1 : y.stop - 1]\n    h[h == 0] = {c}"),
        (1, f"h = g[:, x.start + 1 : x.stop - 1]\n    h[h == 0] = {c}"),
    )
    return f"{d.label()}\nfor y, x in ndimage.find_objects(l):\n    {act}"


def count_objects(d: Draw) -> str:
    """Answer with one cell for each object."""
    k = d.weighted((3, 3), (1, 2), (1, 5))
    c = d.number()
    shape = d.weighted(
        (3, f"g = np.full((1, n), {c})"),
        (1, f"g = np.full((n, 1), {c})"),
        (2, f"g = np.eye(n, dtype=int) * {c}"),
        (2, f"c = {c}\ng = np.zeros(({k}, {k}), int)\ng.flat[:n] = c"),
        (2, f"c = {c}\ng = np.zeros((1, {d.one(3, 5, 9)}), int)\ng.flat[:n] = c"),
        (1, f"c = {c}\ng = np.zeros(({k}, {k}), int)\ng.flat[: 2 * n : 2] = c"),
    )
    return f"{d.label()}\n{shape}"


def most_objects(d: Draw) -> str:
    """Answer with the colour that has the most or fewest objects."""
    form = d.weighted((3, "g = np.array([[c]])"), (1, "g[g != c] = 0"), (1, "g[:] = c"))
    eight = d.weighted((1, ""), (1, EIGHT))
    return (
        f"u = np.unique(g[g > 0])\nc = {d.one('max', 'min')}(u, key=lambda c: ndimage.label(g == c{eight})[1])\n{form}"
    )


def in_a_row(d: Draw) -> str:
    """Put the objects, or their colours, beside each other in an order."""
    order = d.weighted(
        (2, "b[1].start"), (1, "b[0].start"), (2, "(g[b] > 0).sum()"), (1, "-(g[b] > 0).sum()"), (1, "g[b].max()")
    )
    end = d.weighted(
        (3, "g = np.hstack([g[b] for b in s])"),
        (2, "g = np.vstack([g[b] for b in s])"),
        (1, "g = np.array([[g[b].max() for b in s]])"),
        (1, "g = np.array([[g[b].max()] for b in s])"),
    )
    return f"{d.label()}\ns = sorted(ndimage.find_objects(l), key=lambda b: {order})\n{end}"


def overlay_objects(d: Draw) -> str:
    """Lay all objects, equal in size, over each other; or answer with the n-th in an order."""
    order = d.weighted((1, "b[0].start"), (1, "b[1].start"), (2, "(g[b] > 0).sum()"), (1, "len(np.unique(g[b]))"))
    start = f"{d.label()}\ns = sorted(ndimage.find_objects(l), key=lambda b: {order})\n"
    return start + d.weighted((2, "g = np.max([g[b] for b in s], 0)"), (3, f"g = g[s[{d.one(0, 1, -1, -2)}]]"))


def crop_mask(d: Draw) -> str:
    """Crop to a mask, or to what lies within."""
    y = d.weighted(
        (5, "y.min() : y.max() + 1, x.min() : x.max() + 1"), (2, "y.min() + 1 : y.max(), x.min() + 1 : x.max()")
    )
    what = d.weighted(
        (4, f"g == {d.colour()}"),
        (3, "g > 0"),
        (1, f"g != {d.colour()}"),
        (1, "g != g[0, 0]"),
        (1, "g != np.bincount(g.ravel()).argmax()"),
    )
    return f"y, x = np.where({what})\ng = g[{y}]"


def colour_boxes(d: Draw) -> str:
    """For each colour, do something in the bounding box of its cells."""
    act = d.weighted(
        (3, "h[h == 0] = c"),
        (1, "h[:] = c"),
        (2, "h[[0, -1]] = c\n    h[:, [0, -1]] = c"),
        (1, f"h[h == 0] = {d.paint()}"),
        (1, f"h[h != c] = {d.paint_or_zero()}"),
    )
    return (
        "for c in np.unique(g[g > 0]):\n    y, x = np.where(g == c)\n"
        f"    h = g[y.min() : y.max() + 1, x.min() : x.max() + 1]\n    {act}"
    )


def choose_colour_box(d: Draw) -> str:
    """Crop to the box of the colour that has the highest or lowest key."""
    keys = (
        (3, "(g == c).sum()"),
        (2, "np.prod(np.ptp(np.argwhere(g == c), 0) + 1)"),
        (1, "c"),
        (1, "np.ptp(np.argwhere(g == c), 0).sum()"),
    )
    inner = d.weighted(
        (3, "y.min() : y.max() + 1, x.min() : x.max() + 1"), (1, "y.min() + 1 : y.max(), x.min() + 1 : x.max()")
    )
    return (
        f"c = {d.one('max', 'min')}(np.unique(g[g > 0]), key=lambda c: {d.weighted(*keys)})\n"
        f"y, x = np.where(g == c)\ng = g[{inner}]"
    )


def for_each_colour(d: Draw) -> str:
    """For each colour, paint a mask made from its cells in that colour."""
    m = d.weighted(
        (2, "ndimage.binary_fill_holes(m)"),
        (2, f"ndimage.binary_dilation(m{d.weighted((1, ''), (1, EIGHT))})"),
        (2, "m.any(1)[:, None] & (m.sum(1) > 1)[:, None]"),
        (2, "m.any(0)[None] & (m.sum(0) > 1)"),
        (2, "m.any(1)[:, None] & m.any(0)"),
        (1, "m.any(1)[:, None] | m.any(0)"),
        (1, "m | m[::-1]"),
        (1, "m | m[:, ::-1]"),
    )
    paint = d.weighted((4, "c"), (1, str(d.paint())))
    return f"for c in np.unique(g[g > 0]):\n    m = g == c\n    m = {m}\n    g[m & (g == 0)] = {paint}"


def copy_shape(d: Draw) -> str:
    """Copy one object, chosen by a key, to the places of marked cells or of other objects."""
    c = d.colour()
    which = d.weighted((3, "max"), (1, "min"))
    by = d.weighted((3, "(g[b] > 0).sum()"), (2, "len(np.unique(g[b]))"))
    return (
        f"l, n = ndimage.label(g > 0{EIGHT})\nb = {which}(ndimage.find_objects(l), key=lambda b: {by})\n"
        f"h = g[b].copy()\na, k = len(h) // 2, len(h[0]) // 2\nfor y, x in np.argwhere(g == {c}):\n"
        "    if y >= a and x >= k:\n        b = g[y - a : y - a + len(h), x - k : x - k + len(h[0])]\n"
        "        b[:] = np.maximum(b, h[: len(b), : len(b[0])])"
    )


def touching(d: Draw) -> str:
    """Paint objects of one colour that touch another colour, or that do not."""
    a, b = d.colour(), d.colour()
    eight = d.weighted((1, ""), (1, EIGHT))
    m = f"m = ndimage.binary_propagation((g == {b}){eight}, mask=(g == {a}) | (g == {b}))"
    use = d.weighted((3, f"g[m & (g == {a})] = {d.paint_or_zero()}"), (2, f"g[~m & (g == {a})] = {d.paint_or_zero()}"))
    return f"{m}\n{use}"
