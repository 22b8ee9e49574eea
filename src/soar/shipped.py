"""The configurations shipped with the package, by name, and the lists of ids that they name. Knows no setting.

An existing file comes first: a name is looked up here only if no file has it.
"""

import re
from itertools import takewhile
from pathlib import Path

FOLDER = Path(__file__).parent / "configs"
"""The folder of all of them."""


def names() -> list[str]:
    """Return the names of the configurations."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def about(name: str) -> str:
    """Return the beginning of a configuration's header comment, up to a colon, semicolon or full stop."""
    lines = (FOLDER / f"{name}.toml").read_text(encoding="utf-8").splitlines()
    said = " ".join(line.removeprefix("#").strip() for line in takewhile(lambda line: line.startswith("#"), lines))
    return re.split(r"[.:;](?= |$)", said, maxsplit=1)[0]


def table() -> str:
    """Return a line per name, with what the configuration is about."""
    width = max(map(len, names()))
    return "\n".join(f"{name:{width}}  {about(name)}" for name in names())


def configuration(path: Path) -> Path:
    """Return the file of a configuration: `path`, or the shipped one of this name."""
    return _found(path, f"{path}.toml")


def ids_file(path: Path) -> Path:
    """Return the file of a list of ids: `path`, or the one of this name beside the shipped configurations."""
    return _found(path, str(path))


def _found(path: Path, name: str) -> Path:
    shipped = FOLDER / Path(name).name
    there = path.exists() and not path.is_dir()
    return shipped if not there and path.name == str(path) and shipped.is_file() else path
