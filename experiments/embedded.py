"""The embedded model on real tasks: sampling alone, no refinement and no learning.

``python -m experiments.embedded --tasks arc1-training --programs 64``; what it writes and how it goes on is said in
``experiments/solved.py``, which also prints the tables. With ``--held-out``, only the training tasks that the corpus
left out, on which choices are made. Knows the model and its prompts.
"""

import argparse
import asyncio
from pathlib import Path
from typing import Any

from experiments.solved import BUDGETS, RESULTS, chances, counts, measure, of_cell, read_rows, speed
from experiments.weights import TEMPERATURE, digest
from soar.domains.arc.compact import Compact
from soar.domains.arc.domain import Arc
from soar.lm.embedded import SHIPPED
from soar.lm.embedded.engine import Embedded
from soar.pretrain.arc.scenes import held_out
from soar.seeds import sample_seeds
from soar.types import Completion, Sampling, Task


async def sample(
    task: Task,
    programs: int,
    seed: int,
    lm: Embedded,
    first: int = 0,
    *,
    temperature: float = TEMPERATURE,
    distinct: bool = True,
    rendering: Compact = Compact(),
) -> list[str | None]:
    """Return the codes of the completions in the order in which they are drawn, from number `first` on; None for one
    that holds none, and for all of a task that fits in no form."""
    asked = range(0 if distinct else first, programs)
    seeds = sample_seeds(seed, asked, "benchmark", task.id)
    sampling = Sampling(temperature=temperature, min_p=0.0, max_new_tokens=128, distinct=distinct)
    hidden = task.without_answers()
    for detail in rendering.details(hidden):
        prompt = rendering.sampling(hidden, None, detail)
        if lm.fits(prompt, sampling.max_new_tokens):
            found = {asked[index]: each async for index, each in lm.generate(prompt, seeds, sampling)}
            return [_code(found[number], rendering) for number in range(first, programs)]
    return [None] * (programs - first)


def _code(completion: Completion, rendering: Compact) -> str | None:
    return rendering.extract(completion.text).code if completion.finish_reason == "stop" else None


def cell_of(options: argparse.Namespace) -> dict[str, Any]:
    """Return what the rows of one measurement have in common."""
    named = {name: getattr(options, name) for name in ("tasks", "seed", "temperature")}
    drawing = "independent" if options.independent else "distinct"
    return {**named, "drawing": drawing, "model": digest(options.weights)}


async def run(options: argparse.Namespace, tasks: list[Task]) -> None:
    """Make and run what is missing."""
    lm = Embedded(options.weights, threads=options.threads)
    how = {"temperature": options.temperature, "distinct": not options.independent}

    async def make(task: Task, first: int, stop: int) -> list[str | None]:
        return await sample(task, stop, options.seed, lm, first, **how)

    await measure(options.out, cell_of(options), tasks, options.programs, make, options.workers)
    await lm.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="The embedded model on real tasks.")
    parser.add_argument("--tasks", default="arc1-training")
    parser.add_argument("--held-out", action="store_true", help="only the training tasks that the corpus left out")
    parser.add_argument("--programs", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--temperature", type=float, default=TEMPERATURE)
    parser.add_argument("--independent", action="store_true", help="each sample by itself: some repeat others")
    parser.add_argument("--weights", type=Path, default=SHIPPED)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--out", type=Path, default=RESULTS / "embedded.jsonl")
    parser.add_argument("--report", action="store_true", help="only report what is there")
    options = parser.parse_args()
    tasks = Arc().load(options.tasks)
    if options.held_out:
        chosen = held_out(tasks)
        tasks = [task for task in tasks if task.id in chosen]
    if not options.report:
        asyncio.run(run(options, tasks))
    cell = cell_of(options)
    wanted = {task.id for task in tasks}
    rows = [row for row in of_cell(read_rows(options.out), cell) if row["task"] in wanted]
    found = counts(rows, cell)
    print(f"{options.tasks}: {len(found)} of {len(tasks)} tasks, model {cell['model']}, {speed(rows):.0f} samples/s")
    whole, distinct, drawn = (sum(row[name] for row in rows) for name in ("whole", "distinct", "programs"))
    print(f"whole: {whole}, distinct: {distinct}, of {drawn}")
    solved = [(k, chances(found, k)) for k in BUDGETS]
    print("expected solved:", ", ".join(f"{each.sum():.1f} at {k}" for k, each in solved if len(each)))


if __name__ == "__main__":
    main()
