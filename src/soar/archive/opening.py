"""Opens an archive for reading, also where nothing may be written: a read-only medium, somebody else's run.

Knows SQLite's write-ahead log and why it needs a folder that can be written; does not know tables.
"""

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from soar.archive.refusal import WAIT_SECONDS, refusal

Stamp: TypeAlias = tuple[int, int, int]

NOT_WRITABLE = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN})
"""How SQLite refuses to make a log's files beside an archive."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A read-only connection; `found`, what the file was when it was opened, if it is read without locks."""

    connection: sqlite3.Connection
    found: Stamp | None = None


def open_to_read(path: Path) -> Opened:
    """Open the archive at `path` for reading; `StoreError` if that is refused.

    Even to read, SQLite wants to make the files of the log if they are missing. Where it may not and the log holds no
    row, the archive alone is all there is: it is read without locks.
    """
    try:
        try:
            return Opened(_connected(path, "mode=ro"))
        except sqlite3.OperationalError as error:
            found = stamp(path)
            if error.sqlite_errorcode & 0xFF not in NOT_WRITABLE or found[-1]:
                raise
            return Opened(_connected(path, "mode=ro&immutable=1"), found)
    except (sqlite3.Error, OSError) as error:
        raise refusal(path, "read", error) from error


def stamp(path: Path) -> Stamp:
    """Return what changes when a run writes to its archive: its time and size, and the size of its log."""
    about, log = path.stat(), path.with_name(path.name + "-wal")
    return about.st_mtime_ns, about.st_size, log.stat().st_size if log.exists() else 0


def _connected(path: Path, how: str) -> sqlite3.Connection:
    """Return a connection that has read the first page."""
    uri = f"{path.absolute().as_uri()}?{how}"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=WAIT_SECONDS)
    try:
        connection.execute("PRAGMA user_version").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection
