"""The configurations that come with the package, by name, and the lists of ids that they name. Knows no setting.

A path that is there keeps meaning that path: a name is looked for here only where no file has it.
"""

import re
from itertools import takewhile
from pathlib import Path

FOLDER = Path(__file__).parent / "configs"
"""Where they lie."""


def names() -> list[str]:
    """Return the names of the configurations."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def about(name: str) -> str:
    """Return what a configuration says of itself first, up to a colon or the end of the sentence."""
    lines = (FOLDER / f"{name}.toml").read_text(encoding="utf-8").splitlines()
    said = " ".join(line.removeprefix("#").strip() for line in takewhile(lambda line: line.startswith("#"), lines))
    return re.split(r"[.:;](?= |$)", said, maxsplit=1)[0]


def table() -> str:
    """Return all names, a line each with what it is about."""
    width = max(map(len, names()))
    return "\n".join(f"{name:{width}}  {about(name)}" for name in names())


def configuration(path: Path) -> Path:
    """Return the file of a configuration: `path`, or the one that is shipped under this name."""
    return _found(path, f"{path}.toml")


def ids_file(path: Path) -> Path:
    """Return the file of a list of ids: `path`, or the one of this name beside the configurations."""
    return _found(path, str(path))


def _found(path: Path, name: str) -> Path:
    shipped = FOLDER / Path(name).name
    there = path.exists() and not path.is_dir()
    return shipped if not there and path.name == str(path) and shipped.is_file() else path
