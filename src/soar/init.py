"""Configurations to start from: a shipped one, or one for the user's own task, written where it can be edited."""

import re
from pathlib import Path

import tomli_w

from soar import shipped
from soar.errors import ConfigError
from soar.method import open_domain

TEMPLATE = shipped.FOLDER / "task.toml.template"
"""Searches the user's own task with the shipped model."""


def write_shipped(name: str) -> Path:
    """Write a shipped configuration into the working directory; `ConfigError` lists those that exist."""
    if name not in shipped.names():
        raise ConfigError(f"no shipped configuration is called {name!r}; choose one of:\n{shipped.table()}")
    text = (shipped.FOLDER / f"{name}.toml").read_text(encoding="utf-8")
    return _write(Path(f"{name}.toml"), text.replace(f"soar run {name} ", f"soar run {name}.toml "))


def write_for_task(source: Path) -> Path:
    """Write a configuration that searches the tasks in a file or folder; `DataError` says why they are not tasks."""
    open_domain("arc").load(str(source))
    name = re.sub(r"[^\w.-]+", "-", source.resolve().stem)
    filled = {"config": f"{name}.toml", "run": f"runs/{name}", "source": tomli_w.dumps({"source": str(source)}).strip()}
    text = TEMPLATE.read_text(encoding="utf-8")
    for place, value in filled.items():
        text = text.replace(f"{{{place}}}", value)
    return _write(Path(filled["config"]), text)


def _write(path: Path, text: str) -> Path:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigError(f"{path} already exists: move it away, or run this in another directory") from None
    return path
