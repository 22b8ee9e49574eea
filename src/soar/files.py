"""Durable files: written completely or not at all, and recognised when damaged. Knows bytes and hashes, not their
use."""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from soar.errors import StoreError

MANIFEST = "manifest.json"
PARTIAL = ".partial"


def write_atomically(path: Path, text: str) -> None:
    """Write a file completely or not at all; `StoreError` if the disk refuses."""
    aside = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        rename_durably(aside, path)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error}; free space, then run the same command again") from None


def rename_durably(aside: Path, path: Path) -> None:
    """Rename `aside`, in the same folder, to `path`; the new name survives a loss of power."""
    aside.replace(path)
    _sync(path.parent)


@contextmanager
def growing(path: Path, *, binary: bool = False) -> Iterator[IO[Any]]:
    """Yield a text or binary file to write piece by piece; it gets its name at the end, and is in `partial` until then.

    Anything but a plain file is written directly. `StoreError` if the disk refuses; what was written stays.
    """
    aside = partial(path)
    how, encoding = ("b", None) if binary else ("", "utf-8")
    try:
        with (aside or path).open(("w" if aside else "a") + how, encoding=encoding) as file:
            yield file
            file.flush()
            if aside:
                os.fsync(file.fileno())
        if aside:
            rename_durably(aside, aside.with_name(aside.name.removesuffix(PARTIAL)))
    except BrokenPipeError:
        raise
    except OSError as error:
        left = f"; what was written is in {aside}" if aside and aside.exists() else ""
        raise StoreError(f"{path} cannot be written: {error}{left}") from None


@contextmanager
def printing() -> Iterator[IO[str]]:
    """Yield standard output; `StoreError` if it cannot be written. If its reader is gone, `BrokenPipeError` passes
    through."""
    try:
        yield sys.stdout
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StoreError(f"standard output cannot be written: {error}") from None


def partial(path: Path) -> Path | None:
    """Return the file in which a plain file grows, beside it or beside what it links to. None for a pipe, a device, or
    what is open already (``/dev/stdout``), which cannot be replaced."""
    for _ in range(40):  # as many links as Linux follows
        path = path.parent.resolve() / path.name
        if path.is_relative_to("/proc") or path.is_relative_to("/dev/fd"):
            return None
        if not path.is_symlink():
            break
        path = path.parent / path.readlink()
    return None if path.exists() and not path.is_file() else path.with_name(path.name + PARTIAL)


def publish(aside: Path, path: Path, about: Mapping[str, object]) -> None:
    """Publish a finished folder under its name: `seal` it, then rename it, replacing what was there."""
    seal(aside, about)
    try:
        if path.exists():
            shutil.rmtree(path)
        rename_durably(aside, path)
    except OSError as error:
        raise StoreError(f"cannot publish {path}: {error}; free space, then run the same command again") from None


def seal(folder: Path, about: Mapping[str, object]) -> None:
    """Write a folder's manifest, after all else is on disk: `about`, and the hash of every file."""
    try:
        files = sorted(file for file in folder.rglob("*") if file.is_file() and file != folder / MANIFEST)
        hashes = {str(file.relative_to(folder)): sha256(file) for file in files}
        for file in files:
            _sync(file)
        write_atomically(folder / MANIFEST, json.dumps({**about, "sha256": hashes}, indent=1, sort_keys=True))
        _sync(folder)
    except OSError as error:
        raise StoreError(f"cannot seal {folder}: {error}; free space, then run the same command again") from None


def keep_only(folder: Path, name: str) -> None:
    """Reduce a published folder to one of its folders and the manifest, which says so."""
    about = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    left = {file: sha for file, sha in about["sha256"].items() if Path(file).parts[0] == name}
    # The manifest first: after an interruption it must not list files that are gone; leftovers do no harm.
    write_atomically(folder / MANIFEST, json.dumps({**about, "sha256": left, "kept": name}, indent=1, sort_keys=True))
    for each in folder.iterdir():
        if each.name not in (name, MANIFEST):
            shutil.rmtree(each) if each.is_dir() else each.unlink()


def is_published(path: Path, about: Mapping[str, object] | None = None) -> bool:
    """Return whether a folder was sealed, and with `about` if given; `StoreError` names the files damaged since."""
    if not (path / MANIFEST).exists():
        return False
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        hashes = manifest["sha256"].items()
        damaged = [name for name, sha in hashes if not (path / name).is_file() or sha256(path / name) != sha]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(
            f"{path / MANIFEST} is damaged ({error}): remove {path}; the same command makes it again"
        ) from None
    if damaged:
        raise StoreError(
            f"{path} is damaged ({', '.join(damaged)}): remove the folder; the same command makes it again"
        )
    return about is None or all(manifest.get(name) == value for name, value in about.items())


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
