"""Turns SQLite's errors into messages for a user: another process's lock, a full disk, a damaged file.

Knows messages; decides nothing.
"""

import os
import sqlite3
from pathlib import Path

from soar.errors import StoreError

WAIT_SECONDS = 60
"""How long to wait for a lock that another process holds."""


def refusal(path: Path, doing: str, error: BaseException) -> StoreError:
    """Return the error that says why an archive could not be opened, read or written (`doing`), and what to do."""
    if isinstance(error, StoreError):
        return error
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreError(
            f"the archive {path} could not be {doing} for {WAIT_SECONDS} s: another process holds its lock"
            f" ({_holders(path)}). Stop it, then run the same command again"
        )
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR) or isinstance(error, OSError):
        return StoreError(
            f"the archive {path} cannot be {doing}: {error};"
            " free space or check the disk, then run the same command again"
        )
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return StoreError(f"the archive {path} cannot be {doing}: {error}; {_permit(path, doing)}")
    if code == sqlite3.SQLITE_NOTADB:
        return StoreError(f"cannot open the archive {path}: {error}. Restore a copy of it")
    if code == sqlite3.SQLITE_CORRUPT:
        return damaged(path, str(error))
    if isinstance(error, sqlite3.OperationalError | sqlite3.InternalError | UnicodeDecodeError):
        # A missing table or column, or text that is not UTF-8: our statements are right, so the file is not.
        return StoreError(f"the archive {path} cannot be {doing}: {error}; if it is damaged, `soar doctor` says where")
    return StoreError(f"the archive {path} cannot be {doing}: {type(error).__name__}: {error}")


def _permit(path: Path, doing: str) -> str:
    """Return what to do where SQLite may not open or make a file."""
    log = path.with_name(path.name + "-wal")
    if doing == "read" and os.access(path, os.R_OK) and log.exists() and log.stat().st_size:
        return (
            f"its last rows are in {log.name}, which SQLite reads only where it may write beside it."
            " Copy the run directory to such a place and read the copy"
        )
    return f"check that you may {'read' if doing == 'read' else 'write'} it and its folder"


def damaged(path: Path, what: str) -> StoreError:
    """Return the error that names damage."""
    return StoreError(
        f"the archive {path} is damaged: {what}. Restore a copy of it; `soar doctor {path.parent}` checks all of it"
    )


def _holders(path: Path) -> str:
    """Return which processes hold locks on an archive, as far as this machine knows."""
    found = []
    for pid in sorted(_locking(path)):
        try:
            found.append(f"process {pid}, {Path(f'/proc/{pid}/comm').read_text().strip()}")
        except OSError:
            found.append(f"process {pid}")
    return "; ".join(found) or "perhaps a backup program, a viewer or an sqlite3 shell, on this machine or another"


def _locking(path: Path) -> set[int]:
    """Return the processes with a write lock on an archive's files, from Linux's list of locks."""
    try:
        inodes = {str(file.stat().st_ino) for file in path.parent.glob(path.name + "*")}
        lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        # "->" marks a process that waits for a lock instead of holding it.
        return {
            int(fields[4])
            for fields in lines
            if fields[1] != "->" and fields[3] == "WRITE" and fields[5].rpartition(":")[2] in inodes
        }
    except (OSError, ValueError, IndexError):
        return set()
