"""How rows lie in the tables of an archive's layout, and what they say: above, all layouts look alike.

Knows columns and how values are stored; reads no row by itself.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from soar.archive.checks import COLUMNS
from soar.archive.packing import name_of, names_of, stored_name, unpack, unpack_output
from soar.archive.rows import named_anew, output_hash
from soar.errors import StoreError


@dataclass(frozen=True, slots=True)
class Form:
    """How one layout stores rows.

    `columns` are those that a table's checksum covers; `values` says what values of theirs say, by column. SQL is
    `code_of`, which finds the program that a row of a table names, and `outputs_of`, the outputs that executions have
    in a column, by ``task_id`` and ``hash``. `text` makes a completion's text of what is stored and of its program;
    `code` a program and `output` an output's JSON of what is stored and of its name; `key` is a hash as it is stored,
    `name` the other way. They raise `ValueError` for what is nothing of ours, `output` `StoreError`: it may be asked
    for long after the archive was read.
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
    if named_anew(code) != name:
        raise ValueError(f"it is not program {name}")
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
    """Return a list that is stored as JSON. Remembered: the programs of a call have the same parents."""
    return tuple(json.loads(text))


def _as_it_is(stored: Any, *_: object) -> Any:
    return stored


_PARENTS = {"parents": json_names}

PLAIN = Form(
    columns={**COLUMNS, "executions": ("task_id", "code_hash", "code", *COLUMNS["executions"][2:])},
    values={"completions": _PARENTS, "executions": {"train": json_names, "test": json_names}},
    code_of={"completions": "NULL", "executions": "{0}.code"},
    outputs_of="SELECT e.task_id, p.value AS hash FROM executions e, json_each(e.{0}) p",
    text=_as_it_is,
    code=_named_code,
    output=_named_output,
    key=_as_it_is,
    name=_as_it_is,
)
"""Layouts 1 to 4: everything is text; a program stands in its execution, and once more in its completion's text."""

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
    outputs_of="WITH RECURSIVE places (n) AS"
    " (SELECT 0 UNION ALL SELECT n + 1 FROM places WHERE n < (SELECT MAX(length({0})) / 16 FROM executions))"
    " SELECT e.task_id, substr(e.{0}, 16 * n + 1, 16) AS hash FROM executions e JOIN places ON 16 * n < length(e.{0})",
    text=unpack,
    code=_packed_code,
    output=_packed_output,
    key=stored_name,
    name=name_of,
)
"""Since layout 5: texts are packed, hashes are bytes, a program stands once in `codes`."""


def form_of(layout: int) -> Form:
    """Return how an archive of a layout stores rows."""
    return PACKED if layout >= 5 else PLAIN
