"""The blind grammar on real tasks: how many it solves at k programs, and how many programs it runs in a second.

``python benchmarks/blind.py --tasks arc1-training --programs 256 --out docs/results/blind.jsonl``. One line per task
is appended as it is done; a task that has its line (same set, seed and number) is not run again. A program is right if
all training pairs and all test outputs are; one that is wrong on the first pair is not run on the others.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from math import comb
from pathlib import Path
from typing import Any

from soar.domains.arc import Arc
from soar.pretrain.blind import blind_programs
from soar.sandbox import Sandbox, open_sandbox
from soar.seeds import rng
from soar.types import Task

BUDGETS = (1, 8, 64, 256, 1000)

IN_FLIGHT = 64
"""How many programs the sandbox is given at once."""


async def run_task(task: Task, programs: int, seed: int, sandbox: Sandbox) -> dict[str, Any]:
    """Return what `programs` distinct or equal draws did on one task: how many are right, and the seconds it took."""
    started = time.perf_counter()
    codes = blind_programs(task, programs, rng(seed, "blind", task.id))
    distinct = list(dict.fromkeys(codes))
    verdicts: dict[str, bool] = {}
    for start in range(0, len(distinct), IN_FLIGHT):
        part = distinct[start : start + IN_FLIGHT]
        verdicts |= zip(part, await asyncio.gather(*(_is_right(task, code, sandbox) for code in part)), strict=True)
    right = [code for code in codes if verdicts[code]]
    seconds = time.perf_counter() - started
    found = {"distinct": len(distinct), "right": len(right), "seconds": round(seconds, 3)}
    return {**found, "code": min(right, key=len, default=None)}


async def _is_right(task: Task, code: str, sandbox: Sandbox) -> bool:
    first, *rest = (*task.train, *task.test)
    if (await sandbox.run(code, [first.input])).outputs != (first.output,):
        return False
    execution = await sandbox.run(code, [example.input for example in rest])
    return execution.outputs == tuple(example.output for example in rest)


def expected_solved(rows: Sequence[dict[str, Any]], k: int) -> float:
    """Return the expected number of tasks solved by k of the programs drawn (unbiased estimator)."""
    return sum(1 - comb(row["programs"] - row["right"], k) / comb(row["programs"], k) for row in rows)


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


async def main() -> None:
    parser = argparse.ArgumentParser(description="The blind grammar on real tasks.")
    parser.add_argument("--tasks", default="arc1-training")
    parser.add_argument("--programs", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("docs/results/blind.jsonl"))
    parser.add_argument("--workers", type=int, default=None, help="processes that run programs (default: one per core)")
    parser.add_argument("--report", action="store_true", help="only report what is there")
    options = parser.parse_args()
    tasks = Arc().load(options.tasks)
    cell = {"tasks": options.tasks, "programs": options.programs, "seed": options.seed}
    done = {row["task"]: row for row in read_rows(options.out) if cell.items() <= row.items()}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    async with open_sandbox(workers=options.workers, cpu_seconds=0.3, level="weak") as sandbox:
        for task in [] if options.report else tasks:
            if task.id in done:
                continue
            row = {**cell, "task": task.id, **await run_task(task, options.programs, options.seed, sandbox)}
            done[task.id] = row
            with options.out.open("a") as file:
                file.write(json.dumps(row) + "\n")
    rows = list(done.values())
    drawn, seconds = sum(row["programs"] for row in rows), sum(row["seconds"] for row in rows)
    budgets = [k for k in BUDGETS if k <= options.programs]
    print(f"{options.tasks}: {len(rows)} of {len(tasks)} tasks, {drawn} programs, {drawn / max(seconds, 1e-9):.0f}/s")
    print("expected solved:", ", ".join(f"{expected_solved(rows, k):.1f} at {k}" for k in budgets))


if __name__ == "__main__":
    asyncio.run(main())
