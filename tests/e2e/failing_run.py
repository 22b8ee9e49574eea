"""What a run stores, without the searching, again and again: the n-th write, fsync or rename fails, for every n until
none does, and then it is gone on with.

Run with `failing.c` preloaded: ``failing_run.py FOLDER ERRNO LASTING``. Prints one JSON object.
"""

import asyncio
import ctypes
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from comparing import everything

from soar.archive.audit import audit
from soar.archive.reader import ArchiveReader
from soar.archive.rows import CompletionRow, ExecutionRow, Row, SearchedRow, UnsentRow, code_hash
from soar.archive.writer import ArchiveWriter
from soar.errors import StoreError
from soar.files import growing, is_published, publish, write_atomically
from soar.frozen import freeze
from soar.run import locked
from soar.types import Completion, Origin

MANIFEST = {"model": {}, "tasks": {"train": {"hash": "", "ids": ["t"]}}, "versions": {}}
shim = ctypes.CDLL(None)


def rows(step: int) -> list[Row]:
    origin, code = Origin("train", 0, "t", "sample", 0, step, 0), f"def transform(x): return {step}" + 2000 * "#"
    done = ExecutionRow("t", code, "ok", 0.5, ((step,),), ((1,),), "a" * 32, "b" * 32, 0.25)
    completion = CompletionRow(origin, Completion(code), "code", code_hash(code))
    return [completion, done, UnsentRow(origin, 3), SearchedRow("train", 0, f"t{step}")]


async def store(path: Path, acknowledged: Callable[[Row], None]) -> None:
    """Store what a run of one search and one finetuning stores, as far as it is not there."""
    with locked(path) as directory:
        if not directory.begun:
            freeze(directory, {"seed": 1}, MANIFEST)
        directory.refuse_lost_archive()
        writer = ArchiveWriter(directory.archive)
        try:
            await writer.begin("train", 0)
            for step in range(6):
                await writer.add(rows(step))
                for row in rows(step):
                    acknowledged(row)
            async with writer.timing("train", 0, "seconds"):
                pass
            write_atomically(directory.answers(0), json.dumps({"t": 1}))
            await writer.finish("train", 0)
            if not is_published(directory.weights(1)):
                aside = path / "aside"
                shutil.rmtree(aside, ignore_errors=True)
                aside.mkdir()
                with growing(aside / "weights") as file:
                    file.write("weights")
                directory.weights(1).parent.mkdir(exist_ok=True)
                publish(aside, directory.weights(1), {"seed": 1})
            await writer.add_requests({"issued": 1, "retried": 0, "failed": 0})
        finally:
            writer.close()


def lost(path: Path, acknowledged: list[Row]) -> list[Row]:
    """Return the acknowledged rows that are not in the archive."""
    if not acknowledged:
        return []
    reader = ArchiveReader(path / "archive.sqlite")
    completions = reader.completions("train", 0, "t", "sample", 0)
    unsent = reader.unsent("train", 0, "t")
    searched = reader.searched("train", 0)
    gone = []
    for row in acknowledged:
        if isinstance(row, CompletionRow):
            there = row in completions
        elif isinstance(row, ExecutionRow):
            there = reader.execution("t", row.code) == row
        elif isinstance(row, UnsentRow):
            there = (row.origin.phase, row.origin.island, row.origin.step) in unsent
        else:
            there = row.task_id in searched
        gone += [] if there else [row]
    reader.close()
    return gone


def main(folder: Path, error: int, lasting: int) -> None:
    asyncio.run(store(folder / "calm", lambda row: None))
    calm, path = everything(folder / "calm"), folder / "stormy"
    under = ctypes.c_char_p(str(path).encode())
    wrong, failures, n, reached = [], 0, 0, True
    while reached:
        n += 1
        shutil.rmtree(path, ignore_errors=True)
        acknowledged: list[Row] = []
        shim.arm(under, ctypes.c_long(n), error, lasting)
        try:
            asyncio.run(store(path, acknowledged.append))
        except StoreError:
            failures += 1
        except Exception as failure:  # noqa: BLE001 — any other kind is what the test looks for
            wrong.append(f"{n}: {failure!r}")
        reached = shim.disarm() >= n
        wrong += [f"{n}: lost {row}" for row in lost(path, acknowledged)]
        asyncio.run(store(path, lambda row: None))
        wrong += [f"{n}: another end"] * (everything(path) != calm)
        wrong += [f"{n}: {finding}" for finding in audit(path / "archive.sqlite")]
    sys.stdout.write(json.dumps({"tries": n, "failures": failures, "wrong": wrong}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
