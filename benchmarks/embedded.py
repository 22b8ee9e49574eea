"""The embedded model on real tasks: how many it solves at k samples, and how many samples it decodes in a second.

``python -m benchmarks.embedded --tasks arc1-training --programs 64 --out docs/results/embedded.jsonl``. Sampling alone,
no refinement and no learning. One line per task is appended as it is done; a task that has its line (same set, model,
seed and number) is not sampled again. A program is right if all training pairs and all test outputs are; one that is
wrong on the first pair is not run on the others. Lines are those of ``benchmarks/blind.py``, to be compared with.
"""

import argparse
import asyncio
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.blind import BUDGETS, expected_solved, read_rows
from soar.domains.arc import Arc
from soar.lm.embedded import SHIPPED, Embedded
from soar.pretrain.scenes import held_out
from soar.prompts.compact import Compact
from soar.sandbox import Sandbox, open_sandbox
from soar.seeds import sample_seeds
from soar.types import Sampling, Task

IN_FLIGHT = 32
"""How many tasks are sampled at once."""


async def sample(task: Task, programs: int, seed: int, lm: Embedded) -> list[str]:
    """Return the codes of the completions that hold one; a task that fits in no form has none."""
    rendering, seeds = Compact(), sample_seeds(seed, range(programs), "benchmark", task.id)
    sampling = Sampling(temperature=1.0, min_p=0.0, max_new_tokens=96)
    hidden = task.without_answers()
    for detail in rendering.details(hidden):
        prompt = rendering.sampling(hidden, None, detail)
        if lm.fits(prompt, sampling.max_new_tokens):
            found = [each async for _, each in lm.generate(prompt, seeds, sampling)]
            codes = [rendering.extract(each.text).code for each in found if each.finish_reason == "stop"]
            return [code for code in codes if code is not None]
    return []


async def is_right(task: Task, code: str, sandbox: Sandbox) -> bool:
    """Return whether a program is right on all pairs; the others are tried only if the first is right."""
    first, *rest = (*task.train, *task.test)
    if (await sandbox.run(code, [first.input])).outputs != (first.output,):
        return False
    execution = await sandbox.run(code, [example.input for example in rest])
    return execution.outputs == tuple(example.output for example in rest)


async def run_task(task: Task, programs: int, seed: int, lm: Embedded, sandbox: Sandbox) -> dict[str, Any]:
    codes = await sample(task, programs, seed, lm)
    distinct = list(dict.fromkeys(codes))
    verdicts = dict(zip(distinct, await asyncio.gather(*(is_right(task, c, sandbox) for c in distinct)), strict=True))
    right = [code for code in codes if verdicts[code]]
    found = {"task": task.id, "whole": len(codes), "distinct": len(distinct), "right": len(right)}
    return {**found, "code": min(right, key=len, default=None)}


async def run(options: argparse.Namespace, cell: Mapping[str, Any], tasks: Sequence[Task]) -> None:
    """Do the tasks, `IN_FLIGHT` at a time, and append a line for each; a batch's seconds are shared out evenly."""
    lm = Embedded(options.weights, threads=options.threads)
    async with open_sandbox(workers=options.workers, cpu_seconds=0.3, level="weak") as sandbox:
        for start in range(0, len(tasks), IN_FLIGHT):
            batch, begun = tasks[start : start + IN_FLIGHT], time.perf_counter()
            found = await asyncio.gather(
                *(run_task(task, options.programs, options.seed, lm, sandbox) for task in batch)
            )
            seconds = round((time.perf_counter() - begun) / len(batch), 3)
            with options.out.open("a") as file:
                file.writelines(json.dumps({**cell, **row, "seconds": seconds}) + "\n" for row in found)
    await lm.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="The embedded model on real tasks.")
    parser.add_argument("--tasks", default="arc1-training")
    parser.add_argument("--held-out", action="store_true", help="only the training tasks that the corpus left out")
    parser.add_argument("--programs", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", type=Path, default=SHIPPED)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--out", type=Path, default=Path("docs/results/embedded.jsonl"))
    parser.add_argument("--report", action="store_true", help="only report what is there")
    options = parser.parse_args()
    tasks = Arc().load(options.tasks)
    if options.held_out:
        chosen = held_out(tasks)
        tasks = [task for task in tasks if task.id in chosen]
    digest = hashlib.sha256((options.weights / "model.safetensors").read_bytes()).hexdigest()[:12]
    cell = {"tasks": options.tasks, "programs": options.programs, "seed": options.seed, "model": digest}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    done = {row["task"] for row in read_rows(options.out) if cell.items() <= row.items()}
    if not options.report:
        asyncio.run(run(options, cell, [task for task in tasks if task.id not in done]))
    wanted = {task.id for task in tasks}
    rows = [row for row in read_rows(options.out) if cell.items() <= row.items() and row["task"] in wanted]
    seconds, drawn = sum(row["seconds"] for row in rows), options.programs * len(rows)
    speed = drawn / max(seconds, 1e-9)
    print(f"{options.tasks}: {len(rows)} of {len(tasks)} tasks, model {digest}, {speed:.0f} samples/s")
    print("whole:", sum(row["whole"] for row in rows), "distinct:", sum(row["distinct"] for row in rows), "of", drawn)
    budgets = [k for k in BUDGETS if k <= options.programs]
    print("expected solved:", ", ".join(f"{expected_solved(rows, k):.1f} at {k}" for k in budgets))


if __name__ == "__main__":
    main()
