"""The paper's search, lived with on one machine: 400 tasks, 6,000 programs each, and what is learnt from them.

``python -m benchmarks.full_size --folder DIR`` runs all of SOAR but a language model and a trainer: a function writes
the programs (light ones of `programs.jsonl`, two in one text, names and numbers drawn anew), the sandbox executes them,
everything is stored, every task is voted on; then each task's programs are deduplicated (all pairs, by vectors of 768
numbers that a cheap function draws), examples are chosen and written, and one more task is searched. With
``--interruptions 10`` the run is stopped ten times on its way, by Ctrl-C and by kill -9 in turn, and resumed by the
same command. A first try: ``--tasks 40 --programs 200 --interruptions 4``.

Printed at the end, and appended to DIR/log.jsonl: wall time, the most memory that all processes of the run held at
once, seconds from each resume to its first new row, seconds of searching and learning (the run's own count, without
sessions that were killed), and a digest of what came out (completions, executions, answers, examples), which must not
depend on the interruptions. Another run in the same folder compares itself with the last.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.programs import read_programs
from benchmarks.scale import WORDS
from benchmarks.searches import search_config
from soar.learning.dedup import by_similarity
from soar.learning.embed import DIMENSIONS
from soar.types import Completion, Program, Task

CONFIG = """
[learning]
pooled_deduplicate = "benchmarks.full_size:by_drawn_vectors"
[finetune]
trainer = "scripted"
[[stages]]
name = "train"
source = "arc1-training"
count = {tasks}
iterations = 1
answers = "known"
[[stages]]
name = "after"
source = "arc1-evaluation"
count = 1
iterations = 1
learns_from = ["train"]
"""
EVERY = 1.0
"""Seconds between two looks at the run's memory and progress: one takes 20 ms a gigabyte, of the run's time too."""

FRAME = """
{names}
K = {number}

{second}

def transform(grid):
    out = [list(row) for row in {name}(grid)]
    out[K % len(out)][K // 31 % len(out[0])] = K % 10
    return out
"""


@cache
def pieces() -> list[str]:
    return [entry["code"] for entry in read_programs() if entry["light"]]


def reply(prompt: str, seed: int) -> Completion:
    """Write a program: one that no other seed writes, with outputs that few others give."""
    del prompt
    chance = random.Random(seed)
    first, second = chance.sample(pieces(), 2)
    name, other = chance.sample(WORDS, 2)
    note, words = (" ".join(chance.choices(WORDS, k=k)) for k in (12, 60))
    code = FRAME.format(
        names=f"# {note}\n{first.replace('transform', other)}",
        number=chance.randrange(10**6),
        second=second.replace("transform", name),
        name=name,
    )
    return Completion(f"{words}\n```python\n{code}```", "stop", 3000, 600)


def drawn_vectors(texts: Sequence[str]) -> np.ndarray:
    """Return a vector per text, drawn by its checksum: in 768 dimensions none resembles another."""
    seeds = (zlib.crc32(text.encode()) for text in texts)
    rows = np.stack([np.random.default_rng(seed).standard_normal(DIMENSIONS, dtype=np.float32) for seed in seeds])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def by_drawn_vectors(task: Task, programs: Sequence[Program]) -> list[Program]:
    """Deduplicate as by embeddings: every pair is compared, and every program stays."""
    return by_similarity(task, programs, embed=drawn_vectors, above=0.9) if programs else []


def rows(archive: Path) -> int:
    """Return how many completions a run has stored, whatever it is doing."""
    if not archive.exists():
        return 0
    with closing(sqlite3.connect(f"file:{archive}?mode=ro", uri=True, timeout=60)) as connection:
        found = connection.execute("SELECT COALESCE(SUM(rows), 0) FROM counts WHERE kind = 'completions'").fetchone()
        return found[0]


def memory(pid: int) -> float:
    """Return the MB that a process and its descendants hold together, shared pages counted once (PSS)."""
    total = 0.0
    for each in family(pid):
        try:
            lines = Path(f"/proc/{each}/smaps_rollup").read_text(encoding="utf-8").splitlines()
        except OSError:  # it has ended
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    return total


def family(pid: int) -> Iterator[int]:
    """Yield a process and its descendants."""
    yield pid
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = " ".join((task / "children").read_text(encoding="utf-8") for task in tasks)
    except OSError:
        return
    for child in children.split():
        yield from family(int(child))


def session(command: Sequence[str], archive: Path, until: int | None, how: int) -> dict[str, Any]:
    """Run the command, until so many completions are stored if a number is given; say how it went."""
    begun, before, peak, first = time.monotonic(), rows(archive), 0.0, None
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    stopped = None
    while run.poll() is None:
        time.sleep(EVERY)
        peak, stored = max(peak, memory(run.pid)), rows(archive)
        if first is None and stored > before:
            first = time.monotonic() - begun
        if until is not None and stored >= until and stopped is None:
            stopped = time.monotonic()
            os.kill(run.pid, how)
    code, ended = run.wait(), time.monotonic()
    if code and stopped is None:
        raise SystemExit(f"the run ended with {code}: its messages stand above")
    ending = {} if stopped is None else {"stopped by": signal.Signals(how).name, "took": ended - stopped, "code": code}
    return {"seconds": ended - begun, "first new row": first, "completions": rows(archive), "MB": peak, **ending}


def digests(run: Path) -> dict[str, str]:
    """Return digests of what came out of a run: its rows but for times, its answers, its training examples."""
    found: dict[str, str] = {}
    statements = {
        "completions": "SELECT stage, iteration, task_id, phase, island, step, place, parents, status, code_hash"
        " FROM completions ORDER BY stage, iteration, task_id, phase, island, step, place",
        "executions": "SELECT task_id, code_hash, status, accuracy, train, test FROM executions"
        " ORDER BY task_id, code_hash",
    }
    with closing(sqlite3.connect(f"file:{run / 'archive.sqlite'}?mode=ro", uri=True)) as connection:
        for name, sql in statements.items():
            found[name] = digest(repr(row).encode() for row in connection.execute(sql))
    for name in ("answers", "data"):
        files = sorted(path for path in (run / name).rglob("*") if path.is_file())
        found[name] = digest(part for path in files for part in (path.name.encode(), path.read_bytes()))
    return found


def digest(parts: Iterable[bytes]) -> str:
    """Return 16 hex digits that name the parts, one after the other."""
    whole = hashlib.blake2b(digest_size=8)
    for part in parts:
        whole.update(part)
    return whole.hexdigest()


def measure(folder: Path, tasks: int, programs: int, interruptions: int) -> dict[str, Any]:
    """Make the run in a folder; return what it took and what came out."""
    path = folder / f"run-{int(time.time())}"
    given = folder / "full.toml"
    given.write_text(
        search_config("benchmarks.full_size:reply", programs // 2) + CONFIG.format(tasks=tasks), encoding="utf-8"
    )
    command = [sys.executable, "-m", "soar", "run", str(given), str(path)]
    total = tasks * 2 * (programs // 2)
    sessions: list[dict[str, Any]] = []
    for number in range(interruptions + 1):
        until = total * (number + 1) // (interruptions + 1) if number < interruptions else None
        how = signal.SIGINT if number % 2 == 0 else signal.SIGKILL
        sessions.append(session(command, path / "archive.sqlite", until, how))
        print(json.dumps(rounded(sessions[-1])), flush=True)
    with closing(sqlite3.connect(path / "archive.sqlite")) as connection:
        spent = connection.execute("SELECT stage, seconds, finetune_seconds FROM iterations").fetchall()
    size = sum(each.stat().st_size for each in path.glob("archive.sqlite*"))
    return {
        "tasks": tasks,
        "programs": programs,
        "interruptions": interruptions,
        "seconds": sum(each["seconds"] for each in sessions),
        "MB": max(each["MB"] for each in sessions),
        "bytes a program": size / (total + programs),
        "search": spent[0][1],
        "learning": spent[1][2],
        "sessions": sessions,
        **digests(path),
    }


def rounded(found: Any) -> Any:
    """Return figures to a tenth."""
    if isinstance(found, dict):
        return {name: rounded(value) for name, value in found.items()}
    if isinstance(found, list):
        return [rounded(value) for value in found]
    return round(found, 1) if isinstance(found, float) else found


def same(found: dict[str, Any], earlier: dict[str, Any]) -> dict[str, bool]:
    """Return which parts came out as they did in an earlier run."""
    return {name: found[name] == earlier[name] for name in ("completions", "executions", "answers", "data")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where the runs are made and left")
    parser.add_argument("--tasks", type=int, default=400)
    parser.add_argument("--programs", type=int, default=6000, help="per task")
    parser.add_argument("--interruptions", type=int, default=0)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    log = options.folder / "log.jsonl"
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    found = rounded(measure(options.folder, options.tasks, options.programs, options.interruptions))
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(found) + "\n")
    print(json.dumps({name: value for name, value in found.items() if name != "sessions"}, indent=2))
    earlier = [each for each in map(json.loads, lines) if all(each[n] == found[n] for n in ("tasks", "programs"))]
    if earlier:
        print("as in the run before:", json.dumps(same(found, earlier[-1])))


if __name__ == "__main__":
    main()
