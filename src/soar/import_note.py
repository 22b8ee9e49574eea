"""Notes in a run directory that its first search is an import, so that nothing but the import goes on with it.

Knows one file, and what imports of earlier versions, which left no such file, look like in the archive.
"""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from soar.archive.reader import ArchiveReader
from soar.errors import ConfigError
from soar.files import write_atomically
from soar.run import RunDirectory, Step

IMPORTED = "imported"
"""The finish reason of every imported completion; tells an import from a search."""

UNKNOWN = "PROGRAMS"
"""Stands for the file of an import that left no note."""


def note_import(directory: RunDirectory, programs: Path) -> None:
    """Note that programs are imported as the first search, before the first is stored."""
    write_atomically(_note(directory), json.dumps({"programs": str(programs.absolute())}))


def imported_search(directory: RunDirectory, plan: Sequence[Step]) -> tuple[str, int] | None:
    """Return the key of the search in whose place programs were imported, as noted; None if there is none. It tells
    nothing of how fast the model is."""
    return plan[0].key if _note(directory).exists() else None


def unfinished_import(directory: RunDirectory, reader: ArchiveReader) -> str | None:
    """Return the command that finishes a run's import, None if there is none to finish."""
    if any(row.finished for row in reader.iterations()):
        return None
    programs = _noted(directory) or (UNKNOWN if _holds_imported(directory, reader) else None)
    return programs and f"soar import {shlex.quote(programs)} CONFIG {shlex.quote(str(directory.path))}"


def refuse_unfinished_import(directory: RunDirectory, reader: ArchiveReader) -> None:
    """Raise `ConfigError` if a run's import is not finished: a model's programs would mix with the imported ones."""
    if command := unfinished_import(directory, reader):
        raise ConfigError(
            f"the import into {directory.path} is not finished: first run the same `{command}` command again, or name a"
            " new run directory"
        )


def _note(directory: RunDirectory) -> Path:
    return directory.path / "import.json"


def _noted(directory: RunDirectory) -> str | None:
    """Return the noted file of programs; None without a note."""
    try:
        return str(json.loads(_note(directory).read_text(encoding="utf-8"))["programs"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError):
        return UNKNOWN


def _holds_imported(directory: RunDirectory, reader: ArchiveReader) -> bool:
    """Return whether the first completion of a run was imported."""
    tasks = directory.manifest()["tasks"]
    for begun in reader.iterations()[:1]:
        for task_id in tasks.get(begun.stage, {"ids": []})["ids"]:
            if rows := reader.completions(begun.stage, begun.iteration, task_id, "sample", 0):
                return rows[0].completion.finish_reason == IMPORTED
    return False
