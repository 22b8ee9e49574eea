"""What SOAR itself costs per program, beside the model and the sandbox: prompts, extraction, storing, choosing parents.

``make bench-loop`` (``python -m benchmarks.loop``) searches 24 tasks and then 384, 250 programs each, as `soar run`
does, with a model whose completions and an executor whose outputs cost next to nothing, and prints the CPU time of the
process per program, theirs taken away. It should not grow with the run. ``--json FILE`` appends a line.
"""

import argparse
import asyncio
import gc
import json
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from rich.console import Console

from benchmarks.programs import read_programs
from benchmarks.searches import search_config
from soar.cli import GC_THRESHOLDS
from soar.config import load_config
from soar.protocols import Contract
from soar.session import run
from soar.settings import Section
from soar.types import Completion, Execution, Value

PER_TASK, SIZES = 250, (24, 384)
CONFIG = """
[executor]
kind = "benchmarks.loop:Instant"
[[stages]]
name = "train"
source = "arc1-training"
count = {tasks}
iterations = 1
"""
CODES = [entry["code"] for entry in read_programs()]
NOTE = "The grid keeps its shape; what changes is the colour of every second object. " * 4

spent = [0.0]
"""CPU seconds of the model and the executor."""


def reply(prompt: str, seed: int) -> Completion:
    """Write a program that no other seed writes."""
    del prompt
    begun = time.thread_time()
    text = f"{NOTE}\n```python\n{CODES[seed % len(CODES)]}\nK = {seed}\n```"
    spent[0] += time.thread_time() - begun
    return Completion(text, "stop", 3000, 600)


class Instant:
    """An executor that runs nothing: a program returns its inputs, all alike."""

    class Settings(Section):
        """None."""

    def __init__(self, settings: Settings) -> None:
        del settings

    @asynccontextmanager
    async def open(self, contract: Contract) -> AsyncIterator["Instant"]:
        del contract
        yield self

    async def run(self, code: str, inputs: Sequence[Value], *, alone: bool = False) -> Execution:
        del code, alone
        await asyncio.sleep(0)
        return Execution(tuple(inputs), 0.001)

    async def close(self) -> None:
        """Do nothing."""


def per_program(tasks: int) -> float:
    """Search so many tasks; return the CPU milliseconds per program, without the model's and the executor's."""
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder) / "loop.toml"
        given.write_text(
            search_config("benchmarks.loop:reply", PER_TASK // 2) + CONFIG.format(tasks=tasks), encoding="utf-8"
        )
        config = load_config(given)
        spent[0], begun = 0.0, time.process_time()
        asyncio.run(run(config, Path(folder) / "run", Console(quiet=True)))
        return (time.process_time() - begun - spent[0]) * 1e3 / (tasks * PER_TASK)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="a file to which the figures are appended")
    options = parser.parse_args()
    gc.set_threshold(*GC_THRESHOLDS)  # as the command does
    per_program(2)  # what is loaded once does not count
    found = {f"{tasks * PER_TASK} programs": round(per_program(tasks), 3) for tasks in SIZES}
    if options.json:
        with options.json.open("a", encoding="utf-8") as file:
            file.write(json.dumps(found) + "\n")
    for size, milliseconds in found.items():
        print(f"{size}: {milliseconds:.2f} ms of CPU time each")


if __name__ == "__main__":
    main()
