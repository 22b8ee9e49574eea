"""Lines that arrive one by one, from a pipe or a terminal: waiting for one stops neither results nor signals.

Knows file handles and event loops; does not know what the lines mean.
"""

import asyncio
import codecs
import io
import os
import stat
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import IO, TypeVar

CHUNK = 1 << 16
Made = TypeVar("Made")


def arrives(path: Path) -> bool:
    """Return whether the lines of a file may come later than they are asked for."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False  # opening it says why
    return stat.S_ISFIFO(mode) or (stat.S_ISCHR(mode) and _is_terminal(path))


def _is_terminal(path: Path) -> bool:
    try:
        with path.open("rb", buffering=0) as file:
            return os.isatty(file.fileno())
    except OSError:
        return False


async def lines_of(file: IO[bytes]) -> AsyncIterator[str]:
    """Yield the lines of a pipe or a terminal as they arrive, without their ends, and close it; what is no UTF-8 is
    replaced."""
    reader, loop = asyncio.StreamReader(), asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), file)
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8-sig")("replace"), translate=True)
    rest = ""
    try:
        while data := await reader.read(CHUNK):
            *whole, rest = (rest + decoder.decode(data)).split("\n")
            for line in whole:
                yield line
        yield rest + decoder.decode(b"", final=True)
    finally:
        transport.close()


async def in_order(
    lines: AsyncIterator[str], make: Callable[[str], Awaitable[Made]], in_flight: int
) -> AsyncIterator[Made]:
    """Yield what is made of each line that is not blank, in their order and as soon as it is there, with at most
    `in_flight` lines read ahead."""
    waiting: deque[asyncio.Future[Made]] = deque()
    coming: asyncio.Future[str | None] | None = asyncio.ensure_future(_next(lines))
    try:
        while coming or waiting:
            wanted = [*([coming] if coming and len(waiting) < in_flight else []), *([waiting[0]] if waiting else [])]
            await asyncio.wait(wanted, return_when=asyncio.FIRST_COMPLETED)
            if coming and coming.done() and len(waiting) < in_flight:
                line = coming.result()
                coming = None if line is None else asyncio.ensure_future(_next(lines))
                if line and line.strip():
                    waiting.append(asyncio.ensure_future(make(line)))
            while waiting and waiting[0].done():
                yield waiting.popleft().result()
    finally:
        for each in ([coming] if coming else []) + [*waiting]:
            each.cancel()


async def _next(lines: AsyncIterator[str]) -> str | None:
    return await anext(lines, None)
