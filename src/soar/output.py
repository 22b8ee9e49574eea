"""Standard output and standard error as a command leaves them: written whole, or said why not. Knows no command."""

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
    """Give a function that a command's exit code goes through at the end, when its output is written or cannot be.

    Where nobody reads any more (``soar … | head``) there is nothing to say and nothing went wrong: 0, so that a script
    with ``pipefail`` goes on.
    """
    try:
        kept = os.dup(sys.stdout.fileno())
    except (OSError, ValueError, AttributeError):  # closed, or put aside by a test
        yield lambda code: code
        return

    def left(code: int) -> int:
        try:
            sys.stdout.flush()
        except OSError as error:
            # What is left in the buffer must go somewhere when Python ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if not isinstance(error, BrokenPipeError):
                complain(f"standard output cannot be written: {error}")
                return StoreError.exit_code
        # Typer and rich end with 1 when a pipe breaks; no command of ours does.
        return 0 if code == 1 and _unread(kept) else code

    try:
        yield left
    finally:
        os.close(kept)


def _unread(handle: int) -> bool:
    """Return whether nobody reads from a pipe."""
    poll = select.poll()
    poll.register(handle, 0)
    return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))


def print_written(out: Path, told: str) -> None:
    """Print what was written to a file, unless that may be standard output itself."""
    if partial(out):
        with printing():
            typer.echo(f"{out}: {told}")


def complain(said: object) -> None:
    """Print a message on standard error, if anybody reads it."""
    with suppress(OSError):
        typer.echo(f"soar: {said}", err=True)
