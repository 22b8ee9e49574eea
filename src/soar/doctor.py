"""What this machine offers a run: the sandbox's level with its proof, Python, SQLite, disk, threads. And whether a run
directory is intact: its settings, archive, weights and answers."""

import asyncio
import json
import os
import platform
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from soar.archive.audit import audit
from soar.config import is_own_part, validated
from soar.cores import available_cores
from soar.errors import ConfigError, SandboxError, SoarError, StoreError
from soar.execution import open_sandbox
from soar.files import is_published
from soar.run import UNFINISHED, RunDirectory, models_in


def examine(where: Path = Path()) -> dict[str, Any]:
    """Return the findings by name, ready for JSON. Starts a sandbox and runs one program in it."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "sandbox": asyncio.run(_sandbox()),
        "sqlite": sqlite3.sqlite_version,
        "disk_free_gb": round(shutil.disk_usage(where).free / 1e9, 1),
        "cores": available_cores(),
        "threads": os.environ.get("OMP_NUM_THREADS", "not set"),
        "torch": find_spec("torch") is not None,
    }


async def _sandbox() -> dict[str, Any]:
    """Return the level that programs would run at, what enforces it, and what they could still do."""
    try:
        async with open_sandbox(workers=1, level="weak") as sandbox:
            answer = await sandbox.run("def transform(x): return x", [(1, 2)])
            found = sandbox.hello
    except SandboxError as error:
        return {"level": "none", "reason": str(error)}
    return {
        "level": sandbox.achieved,
        "works": answer.outputs == ((1, 2),),
        "landlock": found["landlock"],
        "seccomp": found["seccomp"],
        "programs_could": found["open"],
        "reason": found["reason"],
        "user": found["uid"],
        "workers": available_cores(),
        "fork_ms": round(1e3 * found["fork_seconds"], 1),
    }


def examine_run(path: Path) -> dict[str, Any]:
    """Return what was checked in a run directory and what is ``damaged`` there, ready for JSON. Reads all of it.

    `ConfigError` if it is not a run directory.
    """
    directory = RunDirectory(path)
    if not directory.begun and not directory.archive.exists():
        raise ConfigError(f"{path} is not a run directory: it has neither manifest.json nor archive.sqlite")
    checked, damaged = [], []
    for name, check in _checks(directory):
        checked.append(name)
        try:
            damaged += [f"{name}: {finding}" for finding in check()]
        except (SoarError, OSError, ValueError, RecursionError) as error:
            damaged.append(f"{name}: {error}")
    return {"run": str(path), "looked_at": checked, "damaged": damaged}


def _checks(directory: RunDirectory) -> Iterator[tuple[str, Callable[[], list[str]]]]:
    """Yield each thing to check with a function that checks it: it returns findings, or raises the only one."""

    def config() -> list[str]:
        raw = directory.config()
        validated({name: each for name, each in raw.items() if not is_own_part(name, each)}, "config.toml")
        return []

    def manifest() -> list[str]:
        directory.manifest()
        return []

    def archive() -> list[str]:
        if not directory.archive.exists():
            raise StoreError("it is missing")
        return audit(directory.archive)

    yield from (("config.toml", config), ("manifest.json", manifest), ("archive.sqlite", archive))
    for folder in (model for each in sorted(directory.path.glob("adapters/*")) for model in models_in(each)):
        if folder.suffix not in UNFINISHED:

            def weights(folder: Path = folder) -> list[str]:
                return [] if is_published(folder) else ["its manifest is missing"]

            yield str(folder.relative_to(directory.path)), weights
    for file in sorted([*directory.path.glob("answers/*.json"), *directory.path.glob("data/*/*.jsonl")]):

        def texts(file: Path = file) -> list[str]:
            text = file.read_text(encoding="utf-8")
            for line in text.splitlines() if file.suffix == ".jsonl" else [text]:
                json.loads(line)
            return []

        yield str(file.relative_to(directory.path)), texts
