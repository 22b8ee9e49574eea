"""Where the things are that a configuration names by relative paths: a run is also read and resumed in other folders
than the one in which it was started.

Knows settings by dotted names, and the disk; does not know which settings say where something is.
"""

from collections.abc import Callable, Collection, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import tomli_w


def places_of(settings: Mapping[str, Any], names: Collection[str], meant: Callable[[str, str], bool]) -> dict[str, str]:
    """Return the absolute paths of what settings in `names` give by relative ones, by name; `meant` says of a name and
    its value, which is a file or folder, whether that is what it means."""
    found = {}
    for name in sorted(names):
        section, key = _at(settings, name)
        value = section.get(key) if isinstance(section, Mapping) else None
        if isinstance(value, str) and not Path(value).is_absolute() and Path(value).exists() and meant(name, value):
            found[name] = str(Path(value).absolute())
    return found


def as_overrides(places: Mapping[str, str]) -> list[str]:
    """Return places as ``section.key=value``."""
    return [f"{name}={tomli_w.dumps({'': place}).partition('= ')[2].strip()}" for name, place in places.items()]


def standing(places: Mapping[str, str]) -> dict[str, str]:
    """Return those places where something still is."""
    return {name: place for name, place in places.items() if Path(place).exists()}


def placed(settings: Mapping[str, Any], places: Mapping[str, str]) -> dict[str, Any]:
    """Return settings with places in them; those of other sections are passed over."""
    found = deepcopy(dict(settings))
    for name, place in places.items():
        section, key = _at(found, name)
        if isinstance(section, dict):
            section[key] = place
    return found


def _at(settings: Any, name: str) -> tuple[Any, str]:
    """Return the section that holds the setting of a dotted name, None if there is none, and the setting's key."""
    *path, key = name.split(".")
    for part in path:
        if isinstance(settings, Mapping):
            settings = settings.get(part)
        elif isinstance(settings, list | tuple) and part.isdigit() and int(part) < len(settings):
            settings = settings[int(part)]
        else:
            return None, key
    return settings, key
