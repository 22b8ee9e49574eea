"""Does the same work to many items, in several processes once that takes long.

Knows neither runs nor archives: the work is a function that can be pickled, with all that it needs. The processes end
with their standard input, so that none outlives this one, however it ends.
"""

import contextlib
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeAlias, TypeVar

from soar.cores import available_cores

PATIENCE = 4.0
"""Seconds of work here before other processes help: each needs about one to start."""

Item = TypeVar("Item")
Found = TypeVar("Found")
Child: TypeAlias = "subprocess.Popen[bytes]"

_CHILD = "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); from soar.parallel import serve; serve()"
_ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "BLIS")}
_NOT_DONE = object()


def mapped(work: Callable[[Item], Found], items: Sequence[Item]) -> Generator[Found, None, None]:
    """Yield what the work finds for each item, in their order. What cannot be pickled, such as a function that was made
    in another, stays in this process, and so does an item whose process was lost.

    Close it if the rest may not be wanted: the processes would do that first."""
    begun, done = time.monotonic(), 0
    while done < len(items) and time.monotonic() - begun <= PATIENCE:
        yield work(items[done])
        done += 1
    left = items[done:]
    job = _pickled(sys.path, work) if len(left) > 1 else None
    children = _started(min(available_cores(), len(left))) if job else []
    yield from _in_children(work, job, left, children) if job and children else map(work, left)


def _pickled(*values: object) -> bytes | None:
    """Return values as a process reads them one by one, None if they cannot be pickled."""
    try:
        return b"".join(map(pickle.dumps, values))
    except Exception:  # noqa: BLE001 — pickling runs code of every object that it meets
        return None


def _in_children(
    work: Callable[[Item], Found], job: bytes, items: Sequence[Item], children: Sequence[Child]
) -> Iterator[Found]:
    free: SimpleQueue[tuple[Child, bytes]] = SimpleQueue()
    for child in children:
        free.put((child, job))
    threads = ThreadPoolExecutor(len(children), "parallel")
    try:
        for item, found in zip(items, threads.map(partial(_asked, free), items), strict=True):
            # An error is raised here, by the work itself, rather than told by the process that met it.
            yield work(item) if found is _NOT_DONE else found
    finally:
        for child in children:
            child.kill()  # it only reads
        threads.shutdown(cancel_futures=True)
        for child in children:
            _closed(child)


def _started(processes: int) -> list[Child]:
    """Start so many processes, or as many as the machine allows; none if it would be a single one."""
    command, environment = [sys.executable, "-c", _CHILD], {**os.environ, **_ONE_THREAD}
    pipe, children = subprocess.PIPE, list[Child]()
    with contextlib.suppress(OSError):
        # A group of its own: Ctrl-C is for this process, which then ends the others.
        children.extend(
            subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment, process_group=0)
            for _ in range(processes if processes > 1 else 0)
        )
    return children


def _closed(child: Child) -> None:
    for stream in (child.stdin, child.stdout):
        with contextlib.suppress(OSError):
            if stream:
                stream.close()
    child.wait()


def _asked(free: "SimpleQueue[tuple[Child, bytes]]", item: object) -> Any:
    """Return what a free process finds for an item, `_NOT_DONE` if it cannot be told of it or ends first."""
    told = _pickled(item)
    if told is None:
        return _NOT_DONE
    child, job = free.get()
    assert child.stdin
    assert child.stdout
    try:
        child.stdin.write(job + told)
        child.stdin.flush()
        return pickle.load(child.stdout)
    except (OSError, EOFError, pickle.UnpicklingError):
        return _NOT_DONE
    finally:
        free.put((child, b""))


def serve() -> None:
    """Do the work that standard input names to each item that it brings, until it ends: the body of a process."""
    asked, told = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the work prints is not an answer
    # Whatever fails here fails again, and is said, where the work is then done.
    with contextlib.suppress(Exception):
        work = pickle.load(asked)
        while True:
            told.write(pickle.dumps(work(pickle.load(asked))))
            told.flush()
