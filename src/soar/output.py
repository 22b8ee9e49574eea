"""Standard output and standard error of a command: written whole, or an error says why not. Knows no command."""

import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import typer

from soar.errors import StoreError
from soar.files import partial, printing


@contextmanager
def standard_output() -> Iterator[Callable[[int], int]]:
    """Yield a function that flushes the output at the end and maps the command's exit code to the final one.

    If nobody reads any more (``soar … | head``) nothing went wrong: it returns 0 silently, so that a script with
    ``pipefail`` continues.
    """
    try:
        kept = os.dup(sys.stdout.fileno())
    except (OSError, ValueError, AttributeError):  # closed, or replaced by a test
        yield lambda code: code
        return

    def left(code: int) -> int:
        try:
            sys.stdout.flush()
        except OSError as error:
            # Python flushes the rest of the buffer when it exits, which must not fail again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if not isinstance(error, BrokenPipeError):
                complain(f"standard output cannot be written: {error}")
                return StoreError.exit_code
        # Typer and rich exit with 1 on a broken pipe; no command of ours does.
        return 0 if code == 1 and _unread(kept) else code

    try:
        yield left
    finally:
        os.close(kept)


def _unread(handle: int) -> bool:
    """Return whether a handle is a pipe that nobody reads."""
    poll = select.poll()
    poll.register(handle, 0)
    return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))


def print_written(out: Path, text: str) -> None:
    """Print a line about the file or folder just written, unless it may be standard output itself."""
    if out.is_dir() or partial(out):
        with printing():
            typer.echo(f"{out}: {text}")


def complain(message: object) -> None:
    """Print a message to standard error, if anybody reads it."""
    with suppress(OSError):
        typer.echo(f"soar: {message}", err=True)
