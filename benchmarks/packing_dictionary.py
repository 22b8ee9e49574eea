"""How `soar/archive/packing.zdict` was made: the dictionary that short texts in an archive are compressed with.

``python -m benchmarks.packing_dictionary OUT`` trains one on what the package has of the kinds that a run stores: its
own functions, phrases of programs as models write them, paragraphs of its guides, and outputs of tasks that no
benchmark uses; and prints what it is worth on `programs.jsonl`, of which it has seen nothing. An archive is read with
the dictionary that it was written with: another one belongs beside the first, never in its place.
"""

import ast
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path

from zstandard import ZstdCompressionDict, ZstdCompressor, train_dictionary

from soar.domains.arc.domain import Arc
from soar.types import canonical_json

ROOT = Path(__file__).parents[1]
SIZE, LEVEL = 8192, 3
PHRASES = '''
    raise ValueError(    assert     print(    with     lambda x:     yield     except:
import math
import re
import numpy as np
from scipy.ndimage import label
from scipy import ndimage
from functools import lru_cache, reduce
from itertools import combinations, permutations, product
from collections import Counter, defaultdict, deque
    if isinstance(x, list):
    return "".join(str(x) for x in text.split())
    try:
        pass
    except Exception:
    elif n % 2 == 0 and n > 1:
    total += sum(values) // len(values)
    best = max(groups, key=lambda item: (len(item), -item[0]))
    items = sorted(set(items), key=lambda item: item[1], reverse=True)
    a, b = b, a + b
    array = np.array(values)
    mask = np.zeros_like(array, dtype=int)
    rows, cols = array.shape
    return array.tolist()
    counts = Counter(value for row in values for value in row)
    most = counts.most_common(1)[0][0]
    height, width = len(values), len(values[0])
    out = [[0 for _ in range(width)] for _ in range(height)]
    output = [[0] * cols for _ in range(rows)]
    result = [row[:] for row in values]
    return [list(row) for row in zip(*values[::-1])]
    return [row[::-1] for row in values]
    min_r, max_r = min(r for r, c in cells), max(r for r, c in cells)
    for y in range(height):
        for x in range(width):
            if values[y][x] != 0:
                result[y][x] = values[y][x]
    for i in range(len(values)):
        for j in range(i + 1, len(values)):
    for key, value in enumerate(values):
        groups.setdefault(value, []).append(key)
    objects = []
    visited = set()
    seen = [[False] * cols for _ in range(rows)]
                queue = deque([(r, c)])
                stack = [(r, c)]
                while stack:
                    x, y = stack.pop()
                    for dx, dy in [(-1, 0), (1, 0), (0, -1), (0, 1)]:
                    for dr, dc in ((0, 1), (1, 0), (0, -1), (-1, 0)):
                        nr, nc = r + dr, c + dc
                        if 0 <= nr < rows and 0 <= nc < cols and (nr, nc) not in visited:
                            visited.add((nr, nc))
                            stack.append((nr, nc))
                            continue
                            break
    """Return the
    # Find the
    # Create a new
    # If there is no
def solve(
def transform(values):
    if not values or not values[0]:
        return values
    result = []
    rows, cols = len(values), len(values[0])
    for r in range(rows):
        for c in range(cols):
            if values[r][c] == 0:
                result.append(values[r][c])
    return result
'''


def functions() -> Iterator[str]:
    """Yield the functions of the package and of its tests."""
    for file in sorted([*ROOT.glob("src/**/*.py"), *ROOT.glob("tests/**/*.py"), *ROOT.glob("experiments/*.py")]):
        source = file.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)):
            found = ast.get_source_segment(source, node) if isinstance(node, ast.FunctionDef) else None
            if found and 200 < len(found) < 3000:
                yield found


def samples(chance: random.Random) -> Iterator[str]:
    """Yield texts like those that a run stores."""
    yield from functions()
    lines = PHRASES.strip("\n").split("\n")
    yield from ("\n".join(chance.sample(lines, 12)) for _ in range(2000))
    measured = {task.id for task in Arc().load("arc1-training")}
    tasks = [task for task in Arc().load("arc2-training") if task.id not in measured]
    yield from [canonical_json(pair.output) for task in tasks for pair in task.train][:300]
    for file in sorted(ROOT.glob("docs/*.md")):
        yield from (text for text in file.read_text(encoding="utf-8").split("\n\n") if 200 < len(text) < 1500)


def main() -> None:
    chance = random.Random(0)
    trained = train_dictionary(SIZE, [text.encode() for text in samples(chance)], level=LEVEL).as_bytes()
    Path(sys.argv[1]).write_bytes(trained)
    lines = (ROOT / "benchmarks" / "programs.jsonl").read_text(encoding="utf-8").splitlines()
    programs = [json.loads(line)["code"].encode() for line in lines]
    for name, by in (("alone", None), ("with the dictionary", ZstdCompressionDict(trained))):
        compress = ZstdCompressor(level=LEVEL, dict_data=by) if by else ZstdCompressor(level=LEVEL)
        size = sum(len(compress.compress(code)) for code in programs) / len(programs)
        print(f"a program of {sum(map(len, programs)) / len(programs):.0f} bytes takes {size:.0f} {name}")


if __name__ == "__main__":
    main()
