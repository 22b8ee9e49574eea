"""Archives as older versions left them: the rows of a new one in the tables of a layout of before."""

import sqlite3
from contextlib import closing
from pathlib import Path

from soar.archive.checks import checksum
from soar.archive.forms import PLAIN
from soar.archive.reader import ArchiveReader
from soar.archive.schema import CHECKED, MIGRATIONS, SINCE

AS_TEXT = {**PLAIN.columns, "outputs": ("hash", "value")}


def older(path: Path, layout: int, name: str = "old.sqlite") -> Path:
    """Write what an archive holds as an archive of a layout before 5 had it, beside it; return where."""
    out = path.with_name(name)
    with closing(sqlite3.connect(out, isolation_level=None)) as old, closing(ArchiveReader(path)) as reader:
        old.executescript("".join(MIGRATIONS[:layout]))
        old.executescript(f"PRAGMA user_version = {layout}; PRAGMA journal_mode = WAL")
        for table in ("completions", "executions", "outputs"):
            names = AS_TEXT[table]
            for values in reader.query(f"SELECT {', '.join(names)} FROM {table} ORDER BY rowid"):
                sealed = layout >= CHECKED and table != "outputs"
                row = (*values, checksum(*values)) if sealed else values
                old.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
        old.execute("ATTACH ? AS new", (str(path),))
        same = ("unsent", "iterations", "requests", "searched", "tallies", *(["counts"] * (layout >= CHECKED)))
        for table in same:
            if SINCE.get(table, 1) <= layout:
                columns = ", ".join(row[1] for row in old.execute(f"PRAGMA main.table_info({table})"))
                old.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM new.{table}")
        if layout >= CHECKED:
            old.execute("DELETE FROM main.counts WHERE kind = 'codes'")
    return out
