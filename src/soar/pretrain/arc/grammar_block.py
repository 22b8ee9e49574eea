"""Idioms about halves, blocks and separating lines: overlay them, choose one, make one cell of each.

Every function draws one step of a program as text.
"""

from soar.pretrain.arc.grammar_draw import Draw

LOGIC = (
    (4, "{a} & {b}"),
    (3, "{a} | {b}"),
    (3, "{a} ^ {b}"),
    (1, "{a} & ~{b}"),
    (1, "~{a} & {b}"),
)
"""How two masks are combined, with weights."""


def split_two(d: Draw) -> str:
    """Return the statement that takes the two halves ``a, b``, whatever lies between them."""
    return d.one(
        "k = len(g) // 2\na, b = g[:k], g[-k:]",
        "k = len(g[0]) // 2\na, b = g[:, :k], g[:, -k:]",
    )


def combine_halves(d: Draw) -> str:
    """Combine two halves by logic into one colour."""
    test = d.weighted((5, "> 0"), (1, "== 0"), (1, f"== {d.colour()}"))
    if test == "== 0" or d.chance(0.25):
        operation = d.one("(a == 0) & (b == 0)", "(a == 0) | (b == 0)", "a == b", "(a > 0) == (b > 0)")
    else:
        operation = d.weighted(*LOGIC).format(a=f"(a {test})", b=f"(b {test})")
    return f"{split_two(d)}\ng = np.where({operation}, {d.paint()}, {d.weighted((8, 0), (1, d.paint()))})"


def overlay_halves(d: Draw) -> str:
    """Lay one half over the other."""
    return split_two(d) + d.weighted(
        (3, "\ng = np.where(a > 0, a, b)"),
        (3, "\ng = np.where(b > 0, b, a)"),
        (1, f"\ng = np.where(a == {d.colour()}, b, a)"),
        (1, f"\ng = np.where(b == {d.colour()}, a, b)"),
        (1, "\ng = np.where(a == b, a, 0)"),
    )


def copy_half(d: Draw) -> str:
    """Write one half onto the other, mirrored or not."""
    flip_y, flip_x = d.weighted((3, "[::-1]"), (1, "")), d.weighted((3, "[:, ::-1]"), (1, ""))
    return d.one(
        f"k = len(g) // 2\ng[-k:] = g[:k]{flip_y}",
        f"k = len(g) // 2\ng[:k] = g[-k:]{flip_y}",
        f"k = len(g[0]) // 2\ng[:, -k:] = g[:, :k]{flip_x}",
        f"k = len(g[0]) // 2\ng[:, :k] = g[:, -k:]{flip_x}",
    )


def split_list(d: Draw) -> str:
    """Return the statement that makes a list ``b`` of equal parts, in reading order."""
    k = d.weighted((3, 3), (2, 2), (1, 4))
    n = f"n = len(g{d.one('', '[0]')}) // {k}"
    rows = "b = [g[i : i + n] for i in range(0, len(g) - n + 1, n)]"
    across = "for i in range(0, len(g) - n + 1, n) for j in range(0, len(g[0]) - n + 1, n)"
    squares = "for i in range(0, len(g), k) for j in range(0, len(g[0]), k)"
    columns = "b = [g[:, i : i + n] for i in range(0, len(g[0]) - n + 1, n)]"
    return d.weighted(
        (2, f"k = min(g.shape)\nb = [g[i : i + k, j : j + k] {squares}]"),
        (1, f"n = len(g) // {k}\n{rows}"),
        (1, f"n = len(g[0]) // {k}\n{columns}"),
        (1, f"{n}\nb = [g[i : i + n, j : j + n] {across}]"),
        (2, "a, k = len(g) // 2, len(g[0]) // 2\nb = [g[:a, :k], g[:a, -k:], g[-a:, :k], g[-a:, -k:]]"),
    )


def choose_part(d: Draw) -> str:
    """Keep the part, of equal ones, with the highest or lowest key, or unlike the others."""
    key = d.weighted(
        (3, "(x > 0).sum()"),
        (2, f"(x == {d.colour()}).sum()"),
        (1.5, "len(np.unique(x))"),
        (1, "(x == x.T).all()"),
        (1, "(x == x[:, ::-1]).all()"),
        (2, "sum((x == y).all() for y in b)"),
        (1, "sum(((x > 0) == (y > 0)).all() for y in b)"),
    )
    return f"{split_list(d)}\ng = {d.one('max', 'min')}(b, key=lambda x: {key})"


def overlay_parts(d: Draw) -> str:
    """Lay equal parts over each other, the later ones or the earlier ones on top."""
    order = d.weighted((2, "b"), (3, "b[::-1]"), (2, "[b[{}], b[{}], b[{}], b[{}]]"))
    if "{" in order:
        left = [0, 1, 2, 3]
        order = order.format(*(left.pop(d.one(*range(len(left)))) for _ in range(4)))
        split = "a, k = len(g) // 2, len(g[0]) // 2\nb = [g[:a, :k], g[:a, -k:], g[-a:, :k], g[-a:, -k:]]"
    else:
        split = split_list(d)
    return f"{split}\ng = b[0]\nfor x in {order}:\n    g = np.where(x > 0, x, g)"


def thirds(d: Draw) -> str:
    """Combine three parts, cell by cell."""
    a, b = d.one("a", "b", "c"), d.one("b", "c")
    split = d.one("k = len(g) // 3\na, b, c = g[:k], g[k : 2 * k], g[-k:]", "a, b, c = np.array_split(g, 3, 1)")
    return split + d.weighted(
        (2, f"\ng = np.where({a} > 0, {a}, {b})"),
        (1, f"\ng = np.where((a > 0) & (b > 0) & (c > 0), {d.paint()}, 0)"),
        (2, "\ng = np.where(a > 0, a, np.where(b > 0, b, c))"),
        (1, f"\ng = np.where((a > 0) & (b > 0), {d.paint()}, c)"),
    )


def lattice(d: Draw) -> str:
    """Return the statements that number the rows and columns of blocks between lines of a colour: ``y``, ``x``."""
    c = d.weighted((5, str(d.colour())), (1, "c"))
    start = "c = g[(g == g[:, :1]).all(1)][0, 0]\n" if c == "c" else ""
    return f"{start}m = g == {c}\ny = np.cumsum(m.all(1))[:, None]\nx = np.cumsum(m.all(0))"


def cell_per_block(d: Draw) -> str:
    """Make one cell of each block between lines."""
    value = d.weighted((4, "g * ~m"), (1, f"(g == {d.colour()}) * {d.paint()}"))
    return f"{lattice(d)}\nh = np.zeros((y[-1, 0] + 1, x[-1] + 1), int)\nnp.maximum.at(h, (y, x), {value})\ng = h"


def fill_blocks(d: Draw) -> str:
    """Paint each block between lines by what it holds."""
    key = d.weighted((3, f"(g[b] == {d.colour()}).sum()"), (2, "(g[b] > 0).sum()"))
    test = d.weighted(
        (3, f"{key} > {d.small(0, 4)}"),
        (1, f"{key} == {d.small(0, 5)}"),
    )
    fill = d.weighted((3, str(d.paint_or_zero())), (2, "g[b].max()"))
    other = d.weighted((3, ""), (2, "\n    else:\n        g[b] = 0"))
    return (
        f"l, n = ndimage.label(g != {d.colour()})\nfor b in ndimage.find_objects(l):\n"
        f"    if {test}:\n        g[b] = {fill}{other}"
    )


def fill_most_block(d: Draw) -> str:
    """Paint the blocks that hold the most or least of something; clear or keep the others."""
    key = d.weighted((2, "(g[b] > 0).sum()"), (2, f"(g[b] == {d.colour()}).sum()"), (1, "len(np.unique(g[b]))"))
    fill = d.weighted((2, str(d.paint())), (2, "g[b].max()"))
    other = d.weighted((2, "0"), (1, "g[b]"))
    return (
        f"l, n = ndimage.label(g != {d.colour()})\ns = ndimage.find_objects(l)\nk = [{key} for b in s]\n"
        f"for b, i in zip(s, k):\n    g[b] = {fill} if i == {d.weighted((3, 'max'), (1, 'min'))}(k) else {other}"
    )


def shared_blocks(d: Draw) -> str:
    """Give all blocks between lines what any block holds."""
    c = d.colour()
    return (
        f"l, n = ndimage.label(g != {c})\ns = ndimage.find_objects(l)\nh = np.max([g[b] for b in s], 0)\n"
        "for b in s:\n    g[b] = h"
    )


def colour_per_block(d: Draw) -> str:
    """Paint blocks in alternating colours."""
    order = d.one("i % 2", "i % 3", "i // 3", "i", "i // 2")
    colours = [d.paint() for _ in range(3)]
    return (
        f"l, n = ndimage.label({d.weighted((2, f'g == {d.colour()}'), (1, 'g == 0'))})\n"
        f"for i in range(n):\n    g[l == i + 1] = {colours}[{order} % 3]"
    )


def copy_to_empty(d: Draw) -> str:
    """Fill the empty half from the other one, mirrored or not."""
    return d.one(
        "k = len(g) // 2\nh = np.maximum(g[:k], g[-k:])\ng[:k] = h\ng[-k:] = h",
        "k = len(g[0]) // 2\nh = np.maximum(g[:, :k], g[:, -k:])\ng[:, :k] = h\ng[:, -k:] = h",
        "k = len(g) // 2\nh = np.maximum(g[:k], g[-k:][::-1])\ng[:k] = h\ng[-k:] = h[::-1]",
        "k = len(g[0]) // 2\nh = np.maximum(g[:, :k], g[:, -k:][:, ::-1])\ng[:, :k] = h\ng[:, -k:] = h[:, ::-1]",
    )
