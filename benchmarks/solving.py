"""`soar solve` on the 100 training tasks that the shipped model finds easiest: seconds to the first line and to the
answer, against a `soar run` of the same budget.

``python -m benchmarks.solving``. Easiest is what most of 32 samples solve in one search of all 400 tasks, which is made
first (``--easiest FILE`` keeps the list, and reads it where it is there). Each command is a process of its own, as one
types it; `soar run` follows on every fifth task.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import soar

SOURCE = "arc1-training"
SETTINGS = {"tasks.source": SOURCE, "search.samples": 32, "search.refinements": 0, "search.samples_per_request": 32}


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "soar", *map(str, words)]


def settings(values: dict[str, Any]) -> list[str]:
    return [word for name, value in values.items() for word in ("--set", f"{name}={value}")]


def easiest(count: int, folder: Path) -> list[str]:
    """Return the tasks that most samples of the shipped model solve."""
    more = settings({**SETTINGS, "search.agreeing": 0, "search.tasks_in_flight": 64})
    subprocess.run(command("run", "solve", folder / "run", *more), check=True)
    run = soar.open_run(folder / "run")
    right = {
        name: sum(found.copies for found in run.programs(name) if found.test_right and all(found.test_right))
        for name in run.tasks
    }
    return sorted(right, key=lambda name: (-right[name], name))[:count]


def timed(words: list[str]) -> tuple[float, float, str]:
    """Return the seconds until a command's first line on either stream, and until its end; and what it printed."""
    begun = time.perf_counter()
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as child:
        assert child.stdout is not None
        line = child.stdout.readline()
        first = time.perf_counter() - begun
        text = line + child.stdout.read()
    if child.returncode:
        sys.exit(f"{' '.join(words)} ended with {child.returncode}: {text}")
    return first, time.perf_counter() - begun, text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--runs", type=int, default=20, help="how many of them `soar run` is tried on too")
    parser.add_argument("--easiest", type=Path)
    arguments = parser.parse_args()
    firsts: list[float] = []
    solves: list[float] = []
    runs: list[float] = []
    paired: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if arguments.easiest and arguments.easiest.exists():
            chosen = json.loads(arguments.easiest.read_text())
        else:
            chosen = easiest(arguments.tasks, folder)
            if arguments.easiest:
                arguments.easiest.write_text(json.dumps(chosen))
        chosen = chosen[: arguments.tasks]
        too = set(chosen[:: max(1, len(chosen) // arguments.runs)])
        for id_ in chosen:
            first, seconds, _ = timed(command("solve", id_))
            firsts.append(first)
            solves.append(seconds)
            print(f"{id_}: first line {first:.1f} s, answer {seconds:.1f} s", flush=True)
            if id_ in too:
                (folder / "ids").write_text(id_)
                more = settings({"tasks.source": SOURCE, "tasks.ids_file": folder / "ids", "search.agreeing": 0})
                runs.append(timed(command("run", "solve", folder / id_, *more))[1])
                paired.append(seconds)
    report("first line", firsts)
    report("soar solve", solves)
    report("soar run", runs)
    report("soar solve on the tasks of these runs", paired)


def report(what: str, values: list[float]) -> None:
    print(
        f"{what}: median {statistics.median(values):.2f} s, {min(values):.2f} to {max(values):.2f}, {len(values)} times"
    )


if __name__ == "__main__":
    main()
