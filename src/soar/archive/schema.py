"""The tables of a run's archive, as numbered migrations. Readable with any SQLite tool.

Knows the layout and nothing of who writes or reads. Keys are `soar.types.Origin` fields; an output is stored once under
the hash of its canonical JSON.
"""

import sqlite3

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
)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the archive to the newest layout; refuse one written by a newer version."""
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found > len(MIGRATIONS):
        raise StoreError(f"the archive has layout {found}, this version knows {len(MIGRATIONS)}: update soar")
    for number, script in enumerate(MIGRATIONS[found:], start=found + 1):
        connection.executescript(f"BEGIN; {script}; PRAGMA user_version = {number}; COMMIT;")
