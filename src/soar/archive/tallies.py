"""Totals of searches, updated as rows are stored: completions and tokens, by task and by how completions ended.

Without them, watching a run would mean reading all of its rows. Knows statements; knows neither threads nor
transactions.
"""

import sqlite3
from typing import TypeAlias

from soar.archive.checks import checksum_sql
from soar.errors import StoreError

WAITING = "waiting"
"""The status of a completion with code until its program has run; from then on, the program's."""

EXECUTED = frozenset({"ok", "failed", "syntax-error", "nondeterministic"})
"""How programs end."""

WITH_CODE = EXECUTED | {WAITING}
"""How completions that hold a program end; any other status says why there is none."""

Ended: TypeAlias = tuple[str, int, str, str]
"""The key of a tally: stage, iteration, task, and how its completions ended."""

_SUMS = ("completions", "prompt_tokens", "completion_tokens", "right")
_KEY = "stage = ? AND iteration = ? AND task_id = ? AND status = ?"
_CHECKSUM = checksum_sql("tallies")
_ADD = (
    "INSERT INTO tallies VALUES (?,?,?,?,?,?,?,?,0) ON CONFLICT DO UPDATE SET "
    + ", ".join(f"{name} = {name} + excluded.{name}" for name in _SUMS)
    + f" WHERE checksum = {_CHECKSUM}"
)


class Tallies:
    """What one transaction adds to the tallies."""

    def __init__(self) -> None:
        self._added: dict[Ended, list[int]] = {}

    def add(self, ended: Ended, completions: int, prompt_tokens: int, completion_tokens: int, right: int) -> None:
        """Add completions, their tokens, and how many of them are right on all training pairs."""
        sums = self._added.setdefault(ended, [0, 0, 0, 0])
        for place, value in enumerate((completions, prompt_tokens, completion_tokens, right)):
            sums[place] += value

    def completion(
        self, connection: sqlite3.Connection, ended: Ended, code_hash: bytes | None, tokens: tuple[int, int]
    ) -> None:
        """Add a completion that was stored; one with code ends as its program did, if that has run."""
        stage, iteration, task_id, status = ended
        right = False
        if status == "code":
            sql = "SELECT status, accuracy FROM executions WHERE task_id = ? AND code_hash = ?"
            status, accuracy = connection.execute(sql, (task_id, code_hash)).fetchone() or (WAITING, 0.0)
            right = _is_right(status, accuracy)
        self.add((stage, iteration, task_id, status), 1, *tokens, int(right))

    def execution(
        self, connection: sqlite3.Connection, task_id: str, code_hash: bytes, status: str, accuracy: float
    ) -> None:
        """Move the completions that wait for a program to its status: its execution has been stored."""
        sql = (
            "SELECT stage, iteration, COUNT(*), SUM(prompt_tokens), SUM(completion_tokens) FROM completions"
            " WHERE task_id = ? AND code_hash = ? GROUP BY stage, iteration"
        )
        for stage, iteration, count, prompts, texts in connection.execute(sql, (task_id, code_hash)).fetchall():
            self.add((stage, iteration, task_id, WAITING), -count, -prompts, -texts, 0)
            right = count if _is_right(status, accuracy) else 0
            self.add((stage, iteration, task_id, status), count, prompts, texts, right)

    def write(self, connection: sqlite3.Connection) -> None:
        """Add to the stored tallies; `StoreError` if one is damaged, which its new checksum would make look intact."""
        added = [(ended, sums) for ended, sums in self._added.items() if any(sums)]
        for ended, sums in added:
            if connection.execute(_ADD, (*ended, *sums)).rowcount != 1:
                raise StoreError(f"the archive is damaged: the tally {'/'.join(map(str, ended))} was changed")
        connection.executemany(f"UPDATE tallies SET checksum = {_CHECKSUM} WHERE {_KEY}", [ended for ended, _ in added])


def _is_right(status: str, accuracy: float) -> bool:
    """Return whether a program is right on all training pairs."""
    return status == "ok" and accuracy == 1.0


TALLIED = (
    "SELECT c.stage, c.iteration, c.task_id,"
    f" CASE WHEN c.status = 'code' THEN COALESCE(e.status, '{WAITING}') ELSE c.status END AS ended,"
    " COUNT(*), SUM(c.prompt_tokens), SUM(c.completion_tokens),"
    " SUM(c.status = 'code' AND COALESCE(e.status = 'ok' AND e.accuracy = 1, 0))"
    " FROM completions c LEFT JOIN executions e ON e.task_id = c.task_id AND e.code_hash = c.code_hash"
    " GROUP BY c.stage, c.iteration, c.task_id, ended"
)
"""The tallies, computed from an archive's rows."""


def tally_all(connection: sqlite3.Connection) -> None:
    """Tally an archive that had no tallies."""
    connection.execute(f"INSERT INTO tallies SELECT *, 0 FROM ({TALLIED})")
    connection.execute(f"UPDATE tallies SET checksum = {_CHECKSUM}")
