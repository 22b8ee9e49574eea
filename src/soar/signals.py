"""What a signal does to a command: it ends it, and the same command goes on (exit code 75).

Knows signals and event loops; knows no command. SIGHUP counts as SIGINT, unless whoever began the command had it
ignored (`nohup`).
"""

import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from soar.errors import Interrupted

Found = TypeVar("Found")
# Noted as well as raised: what is raised while a library probes for an attribute or a module may be swallowed there.
_came: list[bool] = []


class Stopped(SystemExit):
    """A signal that came while no event loop watched for it. As a `SystemExit` it passes through `except Exception` and
    through event loops."""


def stop_on_signals() -> None:
    """Raise `Stopped` wherever the program is when a signal comes, from now on: while it imports, reads, opens."""
    _came.clear()
    if threading.current_thread() is threading.main_thread():
        for name in _heeded():
            signal.signal(name, _raise)
        _keep_quiet_where_python_swallows_it()


async def until_signal(work: Coroutine[Any, Any, Found], said: str, first: Callable[[], object] | None = None) -> Found:
    """Do some work; a signal calls `first`, cancels the work, and becomes `Interrupted` with the text `said`."""
    import asyncio  # here, so that `soar --help` does not wait for it

    task, loop = asyncio.create_task(work), asyncio.get_running_loop()

    def stop() -> None:
        if first:
            first()
        task.cancel()

    def note(*_: object) -> None:
        _came.append(True)
        loop.call_soon_threadsafe(stop)

    with _handled(note):
        if _came:
            stop()
        await asyncio.gather(task, return_exceptions=True)
    # Also where the work was done by then: a signal that was heard and not obeyed would be lost.
    if _came and (task.cancelled() or not task.exception()):
        _came.clear()
        raise Interrupted(said)
    return task.result()


@contextmanager
def _handled(handler: Callable[..., object]) -> Iterator[None]:
    """Let a function handle what ends a command; afterwards all is as before."""
    before = {name: signal.getsignal(name) for name in _heeded()}
    for name in before:
        signal.signal(name, handler)
    try:
        yield
    finally:
        for name, earlier in before.items():
            signal.signal(name, earlier)


def _keep_quiet_where_python_swallows_it() -> None:
    """Python itself drops what is raised in a weak reference's callback or a destructor (importing a module runs some),
    and prints a traceback of it. The signal was noted, so there is nothing to tell the user."""
    say = sys.unraisablehook

    def hook(unraisable: "sys.UnraisableHookArgs") -> None:
        if not isinstance(unraisable.exc_value, Stopped):
            say(unraisable)

    sys.unraisablehook = hook


def _heeded() -> list[signal.Signals]:
    names = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
    return [name for name in names if name != signal.SIGHUP or signal.getsignal(name) is not signal.SIG_IGN]


def _raise(*_: object) -> None:
    _came.append(True)
    raise Stopped(Interrupted.exit_code)
