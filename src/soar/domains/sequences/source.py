"""Where sequences come from: the set in the package, or a JSONL file, plain or gzipped, of {"id", "terms"}.

Knows lines and says exactly what is wrong in them; what a term is, only the given `parse` knows.
"""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from soar.errors import DataError

SETS = {"sequences": Path(__file__).with_name("sequences.jsonl.gz")}
"""The built-in set; its licence lies beside it."""

Parse = Callable[[object], int]


def read_source(source: str, terms: int, parse: Parse) -> Iterator[tuple[str, list[int]]]:
    """Yield id and the first `terms` terms of each sequence; `DataError` names the line and the reason."""
    path = SETS.get(source, Path(source))
    if not path.is_file():
        raise DataError(f"no sequences at {source!r}: expected {', '.join(SETS)} or a file of JSON lines (.gz too)")
    seen: set[str] = set()
    for number, line in enumerate(_lines(path), 1):
        if line.strip():
            name, found = _sequence(f"{path}, line {number}", line, terms, parse)
            if name in seen:
                raise DataError(f"{path}, line {number}: the id {name!r} occurs twice")
            seen.add(name)
            yield name, found


def _lines(path: Path) -> list[str]:
    try:
        data = path.read_bytes()
        # gzip's first bytes tell, whatever the file is called.
        data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        return data.decode("utf-8-sig").split("\n")
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}") from None


def _sequence(where: str, line: str, terms: int, parse: Parse) -> tuple[str, list[int]]:
    try:
        row: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not JSON: {error}") from None
    if not isinstance(row, dict) or not isinstance(row.get("id"), str) or not isinstance(row.get("terms"), list):
        raise DataError(f'{where}: expected an object with "id", a string, and "terms", a list')
    if len(row["terms"]) < terms:
        raise DataError(f"{where}: {len(row['terms'])} terms, expected at least {terms}")
    try:
        return row["id"], [parse(term) for term in row["terms"][:terms]]
    except ValueError as error:
        raise DataError(f"{where}: {error}") from None
