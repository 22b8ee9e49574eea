"""What a signal does to a command: it ends it, and the same command goes on (exit code 75).

Knows signals and event loops; knows no command. SIGHUP counts as SIGINT, unless whoever began the command had it
ignored (`nohup`).
"""

import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from soar.errors import Interrupted

Found = TypeVar("Found")


class Stopped(SystemExit):
    """A signal that came while no event loop watched for it. As a `SystemExit` it passes through `except Exception` and
    through event loops."""


def stop_on_signals() -> None:
    """Raise `Stopped` wherever the program is when a signal comes, from now on: while it imports, reads, opens."""
    if threading.current_thread() is threading.main_thread():
        for name in _heeded():
            signal.signal(name, _raise)


async def until_signal(work: Coroutine[Any, Any, Found], said: str, first: Callable[[], object] | None = None) -> Found:
    """Do some work; a signal calls `first`, cancels the work, and becomes `Interrupted` with the text `said`."""
    import asyncio  # here, so that `soar --help` does not wait for it

    task, stopped = asyncio.create_task(work), asyncio.Event()

    def stop() -> None:
        stopped.set()
        if first:
            first()
        task.cancel()

    with _watched(asyncio.get_running_loop(), stop):
        try:
            return await task
        except asyncio.CancelledError:
            if not stopped.is_set():
                raise
            raise Interrupted(said) from None


@contextmanager
def _watched(loop: Any, action: Callable[[], object]) -> Iterator[None]:
    """Let the event loop call `action` when a signal comes, between two steps of it; afterwards all is as before."""
    before = {name: signal.getsignal(name) for name in _heeded()}
    for name in before:
        loop.add_signal_handler(name, action)
    try:
        yield
    finally:
        for name, handler in before.items():
            loop.remove_signal_handler(name)
            signal.signal(name, handler)


def _heeded() -> list[signal.Signals]:
    names = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
    return [name for name in names if name != signal.SIGHUP or signal.getsignal(name) is not signal.SIG_IGN]


def _raise(*_: object) -> None:
    raise Stopped(Interrupted.exit_code)
