"""Runs every hostile program between two good ones and says what went wrong: nothing, it must be.

A script of its own (`python contained.py`), so that any Python and any user can run it: standard library, NumPy, SciPy.
"""

import asyncio
import json
import os
import random
import resource
import sys
import warnings
from pathlib import Path

from hostile import HOSTILE

from soar.execution import open_sandbox
from soar.types import Execution, Failure

GRID = ((1, 2), (3, 4))
GOOD = "def transform(grid):\n    return [row[::-1] for row in grid]"
MIRRORED = ((2, 1), (4, 3))
EVIL = "soar-evil*"


def descendants(pid: int | None = None) -> set[int]:
    """Return the processes that this one has started, and they."""
    found: set[int] = set()
    try:
        for task in Path(f"/proc/{pid or os.getpid()}/task").glob("*/children"):
            children = {int(child) for child in task.read_text().split()}
            found |= children.union(*map(descendants, children))
    except OSError:
        pass  # a process that has ended meanwhile
    return found


def complaint(name: str, execution: Execution) -> str | None:
    """Return what is wrong with a hostile program's verdict.

    Where any failure will do, what must not happen is that the program got what it wanted.
    """
    output, wanted = execution.outputs[0], HOSTILE[name][1]
    if wanted is None:
        fine = isinstance(output, Failure) or output in (GRID, ((0,),))
    else:
        fine = isinstance(output, Failure) and output.type == wanted
    return None if fine else f"{name}: wanted {wanted}, got {output}"


async def run_mixed(seed: int, **options: float) -> tuple[list[str], dict[str, object]]:
    """Run all hostile programs among good ones, shuffled; return complaints and how the sandbox is confined."""
    names = random.Random(seed).sample(list(HOSTILE), len(HOSTILE))
    programs = [
        code for name in names for code in (f"{GOOD}\n# before {name!r}", HOSTILE[name][0], f"{GOOD}\n# {name!r}")
    ]
    complaints = []
    async with open_sandbox(codec="arc", **options) as sandbox:  # type: ignore[arg-type]
        found = await asyncio.gather(*(sandbox.run(code, (GRID,)) for code in programs))
        last = await sandbox.run(GOOD, (GRID,), alone=True)
        hello = sandbox.hello
    for place, name in enumerate(names):
        before, hostile, after = found[3 * place : 3 * place + 3]
        complaints += [said for said in [complaint(name, hostile)] if said]
        if not before.outputs == after.outputs == (MIRRORED,):
            complaints.append(f"{name}: a good program beside it gave {before.outputs} or {after.outputs}")
    if last.outputs != (MIRRORED,):
        complaints.append(f"afterwards: {last.outputs}")
    return complaints, hello


def examine(seed: int = 0, **options: float) -> tuple[list[str], dict[str, object]]:
    """Run them all, and look for processes, files and memory that they left."""
    before, peak = descendants(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    complaints, hello = asyncio.run(run_mixed(seed, **options))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
    if grown > 50 << 10:
        complaints.append(f"the supervisor grew by {grown >> 10} MB")
    complaints += [f"process {pid} is left" for pid in descendants() - before]
    complaints += [f"{path} is left" for folder in ("/tmp", ".") for path in Path(folder).glob(EVIL)]
    return complaints, hello


if __name__ == "__main__":
    warnings.simplefilter("error")
    said, confined = examine(cpu_seconds=0.3)
    sys.stdout.write(json.dumps({"complaints": said, "hello": confined, "python": sys.version, "uid": os.getuid()}))
