"""How settings are declared and how a name becomes a part. Knows no setting and no part.

A part is a built-in name, which stands for an object or for where to import one, or ``"package.module:name"``.
"""

import importlib
import importlib.util
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from soar.errors import ConfigError

DISTRIBUTION = "soar-synthesis"
"""What pip calls the package: the name `soar` is another project's there."""

Positive = Annotated[int, Field(gt=0)]
NonNegative = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """The settings of one part: a section of the configuration, strict and frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


FREE: dict[str, Any] = {"free": True}
"""Marks a field (as its `json_schema_extra`) that no result depends on: a run may go on with another value."""


def resolve(name: str, choices: Mapping[str, Any], what: str) -> Any:
    """Return the built-in part `name`, or import ``"package.module:name"``; `ConfigError` names the choices.

    A choice that is itself such a text is imported when it is chosen, so that no part costs time before.
    """
    found = choices.get(name, name)
    if not isinstance(found, str):
        return found
    module, colon, attribute = found.partition(":")
    if not colon:
        raise ConfigError(
            f'unknown {what} {name!r}: choose one of {", ".join(sorted(choices))}, or "package.module:name"'
        )
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{what} {name!r} cannot be imported: {error}") from error


def require(what: str, extra: str | None, *modules: str) -> None:
    """Raise `ConfigError` with the command that brings them where modules are missing: those of an optional extra, or,
    where `extra` is None, those of every installation."""
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        wanted = f"{DISTRIBUTION}[{extra}]" if extra else DISTRIBUTION
        raise ConfigError(f"{what} needs {', '.join(missing)}, which this installation lacks: pip install '{wanted}'")
