"""The blind grammar on real tasks: the corpus grammar with the task's own palette, at full executor speed.

``python -m experiments.blind --tasks arc1-training --programs 1000``; what it writes and how it goes on is said in
``experiments/solved.py``, which also prints the tables. Knows the grammar, no model.
"""

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path

from experiments.solved import RESULTS, measure
from soar.domains.arc.domain import Arc
from soar.pretrain.arc.blind import blind_programs, grammar_digest
from soar.seeds import rng
from soar.types import Task


def main() -> None:
    parser = argparse.ArgumentParser(description="The blind grammar on real tasks.")
    parser.add_argument("--tasks", default="arc1-training")
    parser.add_argument("--programs", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS / "blind.jsonl")
    parser.add_argument("--workers", type=int, default=None, help="processes that run programs (default: one per core)")
    options = parser.parse_args()

    async def make(task: Task, first: int, stop: int) -> Sequence[str]:
        return blind_programs(task, stop, rng(options.seed, "blind", task.id))[first:]

    cell = {"tasks": options.tasks, "seed": options.seed, "grammar": grammar_digest()}
    tasks = Arc().load(options.tasks)
    asyncio.run(measure(options.out, cell, tasks, options.programs, make, options.workers))


if __name__ == "__main__":
    main()
