"""What a search's CPU time goes to: decoding, executing, storing, and the rest.

``python -m experiments.share`` does one search of `experiments/learning.toml` on some tasks (``--tasks 48``; 128
samples and 128 refinements for each) in a run directory that is thrown away, reads the CPU clock of every thread of
this process while it goes on, and adds what the sandbox's processes took. ``--json FILE`` keeps the line. Knows which
thread does what; knows nothing of how a search goes.

    decoding     the embedded model's threads, and those of the libraries that multiply its matrices
    executing    the sandbox's processes: programs, the forks they run in, looking after those
    storing      the archive's thread
    the rest     the event loop: prompts, choosing parents, the sandbox's supervisor; loading libraries and tasks
"""

import argparse
import asyncio
import json
import os
import resource
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from experiments.weights import digest, theta0
from soar import session
from soar.config import Config, load_config, validated
from soar.domains.arc.domain import Arc
from soar.domains.task_set import select
from soar.files import write_atomically
from soar.run import RunDirectory

LOOK_SECONDS = 0.25
"""How often the threads' clocks are read. What a thread does between the last look and its end is not seen."""


@contextmanager
def watched() -> Iterator[dict[int, tuple[str, float]]]:
    """Keep a table of what each thread of this process does and its CPU seconds so far, meanwhile."""
    seen: dict[int, tuple[str, float]] = {}
    over = threading.Event()

    def watch() -> None:
        while not over.wait(LOOK_SECONDS):
            names = {thread.native_id: thread.name for thread in threading.enumerate()}
            seen.update({number: (part_of(names.get(number)), seconds) for number, seconds in clocks()})

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


def part_of(name: str | None) -> str:
    """Return what a thread does; one that Python has no name for is a library's, and multiplies matrices."""
    if name is None or name == "decode":
        return "decoding"
    return "storing" if name == "archive" else "the rest"


def clocks() -> Iterator[tuple[int, float]]:
    """Yield number and CPU seconds of each thread of this process."""
    for folder in Path("/proc/self/task").iterdir():
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        yield int(folder.name), (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def seconds_of(config: Config, folder: Path) -> dict[str, float]:
    """Do a run and return the CPU seconds of each part, and the time it took by the clock as ``wall``."""
    begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    with watched() as seen:
        asyncio.run(session.run(config, folder, Console(stderr=True)))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    parts = {"decoding": 0.0, "executing": 0.0, "storing": 0.0, "the rest": 0.0}
    for part, seconds in seen.values():
        parts[part] += seconds
    parts["executing"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {**parts, "wall": time.perf_counter() - begun}


def one_search(path: Path, ids: Path, count: int) -> Config:
    """Return the settings of one search of the first stage, on `count` of the training tasks."""
    config = load_config(path, [])
    write_atomically(ids, "".join(f"{task.id}\n" for task in select(Arc().load("arc1-training"), count=count)))
    stage = {**config.as_dict()["stages"][0], "iterations": 1, "ids_file": str(ids)}
    return validated({**config.as_dict(), "stages": [stage]})


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Return the line of one search."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        config = one_search(options.config, folder / "tasks.txt", options.tasks)
        parts = {name: round(seconds, 1) for name, seconds in seconds_of(config, folder / "run").items()}
        size = RunDirectory(folder / "run").archive.stat().st_size
    budget = {"samples": config.search.samples, "refinements": config.search.refinements, "tasks": options.tasks}
    return {"model": digest(theta0(config)), **budget, "cores": os.cpu_count(), **parts, "bytes": size}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=48)
    parser.add_argument("--config", type=Path, default=Path("experiments/learning.toml"))
    parser.add_argument("--json", type=Path, help="append the line to this file")
    options = parser.parse_args()
    found = measure(options)
    completions = found["tasks"] * (found["samples"] + found["refinements"])
    parts = {name: found[name] for name in ("decoding", "executing", "storing", "the rest")}
    print(f"{completions} completions in {found['wall']:.0f} s ({completions / found['wall']:.0f}/s), CPU time:")
    for name, seconds in parts.items():
        print(f"  {name:10}{1000 * seconds / completions:7.2f} ms each {seconds / sum(parts.values()):7.0%}")
    if options.json:
        with options.json.open("a", encoding="utf-8") as file:
            file.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
