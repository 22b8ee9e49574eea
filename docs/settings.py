"""Writes docs/settings.md, every setting with its default, from the code: ``python docs/settings.py``."""

import inspect
import json
import re
import types
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from soar.config import PARTS, Config, StageSettings
from soar.domains.arc.domain import Arc
from soar.domains.sequences.domain import Sequences
from soar.ensemble import FILTERS, VOTERS
from soar.learning.curate import CURATORS, PAIRINGS
from soar.learning.dedup import DEDUPLICATIONS
from soar.search.selectors import SELECTORS
from soar.settings import resolve

NAMED = {
    "voter": VOTERS,
    "filters": dict.fromkeys((*FILTERS, *Arc().filters, *Sequences().filters)),
    "curator": CURATORS,
    "pairing": PAIRINGS,
    "deduplicate": DEDUPLICATIONS,
    "pooled_deduplicate": DEDUPLICATIONS,
    "selector": SELECTORS,
    "heuristic": ("accuracy", "closeness"),
}
"""The settings that name a function, and the built-in ones."""

HEAD = """# Every setting

Made from the code by `python docs/settings.py`; a test keeps it so. A configuration is TOML; `soar run CONFIG --set
section.key=value` changes one setting. What a run was started with is frozen in its directory. Settings marked *free*
may have another value when it resumes: no result depends on them. Those marked *place* may name another place if the
same tasks, or the same weights, are there; the run then remembers it. A relative path is relative to the folder in
which the run is started, and remembered as such.
"""


def page() -> str:
    """Return the whole page."""
    parts = [HEAD, "## At the top\n", *_table(Config, only={"seed"})]
    for name, field in Config.model_fields.items():
        if name in PARTS:
            base, key, choices = PARTS[name]
            parts += [f"## [{name}]\n", _prose(base), *_table(base)]
            for choice, where in choices.items():
                own = getattr(resolve(where, {}, name), "Settings", None)
                if own is not None:
                    parts += [f'### with {key} = "{choice}"\n', _prose(own), *_table(own)]
        elif name == "stages":
            parts += ["## [[stages]]\n", _prose(StageSettings), *_table(StageSettings)]
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            parts += [f"## [{name}]\n", _prose(field.annotation), *_table(field.annotation)]
    return "\n".join(parts)


def _prose(section: type[BaseModel]) -> str:
    """Return what a section's class says of itself."""
    found = inspect.getdoc(section) if section.__doc__ else None
    return f"{found}\n" if found else ""


def _table(section: type[BaseModel], only: set[str] | None = None) -> Iterator[str]:
    rows = []
    for name, field in section.model_fields.items():
        if only is None or name in only:
            marks = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
            mark = "*place*" if marks.get("location") else "*free*" if marks.get("free") else ""
            kind = _names(NAMED[name]) if name in NAMED else _type(field.annotation)
            rows.append(f"| `{name}` | {kind} | {_default(field)} | {mark} |")
    if rows:
        yield "| key | value | default | |\n|---|---|---|---|"
        yield from rows
        yield ""


def _names(choices: Iterable[str]) -> str:
    """Return the built-in parts that a setting may name."""
    return ", ".join(f'`"{each}"`' for each in choices) + " or [your own](your-strategy.md)"


def _type(found: Any) -> str:
    """Return a type as a reader of TOML would say it."""
    origin, inside = get_origin(found), get_args(found)
    if origin is typing.Annotated:
        return _type(inside[0])
    if origin is typing.Literal:
        return ", ".join(f'`"{each}"`' if isinstance(each, str) else f"`{each}`" for each in inside)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_type(each) for each in inside if each is not type(None))
    if origin in (tuple, list):
        return f"list of {_type(inside[0])}"
    names = {int: "integer", float: "number", str: "text", bool: "true or false", Path: "path"}
    return names.get(found, re.sub(r"\W", " ", getattr(found, "__name__", str(found))))


def _default(field: Any) -> str:
    if field.is_required():
        return "(must be given)"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return ""
    return f"`{json.dumps(list(value) if isinstance(value, tuple) else value)}`"


if __name__ == "__main__":
    Path(__file__).with_suffix(".md").write_text(page(), encoding="utf-8")
