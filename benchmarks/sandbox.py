"""CPU time per program: bare execution, our sandbox in batches and alone, the paper's manner, a fresh interpreter.

    make bench-sandbox            # or: python -m benchmarks.sandbox --programs 300 --rounds 15

Programs are drawn from the grammar of the embedded model, on ARC training inputs. Rounds are interleaved and each
round's order is shuffled; what is printed are medians over rounds with their range, and ratios of medians.
"""

import argparse
import asyncio
import json
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

from soar.domains.arc import Arc
from soar.pretrain.blind import blind_programs
from soar.sandbox import open_sandbox
from soar.types import Value

Job = tuple[str, tuple[Value, ...]]


def corpus(count: int) -> list[Job]:
    """Programs that run everywhere within 50 ms, each with the inputs of a task."""
    tasks = Arc().load("arc1-training")
    jobs: list[Job] = []
    for place in range(100 * count):
        if len(jobs) == count:
            break
        task = tasks[place % len(tasks)]
        (code,) = blind_programs(task, 1, np.random.default_rng(place))
        begun = time.process_time()
        try:
            bare(code, task.inputs)
        except Exception:  # noqa: BLE001
            continue
        if time.process_time() - begun < 0.05:
            jobs.append((code, task.inputs))
    return jobs


def bare(code: str, inputs: tuple[Value, ...]) -> list:
    namespace: dict = {}
    exec(compile(code, "program", "exec"), namespace)
    return [np.asarray(namespace["transform"](json.loads(json.dumps(value)))).tolist() for value in inputs]


def cpu() -> float:
    """CPU seconds of this process and of all its ended children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def in_process(jobs: list[Job]) -> None:
    for job in jobs:
        bare(*job)


def sandboxed(alone: bool) -> Callable[[list[Job]], None]:
    async def work(jobs: list[Job]) -> None:
        async with open_sandbox(workers=1) as sandbox:
            await asyncio.gather(*(sandbox.run(code, inputs, alone=alone) for code, inputs in jobs))

    return lambda jobs: asyncio.run(work(jobs))


def papers_manner(jobs: list[Job]) -> None:
    """A process pool of one forked worker per program, results pickled."""
    for job in jobs:
        with ProcessPoolExecutor(max_workers=1, mp_context=get_context("fork")) as pool:
            pool.submit(bare, *job).result()


def fresh_interpreter(jobs: list[Job]) -> None:
    ending = "\nimport json, sys\nfor x in json.load(sys.stdin):\n    transform(x)\n"
    for code, inputs in jobs[: max(1, len(jobs) // 30)]:
        subprocess.run([sys.executable, "-c", code + ending], input=json.dumps(inputs), text=True, check=True)


MODES: dict[str, Callable[[list[Job]], None]] = {
    "bare": in_process,
    "ours, batches": sandboxed(alone=False),
    "ours, alone": sandboxed(alone=True),
    "the paper's manner": papers_manner,
    "fresh interpreter": fresh_interpreter,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--programs", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    jobs = corpus(arguments.programs)
    times: dict[str, list[float]] = {name: [] for name in MODES}
    idle = [_spent(lambda: sandboxed(alone=False)([])) for _ in range(3)]
    for number in range(arguments.rounds):
        for name in random.Random(number).sample(list(MODES), len(MODES)):
            spent = _spent(lambda name=name: MODES[name](jobs))
            count = len(jobs) if name != "fresh interpreter" else max(1, len(jobs) // 30)
            start = statistics.median(idle) if name.startswith("ours") else 0.0
            times[name].append(1000 * (spent - start) / count)
    base = statistics.median(times["bare"])
    print(
        f"{len(jobs)} programs, {arguments.rounds} rounds, CPU ms per program (median, range); starting ours left out"
    )
    for name, found in times.items():
        middle = statistics.median(found)
        print(f"{name:20} {middle:8.2f}  {min(found):8.2f} to {max(found):8.2f}   bare/this {base / middle:5.2f}")


def _spent(work: Callable[[], None]) -> float:
    begun = cpu()
    work()
    return cpu() - begun


if __name__ == "__main__":
    main()
