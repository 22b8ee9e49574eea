"""The tables of a run's archive, as numbered migrations. Any SQLite tool reads them, except packed texts.

Knows the layout, not who writes or reads it; `checks` knows checksums, `packing` packed texts. Keys are
`soar.types.Origin` fields; a program is stored once under its hash, an output under that of its canonical JSON.
"""

import sqlite3
from collections.abc import Iterator

from soar.archive.checks import seal
from soar.archive.repack import repack
from soar.archive.tallies import tally_all
from soar.errors import StoreError

MIGRATIONS = (
    """
    CREATE TABLE completions (
        stage TEXT NOT NULL, iteration INTEGER NOT NULL, task_id TEXT NOT NULL, phase TEXT NOT NULL,
        island INTEGER NOT NULL, step INTEGER NOT NULL, place INTEGER NOT NULL,
        parents TEXT NOT NULL,            -- JSON list of the keys of the programs that the prompt showed
        prompt_detail TEXT NOT NULL,      -- JSON: what the prompt left out to fit the context; {} = nothing
        text TEXT NOT NULL, finish_reason TEXT NOT NULL,
        prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, seconds REAL NOT NULL,
        status TEXT NOT NULL,             -- 'code', or why there is none: 'truncated', 'empty', 'no-code', ...
        code_hash TEXT,                   -- names a row of executions once the program has run
        PRIMARY KEY (stage, iteration, task_id, phase, island, step, place)
    );
    CREATE TABLE executions (
        task_id TEXT NOT NULL, code_hash TEXT NOT NULL, code TEXT NOT NULL,
        status TEXT NOT NULL,             -- 'ok', 'failed', 'syntax-error', 'nondeterministic'
        accuracy REAL NOT NULL,           -- fraction of training pairs reproduced
        train TEXT NOT NULL, test TEXT NOT NULL,  -- JSON lists of output hashes, one per pair
        ballot TEXT, behaviour TEXT,      -- hash of all test outputs, of all outputs; NULL unless status is 'ok'
        cpu_seconds REAL NOT NULL,
        PRIMARY KEY (task_id, code_hash)
    );
    CREATE TABLE outputs (hash TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE unsent (                 -- calls never made: no form of the prompt fits the model's context
        stage TEXT NOT NULL, iteration INTEGER NOT NULL, task_id TEXT NOT NULL, phase TEXT NOT NULL,
        island INTEGER NOT NULL, step INTEGER NOT NULL, completions INTEGER NOT NULL,
        PRIMARY KEY (stage, iteration, task_id, phase, island, step)
    );
    CREATE TABLE iterations (             -- bookkeeping of time; finished = 1 once answers are written
        stage TEXT NOT NULL, iteration INTEGER NOT NULL, seconds REAL NOT NULL DEFAULT 0,
        finetune_seconds REAL NOT NULL DEFAULT 0, finished INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (stage, iteration)
    );
    CREATE TABLE requests (               -- calls to the model, summed per session of the run
        session INTEGER PRIMARY KEY, issued INTEGER NOT NULL, retried INTEGER NOT NULL, failed INTEGER NOT NULL
    );
    """,
    """
    -- A row's checksum is the CRC-32 of the columns before it, as soar.archive.checks joins them.
    ALTER TABLE completions ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE executions ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE unsent ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE iterations ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE requests ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE counts (                 -- rows stored, per table and part of a search
        kind TEXT NOT NULL,               -- the table; '' and 0 in the columns that it does not have
        stage TEXT NOT NULL, iteration INTEGER NOT NULL, task_id TEXT NOT NULL, phase TEXT NOT NULL,
        island INTEGER NOT NULL, rows INTEGER NOT NULL,
        PRIMARY KEY (kind, stage, iteration, task_id, phase, island)
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE searched (               -- tasks whose search is over: a resumed run need not look at them again
        stage TEXT NOT NULL, iteration INTEGER NOT NULL, task_id TEXT NOT NULL,
        checksum INTEGER NOT NULL,
        PRIMARY KEY (stage, iteration, task_id)
    );
    """,
    """
    CREATE TABLE tallies (                -- what searches came to; follows from completions and executions
        stage TEXT NOT NULL, iteration INTEGER NOT NULL, task_id TEXT NOT NULL,
        status TEXT NOT NULL,             -- how completions ended: as their program did, 'waiting' until it has run
        completions INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL,
        right INTEGER NOT NULL,           -- how many of them are right on all training pairs
        checksum INTEGER NOT NULL,
        PRIMARY KEY (stage, iteration, task_id, status)
    );
    CREATE INDEX completions_by_code ON completions (task_id, code_hash);
    """,
    """
    -- Hashes are bytes now, texts are packed as soar.archive.packing does it, and a program stands in one place.
    DROP INDEX completions_by_code;
    ALTER TABLE completions RENAME TO old_completions;
    ALTER TABLE executions RENAME TO old_executions;
    ALTER TABLE outputs RENAME TO old_outputs;
    CREATE TABLE codes (                  -- programs, each stored with the first completion that holds it
        hash BLOB NOT NULL PRIMARY KEY, code BLOB NOT NULL
    );
    CREATE TABLE completions (
        stage TEXT NOT NULL, iteration INTEGER NOT NULL, task_id TEXT NOT NULL, phase TEXT NOT NULL,
        island INTEGER NOT NULL, step INTEGER NOT NULL, place INTEGER NOT NULL,
        parents TEXT NOT NULL, prompt_detail TEXT NOT NULL,
        text BLOB NOT NULL, finish_reason TEXT NOT NULL,
        prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, seconds REAL NOT NULL,
        status TEXT NOT NULL, code_hash BLOB, checksum INTEGER NOT NULL,
        PRIMARY KEY (stage, iteration, task_id, phase, island, step, place)
    );
    CREATE TABLE executions (
        task_id TEXT NOT NULL, code_hash BLOB NOT NULL, status TEXT NOT NULL, accuracy REAL NOT NULL,
        train BLOB NOT NULL, test BLOB NOT NULL,  -- hashes of outputs, 16 bytes per pair
        ballot BLOB, behaviour BLOB, cpu_seconds REAL NOT NULL, checksum INTEGER NOT NULL,
        PRIMARY KEY (task_id, code_hash)
    );
    CREATE TABLE outputs (                -- a value is JSON, packed where that makes it shorter; a failure never is
        hash BLOB PRIMARY KEY, value NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX completions_by_code ON completions (task_id, code_hash);
    """,
)
CHECKED = 2
"""The first layout with checksums and counts."""

SINCE = {"searched": 3, "tallies": 4, "codes": 5}
"""The layout that introduced a table, if not the first."""


def layout(connection: sqlite3.Connection) -> int:
    """Return which layout an archive has, 0 for an empty one; `StoreError` if a newer version wrote it."""
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if not 0 <= found <= len(MIGRATIONS):
        raise StoreError(f"the archive has layout {found}, but this version knows only {len(MIGRATIONS)}: update soar")
    return found


def migrate(connection: sqlite3.Connection) -> None:
    """Migrate the archive to the newest layout, completely or not at all; refuse one written by a newer version."""
    if layout(connection) == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    found = layout(connection)  # read again under the lock: another process may have migrated it in between
    if found == len(MIGRATIONS):
        connection.execute("COMMIT")
        return
    for script in MIGRATIONS[found:]:
        for statement in _statements(script):
            connection.execute(statement)
    repack(connection, checked=found >= CHECKED)
    if found < CHECKED:
        seal(connection)
    if 0 < found < SINCE["tallies"]:
        tally_all(connection)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    connection.execute("COMMIT")


def _statements(script: str) -> Iterator[str]:
    """Yield a script's statements one by one: `executescript` would commit before the first."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
