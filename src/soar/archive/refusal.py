"""What SQLite's errors mean to a user: a lock that another process holds, a full disk, a damaged file.

Knows messages; decides nothing.
"""

import sqlite3
from pathlib import Path

from soar.errors import StoreError

WAIT_SECONDS = 60
"""How long a lock that another process holds is waited for."""


def refusal(path: Path, doing: str, error: BaseException) -> StoreError:
    """Return the error that tells why an archive could not be opened, read or written (`doing`) and what to do."""
    if isinstance(error, StoreError):
        return error
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreError(
            f"the archive {path} could not be {doing} for {WAIT_SECONDS} s: another process holds its lock"
            f" ({_holders(path)}). End it, then the same command goes on"
        )
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR) or isinstance(error, OSError):
        return StoreError(f"the archive {path} cannot be {doing}: {error}; free space, look at the disk, and go on")
    if code == sqlite3.SQLITE_NOTADB:
        return StoreError(f"cannot open the archive {path}: {error}. Put back a copy of it")
    if code == sqlite3.SQLITE_CORRUPT:
        return damaged(path, str(error))
    if isinstance(error, sqlite3.OperationalError | sqlite3.InternalError | UnicodeDecodeError):
        # No such table, no such column, text that is none: our statements are right, so what they read is not.
        return StoreError(f"the archive {path} cannot be {doing}: {error}; if it is damaged, `soar doctor` says where")
    return StoreError(f"the archive {path} cannot be {doing}: {type(error).__name__}: {error}")


def damaged(path: Path, what: str) -> StoreError:
    """Return the error that names damage."""
    return StoreError(
        f"the archive {path} is damaged: {what}. Put back a copy of it; `soar doctor {path.parent}` looks at all of it"
    )


def _holders(path: Path) -> str:
    """Return which processes hold locks on an archive, as far as this machine tells."""
    found = []
    for pid in sorted(_locking(path)):
        try:
            found.append(f"process {pid}, {Path(f'/proc/{pid}/comm').read_text().strip()}")
        except OSError:
            found.append(f"process {pid}")
    return "; ".join(found) or "a copying program, a viewer or an sqlite3 shell, perhaps on another machine"


def _locking(path: Path) -> set[int]:
    """Return the processes with a lock for writing on an archive's files, from Linux's list of locks."""
    try:
        inodes = {str(file.stat().st_ino) for file in path.parent.glob(path.name + "*")}
        lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        return {
            int(fields[4])
            for fields in lines
            if fields[1] != "->" and fields[3] == "WRITE" and fields[5].rpartition(":")[2] in inodes
        }
    except (OSError, ValueError, IndexError):
        return set()
