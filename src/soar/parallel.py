"""Does the same work to many items, in several processes once that takes long.

Knows neither runs nor archives: the work is a function that can be pickled, with all that it needs. A process reads the
code from the disk, so none is started once a file of it has changed. None outlives this one (on Linux; elsewhere by
more than an item).
"""

import contextlib
import ctypes
import gc
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, BinaryIO, TypeAlias, TypeVar

from soar.cores import available_cores

PATIENCE = 4.0
"""Seconds of work here before other processes help: each needs about one to start."""

MOST = 8
"""Processes at once, however many cores there are: each has a copy of what its item needs in memory."""

LAST_SECONDS = 10.0
"""How long a process that is no longer needed may take to end by itself."""

PR_SET_PDEATHSIG = 1
_BEGUN = time.time()

Item = TypeVar("Item")
Found = TypeVar("Found")
Child: TypeAlias = "subprocess.Popen[bytes]"

# The work must find nothing on its standard input, least of all its own orders.
_CHILD = (
    "import os, pickle, sys; asked = os.fdopen(os.dup(0), 'rb'); os.dup2(os.open(os.devnull, os.O_RDONLY), 0);"
    " sys.path[:] = pickle.load(asked); from soar.parallel import serve; serve(asked)"
)
_ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "BLIS")}
_NOT_DONE = object()


def mapped(work: Callable[[Item], Found], items: Sequence[Item]) -> Generator[Found, None, None]:
    """Yield what the work finds for each item, in their order. What cannot be pickled, such as a function that was made
    in another, stays in this process; so does an item that fails elsewhere, so that its error is raised here.

    Close it (`contextlib.closing`) wherever the loop over it may end early: the processes end only then."""
    begun, done = time.monotonic(), 0
    while done < len(items) and time.monotonic() - begun <= PATIENCE:
        yield work(items[done])
        done += 1
    left = items[done:]
    job = _pickled(sys.path, (os.getpid(), gc.get_threshold(), work)) if len(left) > 1 and not _code_changed() else None
    children = _started(min(available_cores(), MOST, len(left))) if job else []
    yield from _in_children(work, job, left, children) if job and children else map(work, left)


def _code_changed() -> bool:
    """Return whether the file of a module has changed since this process read it: another would do as it says now."""
    files = [getattr(module, "__dict__", {}).get("__file__") for module in list(sys.modules.values())]
    for file in files:
        with contextlib.suppress(OSError, ValueError):
            if isinstance(file, str) and Path(file).stat().st_ctime > _BEGUN:
                return True
    return False


def _pickled(*values: object) -> bytes | None:
    """Return values as a process reads them one by one, None if they cannot be pickled."""
    try:
        return b"".join(map(pickle.dumps, values))
    except Exception:  # noqa: BLE001 — pickling runs code of every object that it meets
        return None


def _started(processes: int) -> list[Child]:
    """Start so many processes, or as many as the machine allows; none if a single one would work for this one."""
    command, environment = [sys.executable, "-P", "-c", _CHILD], {**os.environ, **_ONE_THREAD}
    pipe, children = subprocess.PIPE, list[Child]()
    with contextlib.suppress(OSError):
        # A group of its own: Ctrl-C is for this process, which then ends the others.
        children.extend(
            subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment, process_group=0)
            for _ in range(processes if processes > 1 and sys.executable else 0)
        )
    return children


def _in_children(
    work: Callable[[Item], Found], job: bytes, items: Sequence[Item], children: Sequence[Child]
) -> Iterator[Found]:
    threads, unwanted = ThreadPoolExecutor(len(children), "parallel"), True
    try:
        for item, found in zip(items, _answers(threads, job, items, children), strict=True):
            yield work(item) if found is _NOT_DONE else found
        unwanted = False
    finally:
        for child in children if unwanted else ():
            child.kill()
        threads.shutdown(cancel_futures=True)
        for child in children:
            _end(child)


def _answers(
    threads: ThreadPoolExecutor, job: bytes, items: Sequence[object], children: Sequence[Child]
) -> Iterable[Any]:
    """Return what the processes find for the items, `_NOT_DONE` where they do not."""
    free: SimpleQueue[tuple[Child, bytes]] = SimpleQueue()
    for child in children:
        free.put((child, job))
    try:
        return threads.map(partial(_asked, free, list(children)), items)
    except RuntimeError:  # no thread can start
        return [_NOT_DONE] * len(items)


def _asked(free: "SimpleQueue[tuple[Child, bytes]]", living: list[Child], item: object) -> Any:
    """Return what a free process finds for an item, `_NOT_DONE` if it cannot be told of it, fails or ends."""
    told = _pickled(item)
    if told is None:
        return _NOT_DONE
    child, job = free.get()
    assert child.stdin
    assert child.stdout
    try:
        child.stdin.write(job + told)
        child.stdin.flush()
        done, found = pickle.load(child.stdout)
    except Exception:  # noqa: BLE001 — it has ended, or what it found cannot be read
        if child in living:
            living.remove(child)
        done, found = False, None
    # A process that has ended would seem free at once; the last one stays, so that nobody waits for ever.
    if child in living or not living:
        free.put((child, b""))
    return found if done else _NOT_DONE


def _end(child: Child) -> None:
    """End a process and close what leads to it."""
    for stream in (child.stdin, child.stdout):
        with contextlib.suppress(OSError):
            if stream:
                stream.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(LAST_SECONDS)  # it ends with its input
    child.kill()
    child.wait()


def serve(asked: BinaryIO) -> None:
    """Do the work that `asked` names to each item that it brings, until it ends: the body of a process."""
    told = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the work prints is not an answer
    sys.stdout = sys.stderr
    with contextlib.suppress(OSError):
        # Where memory runs out, this process goes first: its work can be done elsewhere.
        Path("/proc/self/oom_score_adj").write_text("900", "ascii")
    with contextlib.suppress(Exception):
        parent, thresholds, work = pickle.load(asked)
        gc.set_threshold(*thresholds)
        _end_with(parent)
        while True:
            told.write(_outcome(work, pickle.load(asked)))
            told.flush()


def _end_with(parent: int) -> None:
    """Ask to be killed when the parent ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before
        os._exit(1)


def _outcome(work: Callable[[Any], object], item: object) -> bytes:
    try:
        return pickle.dumps((True, work(item)))
    except Exception:  # noqa: BLE001 — whatever it is, it happens again and is said where the item is done instead
        return pickle.dumps((False, None))
