"""What this machine offers a run: the sandbox's level with its proof, Python, SQLite, disk, threads."""

import asyncio
import os
import platform
import shutil
import sqlite3
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from soar.errors import SandboxError
from soar.execution import available_workers, open_sandbox


def examine(where: Path = Path()) -> dict[str, Any]:
    """Return the findings by name, ready for JSON. Starts a sandbox and runs one program in it."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "sandbox": asyncio.run(_sandbox()),
        "sqlite": sqlite3.sqlite_version,
        "disk_free_gb": round(shutil.disk_usage(where).free / 1e9, 1),
        "cores": available_workers(),
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
        "workers": available_workers(),
        "fork_ms": round(1e3 * found["fork_seconds"], 1),
    }
