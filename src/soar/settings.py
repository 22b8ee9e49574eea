"""How settings are declared and how a name becomes a part. Knows no setting and no part.

The name of a part is a built-in one, which maps to an object or to its import path, or ``"package.module:name"``.
"""

import importlib
import importlib.util
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from soar.errors import ConfigError

DISTRIBUTION = "soar-synthesis"
"""The name of the package on PyPI, where `soar` is another project."""

Positive = Annotated[int, Field(gt=0)]
NonNegative = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """The settings of one part: a section of the configuration, strict and frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


FREE: dict[str, Any] = {"free": True}
"""Marks a field (as its `json_schema_extra`) that no result depends on: a run may resume with another value."""

LOCATION: dict[str, Any] = {"free": True, "location": True}
"""Marks a field that says where something is whose content a run's manifest names by a hash: a run may resume with it
elsewhere, and then remembers the new place."""


def resolve(name: str, choices: Mapping[str, Any], what: str) -> Any:
    """Return the built-in part `name`, or import ``"package.module:name"``; `ConfigError` names the choices.

    A choice given as an import path is imported only when chosen, so that unused parts cost no time.
    """
    found = choices.get(name, name)
    if not isinstance(found, str):
        return found
    module, colon, attribute = found.partition(":")
    if not colon or not module or module.startswith("."):
        raise ConfigError(
            f'unknown {what} {name!r}: choose one of {", ".join(sorted(choices))}, or "package.module:name"'
        )
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{what} {name!r} cannot be imported: {error}; run the command in the directory of that file, or add the"
            " directory to PYTHONPATH"
        ) from error
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{what} {name!r} cannot be imported: {error}") from error


def require(what: str, extra: str | None, *modules: str) -> None:
    """Raise `ConfigError` with the pip command if modules are missing: those of an optional extra, or, if `extra` is
    None, those of every installation."""
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        package = f"{DISTRIBUTION}[{extra}]" if extra else DISTRIBUTION
        raise ConfigError(f"{what} needs {', '.join(missing)}, which this installation lacks: pip install '{package}'")
