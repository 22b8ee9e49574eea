"""What a program costs in CPU time: bare, in our sandbox (in batches, alone), the paper's manner, a fresh interpreter.

    make bench-sandbox            # python -m benchmarks.sandbox [--rounds 45] [--json FILE]

Programs and inputs are those of `programs.jsonl`: 320 of our own, half of them light. Batches are measured in every
round, the other manners, which are slow, in every third and on some of the programs; in an order shuffled per round,
and with bare execution before and after each, on the same programs. Printed are medians over rounds with their range.
CPU time is that of every process involved, but for starting the sandbox, which is opened once. Ours collects garbage
as rarely as `soar` does, all else as often as Python does. Wall time of one and two workers on the whole corpus, each
program on the inputs of four tasks, comes last; it means something only when as many cores are free.
"""

import argparse
import asyncio
import gc
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np  # noqa: F401 - loaded before anything is measured, as in the sandbox
from scipy import ndimage  # noqa: F401

from benchmarks.programs import read_programs
from soar.cli import GC_THRESHOLDS
from soar.cores import available_cores
from soar.execution import open_sandbox, run_all
from soar.execution.local.supervisor import ConfinedSandbox

Job = tuple[str, tuple]
EVERY, FRESH = 16, 160
SLOW_ROUNDS = 3
"""Every how many rounds the slow manners are measured too: their ratios are so far from 1 that fewer rounds do."""

REPEAT = 4
"""How often the light programs run in a round, each time on other inputs, to be measured as well as the others."""


def bare(code: str, inputs: tuple) -> list:
    """Run a program as if it could be trusted."""
    namespace: dict = {"__name__": "program"}
    exec(compile(code, "<program>", "exec"), namespace)
    return [namespace["transform"]([list(row) for row in grid]) for grid in inputs]


def cpu(children: bool = True) -> float:
    """Return CPU seconds of this process and, where asked, of its ended children."""
    whose = [resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN] if children else [resource.RUSAGE_SELF]
    return sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, whose))


def sandbox_cpu(sandbox: ConfinedSandbox) -> float:
    """Return CPU seconds of this process, of the zygotes and of their ended workers."""
    ticks = 0
    for pid in sandbox.zygote_pids():
        ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:15]))
    return cpu(children=False) + ticks / os.sysconf("SC_CLK_TCK")


def run_bare(jobs: Sequence[Job]) -> list[float]:
    """Return the CPU seconds of each program."""
    found = []
    for job in jobs:
        begun = time.process_time()
        bare(*job)
        found.append(time.process_time() - begun)
    return found


def run_paper(jobs: Sequence[Job]) -> float:
    """A process pool of one forked worker per program, results pickled, as the released executor does it."""
    begun = cpu()
    for job in jobs:
        with ProcessPoolExecutor(max_workers=1, mp_context=get_context("fork")) as pool:
            pool.submit(bare, *job).result()
    return cpu() - begun


def run_fresh(jobs: Sequence[Job]) -> float:
    """A fresh interpreter per program."""
    ending = "\nimport json, sys\njson.dumps([transform(x) for x in json.load(sys.stdin)], default=int)\n"
    begun = cpu()
    for code, inputs in jobs:
        subprocess.run([sys.executable, "-c", code + ending], input=json.dumps(inputs), text=True, check=True)
    return cpu() - begun


async def work(sandbox: ConfinedSandbox, jobs: Sequence[Job], alone: bool = False) -> None:
    """Run all jobs in our sandbox."""
    if alone:
        await asyncio.gather(*(sandbox.run(code, inputs, alone=True) for code, inputs in jobs))
    else:
        async for _ in run_all(sandbox, jobs):
            pass


def run_ours(sandbox: ConfinedSandbox, runner: asyncio.Runner, alone: bool) -> Callable[[Sequence[Job]], float]:
    def measured(jobs: Sequence[Job]) -> float:
        usual = gc.get_threshold()
        gc.set_threshold(*GC_THRESHOLDS)
        begun = sandbox_cpu(sandbox)
        runner.run(work(sandbox, jobs, alone))
        # An answer comes before its worker has ended, and CPU time is known only then.
        runner.run(asyncio.sleep(0.1))
        gc.set_threshold(*usual)
        return sandbox_cpu(sandbox) - begun

    return measured


def fresh_texts(programs: Sequence[dict], mark: str) -> list[Job]:
    """Return the programs as texts that have not been run before."""
    return [(f"{program['code']}\nMARK = {f'{mark} {i}'!r}\n", program["inputs"]) for i, program in enumerate(programs)]


def measure(rounds: int) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """Return for each part of the corpus and each manner, per round, (ms per program, ms of bare on the same ones)."""
    parts = {
        "light": [program for shift in range(REPEAT) for program in read_programs(shift) if program["light"]],
        "whole": read_programs(),
    }
    found: dict[str, dict[str, list[tuple[float, float]]]] = {part: {"bare": []} for part in parts}
    with open_sandbox(workers=1, codec="arc") as sandbox, asyncio.Runner() as runner:
        manners: dict[str, tuple[Callable[[Sequence[Job]], float], int]] = {
            "ours, in batches": (run_ours(sandbox, runner, alone=False), 1),
            "ours, alone": (run_ours(sandbox, runner, alone=True), EVERY),
            "the paper's manner": (run_paper, EVERY),
            "a fresh interpreter": (run_fresh, FRESH),
        }
        for number in range(rounds):
            for part, programs in parts.items():
                shuffled = random.Random(number).sample(programs, len(programs))
                before = run_bare(fresh_texts(shuffled, "first"))
                measured = [name for name in manners if manners[name][1] == 1 or number % SLOW_ROUNDS == 0]
                for name in random.Random(f"{number}{part}").sample(measured, len(measured)):
                    run, stride = manners[name]
                    some = shuffled[::stride]
                    spent = 1e3 * run(fresh_texts(some, f"{name} {number}")) / len(some)
                    # Bare before and after, so that a drift of the machine falls on both sides of the ratio.
                    after = run_bare(fresh_texts(shuffled, f"after {name}"))
                    base = [500 * (first + second) for first, second in zip(before, after, strict=True)]
                    found[part].setdefault(name, []).append((spent, statistics.mean(base[::stride])))
                    found[part]["bare"].append((statistics.mean(base), statistics.mean(base)))
                    before = after
    return found


def measure_workers(rounds: int) -> dict[int, list[float]]:
    """Return the programs per second of wall time with one and with two workers, for the whole corpus in bulk."""
    programs = [program for shift in range(REPEAT) for program in read_programs(shift)]
    found: dict[int, list[float]] = {1: [], 2: []}
    for number in range(rounds):
        for workers in random.Random(number).sample([1, 2], 2):
            with open_sandbox(workers=workers, codec="arc") as sandbox, asyncio.Runner() as runner:
                runner.run(work(sandbox, fresh_texts(read_programs(), f"warm {number}")))
                shuffled = random.Random(number).sample(programs, len(programs))
                begun = time.monotonic()
                runner.run(work(sandbox, fresh_texts(shuffled, f"{number}")))
                found[workers].append(len(programs) / (time.monotonic() - begun))
    return found


def table(found: dict[str, dict[str, list[tuple[float, float]]]]) -> list[dict]:
    """Return a row per part and manner: median and range of ms per program, median ratios."""
    rows = []
    for part, manners in found.items():
        paper = [mine / base for mine, base in manners["the paper's manner"]]
        for name, pairs in manners.items():
            times = [mine for mine, _ in pairs]
            ratios = [mine / base for mine, base in pairs]
            rows.append(
                {
                    "programs": part,
                    "manner": name,
                    "ms": statistics.median(times),
                    "least": min(times),
                    "most": max(times),
                    "x_bare": 1 / statistics.median(ratios),
                    "x_paper": statistics.median(paper) / statistics.median(ratios),
                }
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=45)
    parser.add_argument("--json", type=Path, help="append the rows to this file, one JSON object")
    arguments = parser.parse_args()
    gc.freeze()
    busy = os.getloadavg()[0]
    rows = table(measure(arguments.rounds))
    print(
        f"CPU ms per program, {arguments.rounds} interleaved rounds; {available_cores()} cores, load {busy:.1f} before"
    )
    print(f"{'programs':9}{'manner':21}{'median':>9}{'range':>19}{'x bare':>9}{'x paper':>9}")
    for row in rows:
        span = f"{row['least']:.2f} to {row['most']:.2f}"
        print(
            f"{row['programs']:9}{row['manner']:21}{row['ms']:9.2f}{span:>19}{row['x_bare']:9.3f}{row['x_paper']:9.2f}"
        )
    speeds = {workers: statistics.median(found) for workers, found in measure_workers(5).items()}
    print(f"wall: {speeds[1]:.0f} programs/s with 1 worker, {speeds[2]:.0f} with 2: x {speeds[2] / speeds[1]:.2f}")
    if arguments.json:
        with arguments.json.open("a") as file:
            entry = {"rounds": arguments.rounds, "load": busy, "rows": rows, "programs_per_second": speeds}
            file.write(json.dumps(entry) + "\n")


if __name__ == "__main__":
    main()
