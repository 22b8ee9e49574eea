"""How many tasks k programs solve, by the embedded model and by the blind grammar beside it.

    python -m experiments.embedded --tasks arc1-training --programs 256    # makes programs, appends what they solve
    python -m experiments.blind --tasks arc1-training --programs 1000
    python -m experiments.solved                                           # the tables

A program is right if all training pairs and all test outputs are; one that is wrong on the first pair is not run on
the others. The model draws a task's programs without replacement; of the blind grammar's about 2 % repeat others. One
line per task is appended as it is done; asked for more programs of a task later, only those that are missing are run.
Knows rows, tasks and statistics; who makes programs is `embedded`'s and `blind`'s.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.weights import TEMPERATURE, digest
from soar.domains.arc.domain import Arc
from soar.execution import open_sandbox
from soar.pretrain.arc.blind import grammar_digest
from soar.protocols import Executor
from soar.types import Task

BUDGETS = (1, 8, 64, 256, 1000)
SETS = ("arc1-training", "arc1-evaluation")
RESULTS = Path("experiments/results")
RESAMPLES = 10_000

IN_FLIGHT = 32
"""How many tasks are worked on at once."""

Maker = Callable[[Task, int, int], Awaitable[Sequence[str | None]]]
"""Makes the programs of a task from one number on up to another; None for what did not become a program."""


@dataclass(frozen=True)
class Made:
    """How many programs of a task were made, without gaps from the first on, how many of them are right, and at what
    place the first right one stands, if any and if it is known. Programs that are `distinct` are no random order."""

    programs: int = 0
    right: int = 0
    earliest: int | None = None
    distinct: bool = False

    def chance(self, k: int) -> float:
        """Return the probability that k of the programs hold a right one: of distinct ones the first k, which is how
        they would be drawn, of others any (the unbiased estimator of pass@k)."""
        if self.distinct:
            return float(self.earliest is not None and self.earliest < k)
        return 1 - comb(self.programs - self.right, k) / comb(self.programs, k)


async def is_right(task: Task, code: str, sandbox: Executor) -> bool:
    """Return whether a program is right on all pairs; the others are tried only if the first is right."""
    first, *rest = (*task.train, *task.test)
    if (await sandbox.run(code, [first.input])).outputs != (first.output,):
        return False
    execution = await sandbox.run(code, [example.input for example in rest])
    return execution.outputs == tuple(example.output for example in rest)


async def solve(task: Task, codes: Sequence[str | None], sandbox: Executor) -> dict[str, Any]:
    """Return what some programs did on one task; `earliest` is the place of the first right one among them."""
    whole = [code for code in codes if code is not None]
    distinct = list(dict.fromkeys(whole))
    verdicts = dict(zip(distinct, await asyncio.gather(*(is_right(task, c, sandbox) for c in distinct)), strict=True))
    right = [code for code in whole if verdicts[code]]
    earliest = codes.index(right[0]) if right else None
    found = {"task": task.id, "whole": len(whole), "distinct": len(distinct), "right": len(right), "earliest": earliest}
    return {**found, "code": min(right, key=len, default=None)}


async def measure(
    path: Path, cell: Mapping[str, Any], tasks: Sequence[Task], programs: int, make: Maker, workers: int | None
) -> None:
    """Make the programs that are missing, `IN_FLIGHT` tasks at a time, and append a line for each task; the seconds of
    a batch are shared out evenly."""
    path.parent.mkdir(parents=True, exist_ok=True)
    there = counts(read_rows(path), cell)
    missing = [task for task in tasks if there.get(task.id, Made()).programs < programs]
    async with open_sandbox(workers=workers, cpu_seconds=0.3, level="weak", codec="arc") as sandbox:

        async def one(task: Task) -> dict[str, Any]:
            first = there.get(task.id, Made()).programs
            found = await solve(task, await make(task, first, programs), sandbox)
            return {**cell, "first": first, "programs": programs - first, **found}

        for start in range(0, len(missing), IN_FLIGHT):
            batch, begun = missing[start : start + IN_FLIGHT], time.perf_counter()
            rows = await asyncio.gather(*map(one, batch))
            seconds = round((time.perf_counter() - begun) / len(batch), 3)
            with path.open("a") as file:
                file.writelines(json.dumps({**row, "seconds": seconds}) + "\n" for row in rows)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a file of results, none where there is no file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def of_cell(rows: Sequence[dict[str, Any]], cell: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of one cell."""
    return [row for row in rows if cell.items() <= row.items()]


def counts(rows: Sequence[dict[str, Any]], cell: Mapping[str, Any]) -> dict[str, Made]:
    """Return what was made for each task of a cell."""
    found: dict[str, Made] = {}
    for row in sorted(of_cell(rows, cell), key=lambda row: row.get("first", 0)):
        made = found.get(row["task"], Made())
        if row.get("first", 0) == made.programs:
            place = row.get("earliest")
            earliest = made.programs + place if made.earliest is None and place is not None else made.earliest
            programs, right = made.programs + row["programs"], made.right + row["right"]
            found[row["task"]] = Made(programs, right, earliest, row.get("drawing") == "distinct")
    return found


def chances(found: Mapping[str, Made], k: int) -> NDArray[np.float64]:
    """Return for each task the probability that k of its programs hold a right one; empty where not all tasks have k
    programs."""
    if any(made.programs < k for made in found.values()):
        return np.zeros(0)
    return np.array([made.chance(k) for made in found.values()])


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % bootstrap interval, over tasks, of the sum of `values`."""
    rng = np.random.default_rng(0)
    sums = [values[rng.integers(len(values), size=len(values))].sum() for _ in range(RESAMPLES)]
    return float(np.quantile(sums, 0.025)), float(np.quantile(sums, 0.975))


def speed(rows: Sequence[dict[str, Any]]) -> float:
    """Return the programs made and run per second, by the latest row of each task, whose speed is today's."""
    latest = {row["task"]: row for row in rows}
    return sum(row["programs"] for row in latest.values()) / max(sum(row["seconds"] for row in latest.values()), 1e-9)


def line(rows: Sequence[dict[str, Any]], cell: Mapping[str, Any], wanted: int) -> str:
    """Return how many tasks a cell's programs solve, as one line: expected number and interval at each budget."""
    found = counts(rows, cell)
    parts = []
    for k in BUDGETS:
        solved = chances(found, k)
        missing = not len(solved) or len(found) < wanted
        low, high = (0.0, 0.0) if missing else interval(solved)
        parts.append(f"{'missing':>20}" if missing else f"{solved.sum():6.1f} ({low:5.1f} to {high:5.1f})")
    return "".join(parts) + f"{speed(of_cell(rows, cell)):9.0f}/s"


def at_equal_seconds(
    model: Sequence[dict[str, Any]], blind: Sequence[dict[str, Any]], seconds: float
) -> tuple[float, float, int, int]:
    """Return how many tasks each solves in that many seconds per task, and with how many programs; NaN for one that
    has not made as many."""
    found = []
    for rows in (model, blind):
        each, k = counts(rows, {}), max(1, round(speed(rows) * seconds))
        solved = chances(each, k) if each else np.zeros(0)
        found += [(float(solved.sum()) if len(solved) else float("nan"), k)]
    (first, first_k), (second, second_k) = found
    return first, second, first_k, second_k


def report(model: str, temperature: float, seed: int, sizes: Mapping[str, int]) -> None:
    """Print both makers' lines for both sets, and what they solve in equal time."""
    made, blind = read_rows(RESULTS / "embedded.jsonl"), read_rows(RESULTS / "blind.jsonl")
    blind = of_cell(blind, {"grammar": grammar_digest()})
    print(f"Expected tasks solved (95 % bootstrap interval over tasks), model {model} at temperature {temperature}")
    print(f"{'':26}" + "".join(f"{k:>18} k" if k == 1 else f"{k:>20}" for k in BUDGETS))
    for name, size in sizes.items():
        cell = {"tasks": name, "seed": seed}
        own = {**cell, "model": model, "temperature": temperature, "drawing": "distinct"}
        print(f"{name:17}{'model':9}" + line(made, own, size))
        print(f"{'':17}{'blind':9}" + line(blind, cell, size))
        mine, theirs = of_cell(made, own), of_cell(blind, cell)
        for seconds in (0.1, 0.3, 1.0):
            ours, other, k, other_k = at_equal_seconds(mine, theirs, seconds)
            ours, other = ("missing" if np.isnan(solved) else f"{solved:.1f}" for solved in (ours, other))
            print(f"{'':17}{seconds:g} s per task: model {ours} ({k} programs), blind {other} ({other_k})")


def main() -> None:
    parser = argparse.ArgumentParser(description="How many tasks k programs solve: the tables.")
    parser.add_argument("--model", default=None, help="the first 12 digits of the weights' SHA-256 (default: shipped)")
    parser.add_argument("--temperature", type=float, default=TEMPERATURE)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    report(options.model or digest(), options.temperature, options.seed, {name: len(Arc().load(name)) for name in SETS})


if __name__ == "__main__":
    main()
