"""Programs to measure and test the sandbox with: the text of 320 of them, drawn from pieces written for this purpose.

Knows nothing of ARC tasks; the programs do what a model's programs do (loops, NumPy, labelling, flood fill, classes,
searches), on grids drawn here. `python -m benchmarks.programs` writes `programs.jsonl` beside this file.
"""

import json
from pathlib import Path

import numpy as np

FILE = Path(__file__).with_name("programs.jsonl")
LIGHT, HEAVY, TASKS = 160, 160, 20

Grid = tuple[tuple[int, ...], ...]

# Pieces: text of a function `NAME(grid)` from a list of lists to a list of lists. {a}, {b}, {k} are drawn.
PIECES = {
    "recolour": """
def recolour(grid):
    # Exchange colour {a} for colour {b}, keep everything else.
    return [[{b} if cell == {a} else cell for cell in row] for row in grid]
""",
    "mirror": """
def mirror(grid):
    \"\"\"Append the mirror image on the right, cut at 30 columns.\"\"\"
    result = []
    for row in grid:
        doubled = list(row) + list(reversed(row))
        result.append(doubled[:30])
    return result
""",
    "gravity": """
def gravity(grid):
    height, width = len(grid), len(grid[0])
    out = [[0] * width for _ in range(height)]
    for x in range(width):
        column = [grid[y][x] for y in range(height) if grid[y][x] != 0]
        for i, value in enumerate(reversed(column)):
            out[height - 1 - i][x] = value
    return out
""",
    "crop": """
def crop(grid):
    arr = np.array(grid)
    ys, xs = np.nonzero(arr)
    if len(ys) == 0:
        return grid
    return arr[ys.min():ys.max() + 1, xs.min():xs.max() + 1].tolist()
""",
    "largest": """
def largest(grid):
    arr = np.array(grid)
    labels, count = ndimage.label(arr > 0)
    if count == 0:
        return grid
    sizes = np.bincount(labels.ravel())[1:]
    keep = labels == int(np.argmax(sizes)) + 1
    return np.where(keep, arr, 0).tolist()
""",
    "outline": """
def outline(grid):
    height, width = len(grid), len(grid[0])
    out = [row[:] for row in grid]
    for y in range(height):
        for x in range(width):
            if grid[y][x] == 0:
                for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
                    ny, nx = y + dy, x + dx
                    if 0 <= ny < height and 0 <= nx < width and grid[ny][nx] == {a}:
                        out[y][x] = {b}
    return out
""",
    "roll": """
def roll(grid):
    arr = np.array(grid)
    shifted = np.roll(arr, {k}, axis=1)
    return np.where(shifted == {a}, {b}, shifted).tolist()
""",
    "counts": """
def counts(grid):
    seen = Counter(cell for row in grid for cell in row)
    order = [colour for colour, _ in sorted(seen.items(), key=lambda item: (-item[1], item[0]))]
    palette = {{colour: order[(i + {k}) % len(order)] for i, colour in enumerate(order)}}
    return [[palette[cell] for cell in row] for row in grid]
""",
    "transpose": """
def transpose(grid):
    return [list(column) for column in zip(*grid)]
""",
    "flood": """
def flood(grid):
    height, width = len(grid), len(grid[0])
    out = [row[:] for row in grid]
    stack = [(0, 0)]
    start = grid[0][0]
    seen = set(stack)
    while stack:
        y, x = stack.pop()
        out[y][x] = {b}
        for ny, nx in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
            if 0 <= ny < height and 0 <= nx < width and (ny, nx) not in seen and grid[ny][nx] == start:
                seen.add((ny, nx))
                stack.append((ny, nx))
    return out
""",
    "holes": """
def holes(grid):
    arr = np.array(grid)
    filled = ndimage.binary_fill_holes(arr == {a})
    arr[filled & (arr == 0)] = {b}
    return arr.tolist()
""",
    "tiles": """
def tiles(grid):
    arr = np.array(grid)[:10, :10]
    return np.tile(arr, (2, 3)).tolist()
""",
    "shapes": """
class Shape:
    def __init__(self, colour, cells):
        self.colour = colour
        self.cells = cells

    def top(self):
        return min(y for y, _ in self.cells)


def shapes(grid):
    found = defaultdict(list)
    for y, row in enumerate(grid):
        for x, cell in enumerate(row):
            if cell:
                found[cell].append((y, x))
    out = [[0] * len(grid[0]) for _ in grid]
    for shape in sorted((Shape(c, cells) for c, cells in found.items()), key=lambda s: (s.top(), s.colour)):
        for y, x in shape.cells:
            out[y - shape.top()][x] = shape.colour
    return out
""",
    "lines": """
def lines(grid):
    out = [list(row) for row in grid]
    for y, row in enumerate(grid):
        marks = [x for x, cell in enumerate(row) if cell == {a}]
        if len(marks) >= 2:
            for x in range(marks[0], marks[-1] + 1):
                if out[y][x] == 0:
                    out[y][x] = {b}
    return out
""",
    "grow": """
def grow(grid):
    arr = np.array(grid)
    for _ in range({k}):
        wide = ndimage.binary_dilation(arr == {a})
        arr = np.where(wide & (arr == 0), {b}, arr)
    return arr.tolist()
""",
}
# Pieces that take their time, in {n} rounds.
SLOW = {
    "automaton": """
def automaton(grid):
    height, width = len(grid), len(grid[0])
    state = [row[:] for row in grid]
    for _ in range({n}):
        new = [[0] * width for _ in range(height)]
        for y in range(height):
            for x in range(width):
                total = state[y][(x + 1) % width] + state[y][x - 1] + state[(y + 1) % height][x] + state[y - 1][x]
                new[y][x] = (state[y][x] + total * {k}) % 10
        state = new
    return state
""",
    "distances": """
def distances(grid):
    cells = [(y, x) for y, row in enumerate(grid) for x, cell in enumerate(row) if cell]
    out = [row[:] for row in grid]
    for _ in range({n}):
        for y, row in enumerate(grid):
            for x, cell in enumerate(row):
                if cell == 0 and cells:
                    nearest = min(abs(y - cy) + abs(x - cx) for cy, cx in cells[:12])
                    out[y][x] = nearest % 10
    return out
""",
    "symmetry": """
def symmetry(grid):
    arr = np.array(grid)
    best, score = arr, -1
    for _ in range({n}):
        for shift in range(-5, 6):
            for flip in (np.fliplr, np.flipud, np.rot90):
                moved = np.roll(flip(arr), shift, axis=0)
                if moved.shape == arr.shape:
                    same = int((moved == arr).sum())
                    if same > score:
                        best, score = moved, same
    return np.maximum(best, arr).tolist()
""",
    "majority": """
def majority(grid):
    height, width = len(grid), len(grid[0])
    out = []
    for y in range(height):
        row = []
        for x in range(width):
            around = [grid[j][i] for j in range(max(0, y - 1), min(height, y + 2))
                      for i in range(max(0, x - 1), min(width, x + 2))]
            row.append(max(set(around), key=lambda c: (around.count(c), -c)))
        out.append(row)
    return out
""",
    "paths": """
def paths(grid):
    height, width = len(grid), len(grid[0])
    out = [row[:] for row in grid]
    for start in range({n}):
        queue = deque([(start % height, 0)])
        far = {{(start % height, 0): 0}}
        while queue:
            y, x = queue.popleft()
            for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
                step = (y + dy, x + dx)
                if 0 <= step[0] < height and 0 <= step[1] < width and step not in far:
                    if grid[step[0]][step[1]] != {a}:
                        far[step] = far[(y, x)] + 1
                        queue.append(step)
        for (y, x), d in far.items():
            if d % 7 == start % 7:
                out[y][x] = {b}
    return out
""",
}
HEADERS = {
    "np": "import numpy as np",
    "ndimage": "from scipy import ndimage",
    "Counter": "from collections import Counter",
    "defaultdict": "from collections import defaultdict",
    "deque": "from collections import deque",
}


def draw_program(rng: np.random.Generator, *, slow: int) -> str:
    """Return a program of one to three pieces, `slow` of them slow ones."""
    names = [str(name) for name in rng.permutation(sorted(PIECES))[: int(rng.integers(1, 3 + (slow == 0)))]]
    pieces = [(name, PIECES[name]) for name in names]
    pieces += [(str(name), SLOW[str(name)]) for name in rng.permutation(sorted(SLOW))[:slow]]
    text = ""
    for _, piece in pieces:
        a, b = (int(x) for x in rng.choice(10, size=2, replace=False))
        rounds = int(rng.integers(1, 9)) if slow else 1
        text += piece.format(a=a, b=b, k=int(rng.integers(1, 4)), n=rounds) + "\n"
    headers = "\n".join(line for name, line in HEADERS.items() if name in text)
    body = "\n".join(f"    grid = {name}(grid)" for name, _ in pieces)
    return f"{headers}\n{text}\ndef transform(grid):\n{body}\n    return grid\n".lstrip()


def draw_inputs(rng: np.random.Generator) -> tuple[Grid, ...]:
    """Return the four inputs of a made-up task: sparse grids of 6 to 20 cells a side."""
    grids = []
    for _ in range(4):
        height, width = (int(x) for x in rng.integers(6, 21, size=2))
        cells = rng.integers(0, 10, size=(height, width)) * (rng.random((height, width)) < 0.35)
        grids.append(tuple(tuple(int(cell) for cell in row) for row in cells))
    return tuple(grids)


def draw_tasks() -> list[tuple[Grid, ...]]:
    """Return the inputs of the made-up tasks that the programs run on."""
    rng = np.random.default_rng(30)
    return [draw_inputs(rng) for _ in range(TASKS)]


def read_programs(shift: int = 0) -> list[dict]:
    """Return the programs in the repo: name, light or not, code, inputs; with `shift`, the inputs of another task."""
    tasks = draw_tasks()
    entries = [json.loads(line) for line in FILE.read_text().splitlines()]
    return [{**entry, "inputs": tasks[(entry["task"] + shift) % TASKS]} for entry in entries]


def write_programs() -> None:
    """Draw all programs and write them; the same every time."""
    rng = np.random.default_rng(20)
    seen: set[str] = set()
    lines = []
    for place in range(LIGHT + HEAVY):
        light = place < LIGHT
        code = draw_program(rng, slow=0 if light else int(rng.integers(1, 3)))
        while code in seen:
            code = draw_program(rng, slow=0 if light else int(rng.integers(1, 3)))
        seen.add(code)
        entry = {"name": f"{place:03d}", "light": light, "code": code, "task": place % TASKS}
        lines.append(json.dumps(entry, separators=(",", ":")))
    FILE.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    write_programs()
