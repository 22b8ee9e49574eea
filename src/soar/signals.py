"""What a signal does to a command: it ends it with exit code 75, and the same command resumes.

Knows signals and event loops; knows no command. SIGHUP counts as SIGINT, unless it was ignored when the command started
(`nohup`).
"""

import atexit
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from soar.errors import Interrupted

Found = TypeVar("Found")
# Noted as well as raised: a library that probes for an attribute or a module may swallow what is raised.
_received: list[bool] = []


class Stopped(SystemExit):
    """A signal that arrived while no event loop watched for it. As a `SystemExit` it passes through `except Exception`
    and through event loops."""


def stop_on_signals() -> None:
    """From now on, raise `Stopped` wherever the program is when a signal arrives: importing, reading, opening."""
    _received.clear()
    if threading.current_thread() is threading.main_thread():
        for name in _handled_signals():
            signal.signal(name, _raise)
        _silence_swallowed_signals()
        # Python drops its handlers while it exits, and a signal would change the exit code of a command that is done.
        atexit.register(_ignore_signals)


def signal_pending() -> bool:
    """Return whether a signal was received that nothing has obeyed yet."""
    return bool(_received)


async def until_signal(work: Coroutine[Any, Any, Found], said: str, first: Callable[[], object] | None = None) -> Found:
    """Await some work; a signal calls `first`, cancels the work, and becomes `Interrupted` with the text `said`."""
    import asyncio  # here, so that `soar --help` does not wait for it

    task, loop = asyncio.create_task(work), asyncio.get_running_loop()

    def stop() -> None:
        if first:
            first()
        task.cancel()

    def note(*_: object) -> None:
        _received.append(True)
        loop.call_soon_threadsafe(stop)

    with _handling(note):
        if _received:
            stop()
        await asyncio.gather(task, return_exceptions=True)
    # Even if the work was done by then: a signal that was received but not obeyed would be lost.
    if _received and (task.cancelled() or not task.exception()):
        _received.clear()
        raise Interrupted(said)
    return task.result()


@contextmanager
def _handling(handler: Callable[..., object]) -> Iterator[None]:
    """Let a function handle the signals that end a command; restore the old handlers afterwards."""
    before = {name: signal.getsignal(name) for name in _handled_signals()}
    for name in before:
        signal.signal(name, handler)
    try:
        yield
    finally:
        for name, earlier in before.items():
            signal.signal(name, earlier)


def _silence_swallowed_signals() -> None:
    """Print no traceback of a `Stopped` that Python itself swallows in a weak reference's callback or a destructor
    (importing a module runs some). The signal was noted, so the user need not know."""
    say = sys.unraisablehook

    def hook(unraisable: "sys.UnraisableHookArgs") -> None:
        if not isinstance(unraisable.exc_value, Stopped):
            say(unraisable)

    sys.unraisablehook = hook


def _handled_signals() -> list[signal.Signals]:
    names = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
    return [name for name in names if name != signal.SIGHUP or signal.getsignal(name) is not signal.SIG_IGN]


def _ignore_signals() -> None:
    for name in _handled_signals():
        signal.signal(name, signal.SIG_IGN)


def _raise(*_: object) -> None:
    _received.append(True)
    raise Stopped(Interrupted.exit_code)
