"""How each layout of an archive stores rows and values; callers see all layouts alike.

Knows columns and encodings; reads no rows itself.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from soar.archive.checks import COLUMNS
from soar.archive.packing import name_of, names_of, stored_name, unpack, unpack_output
from soar.archive.rows import output_hash, uncached_code_hash
from soar.errors import StoreError


@dataclass(frozen=True, slots=True)
class Form:
    """How one layout stores rows.

    `columns` are those that a table's checksum covers; `values` decodes their values, by table and column. Two are SQL:
    `code_of` finds the program that a table's row names, `outputs_of` lists the outputs in a column of executions as
    ``task_id`` and ``hash``. `text` decodes a completion's text, given its program; `code` a program and `output` an
    output's JSON, each given its name; `key` turns a hash into its stored form, `name` turns it back. They raise
    `ValueError` for bytes we did not write; `output` raises `StoreError`, since it may be called long after the archive
    was read.
    """

    columns: Mapping[str, tuple[str, ...]]
    values: Mapping[str, Mapping[str, Callable[[Any], Any]]]
    code_of: Mapping[str, str]
    outputs_of: str
    text: Callable[[Any, str | None], str]
    code: Callable[[Any, str], str]
    output: Callable[[Any, str], str]
    key: Callable[[Any], Any]
    name: Callable[[Any], Any]


def _named_code(code: str, name: str) -> str:
    if uncached_code_hash(code) != name:
        raise ValueError(f"the text is not that of program {name}")
    return code


def _packed_code(stored: bytes | None, name: str) -> str:
    if stored is None:
        raise ValueError(f"program {name} is missing")
    try:
        return _named_code(unpack(stored), name)
    except ValueError as error:
        raise ValueError(f"program {name} was changed ({error})") from None


def _named_output(text: str, name: str) -> str:
    if output_hash(text) != name:
        raise StoreError(f"the archive is damaged: output {name} was changed")
    return text


def _packed_output(stored: str | bytes, name: str) -> str:
    try:
        return _named_output(unpack_output(stored), name)
    except ValueError as error:
        raise StoreError(f"the archive is damaged: output {name} was changed ({error})") from None


@lru_cache(maxsize=1 << 12)
def json_names(text: str) -> tuple[str, ...]:
    """Return a list stored as JSON. Cached: the programs of one call share their parents."""
    return tuple(json.loads(text))


def _unchanged(stored: Any, *_: object) -> Any:
    return stored


_PARENTS = {"parents": json_names}

PLAIN = Form(
    columns={**COLUMNS, "executions": ("task_id", "code_hash", "code", *COLUMNS["executions"][2:])},
    values={"completions": _PARENTS, "executions": {"train": json_names, "test": json_names}},
    code_of={"completions": "NULL", "executions": "{0}.code"},
    outputs_of="SELECT e.task_id, p.value AS hash FROM executions e, json_each(e.{0}) p",
    text=_unchanged,
    code=_named_code,
    output=_named_output,
    key=_unchanged,
    name=_unchanged,
)
"""Layouts 1 to 4: everything is text; a program is stored in its execution and again in its completion's text."""

PACKED = Form(
    columns=COLUMNS,
    values={
        "completions": {"code_hash": name_of, **_PARENTS},
        "executions": {
            "code_hash": bytes.hex,
            "train": names_of,
            "test": names_of,
            "ballot": name_of,
            "behaviour": name_of,
        },
    },
    code_of=dict.fromkeys(
        ("completions", "executions"), "(SELECT codes.code FROM codes WHERE codes.hash = {0}.code_hash)"
    ),
    # Splits each blob into its 16-byte hashes.
    outputs_of="WITH RECURSIVE places (n) AS"
    " (SELECT 0 UNION ALL SELECT n + 1 FROM places WHERE n < (SELECT MAX(length({0})) / 16 FROM executions))"
    " SELECT e.task_id, substr(e.{0}, 16 * n + 1, 16) AS hash FROM executions e JOIN places ON 16 * n < length(e.{0})",
    text=unpack,
    code=_packed_code,
    output=_packed_output,
    key=stored_name,
    name=name_of,
)
"""From layout 5 on: texts are packed, hashes are bytes, a program is stored once, in `codes`."""


def form_of(layout: int) -> Form:
    """Return the form of a layout."""
    return PACKED if layout >= 5 else PLAIN
