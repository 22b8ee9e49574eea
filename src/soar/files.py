"""Durable files: there whole or not at all, and recognised when damaged. Knows bytes and hashes, not their use."""

import hashlib
import json
import os
import shutil
from pathlib import Path

from soar.errors import StoreError

MANIFEST = "manifest.json"


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all; `StoreError` when the disk refuses."""
    aside = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error}; free space and go on") from None


def publish(aside: Path, path: Path, about: dict[str, object]) -> None:
    """Make a finished folder known under its name: hash its files, write the manifest last, rename the folder."""
    try:
        hashes = {str(file.relative_to(aside)): sha256(file) for file in sorted(aside.rglob("*")) if file.is_file()}
        for name in hashes:
            _sync(aside / name)
        write_atomically(aside / MANIFEST, json.dumps({**about, "sha256": hashes}, indent=1, sort_keys=True))
        if path.exists():
            shutil.rmtree(path)
        aside.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise StoreError(f"cannot publish {path}: {error}; free space and go on") from None


def is_published(path: Path) -> bool:
    """Return whether a folder was published; `StoreError` names the file if one was damaged since."""
    if not (path / MANIFEST).exists():
        return False
    try:
        hashes = json.loads((path / MANIFEST).read_text())["sha256"]
        damaged = [
            name for name, wanted in hashes.items() if not (path / name).is_file() or sha256(path / name) != wanted
        ]
    except (OSError, ValueError, KeyError) as error:
        raise StoreError(
            f"{path / MANIFEST} is damaged ({error}): remove {path} and go on, it will be made again"
        ) from None
    if damaged:
        raise StoreError(
            f"{path} is damaged ({', '.join(damaged)}): remove the folder and go on, it will be made again"
        )
    return True


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
