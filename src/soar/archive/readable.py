"""Views of a packed archive as text, for any SQL: texts, programs and outputs unpacked, hashes in hex digits, lists of
them as JSON, under the tables' own names.

Knows how values are stored; checks nothing against checksums.
"""

import json
import sqlite3

from soar.archive.packing import name_of, names_of, unpack, unpack_output

_CODE = "(SELECT codes.code FROM main.codes codes WHERE codes.hash = t.code_hash)"
_VIEWS = {
    "completions": "t.rowid AS rowid, stage, iteration, task_id, phase, island, step, place, parents, prompt_detail,"
    f" text_of(text, {_CODE}) AS text, finish_reason, prompt_tokens, completion_tokens, seconds, status,"
    " name_of(code_hash) AS code_hash",
    "executions": f"t.rowid AS rowid, task_id, name_of(code_hash) AS code_hash, text_of({_CODE}, NULL) AS code, status,"
    " accuracy, names_of(train) AS train, names_of(test) AS test, name_of(ballot) AS ballot,"
    " name_of(behaviour) AS behaviour, cpu_seconds",
    "outputs": "NULL AS rowid, name_of(hash) AS hash, output_of(value) AS value",
    "codes": "t.rowid AS rowid, name_of(hash) AS hash, text_of(code, NULL) AS code",
}


def make_readable(connection: sqlite3.Connection) -> None:
    """Make a packed archive's tables appear as text on this connection; the archive stays as it is."""
    connection.create_function("name_of", 1, name_of, deterministic=True)
    connection.create_function("names_of", 1, _names, deterministic=True)
    connection.create_function("output_of", 1, unpack_output, deterministic=True)
    connection.create_function("text_of", 2, _text, deterministic=True)
    for table, columns in _VIEWS.items():
        # SQLite resolves temporary views before tables of the same name.
        connection.execute(f"CREATE TEMP VIEW {table} AS SELECT {columns} FROM main.{table} t")


def _names(stored: bytes) -> str:
    return json.dumps(names_of(stored))


def _text(stored: bytes | None, code: bytes | None) -> str | None:
    return None if stored is None else unpack(stored, None if code is None else unpack(code))
