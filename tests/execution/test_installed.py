"""A zygote finds NumPy and SciPy where the supervisor does, though it gets no environment and no user's site folder."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import numpy as np
import pytest
import scipy

import soar
from soar.execution.local import link

pytestmark = pytest.mark.slow  # every test opens sandboxes of its own

SITE = str(Path(np.__file__).parents[1])
SOURCE = str(Path(soar.__file__).parents[1])
RUN = """
import asyncio, json, os, sys
from soar import open_sandbox

PROGRAM = "import sys, numpy\\ndef transform(x): return [numpy.__file__, sys.path, int(numpy.sum([x, x]))]"
IMPORTS = "import pytest\\ndef transform(x): return x"

async def work():
    with open_sandbox(workers=1) as sandbox:
        return [(await sandbox.run(code, (1,))).outputs[0] for code in (PROGRAM, IMPORTS)]

print(json.dumps([sys.path, *asyncio.run(work())], default=lambda failure: failure.type))
"""


def by_path(folder: Path) -> tuple[Path, dict[str, str]]:
    """Return a Python without any package, and an environment in which it finds ours."""
    venv.create(folder, with_pip=False, symlinks=True)
    return folder / "bin" / "python", {"PYTHONPATH": os.pathsep.join([SOURCE, SITE])}


def by_user_site(folder: Path) -> tuple[Path, dict[str, str]]:
    """Return the Python that has made this one's environment, and one in which our packages are the user's."""
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    user = Path(sysconfig.get_path("purelib", "posix_user", vars={"userbase": str(folder)}))
    user.parent.mkdir(parents=True)
    user.symlink_to(SITE)
    return Path(sys.base_prefix) / "bin" / name, {"PYTHONPATH": SOURCE, "PYTHONUSERBASE": str(folder)}


@pytest.mark.parametrize("install", [by_path, by_user_site])
def test_a_sandbox_opens_however_its_libraries_are_installed(tmp_path, install):
    python, environment = install(tmp_path)
    done = subprocess.run([python, "-c", RUN], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    ours, (found, path, total), imported = json.loads(done.stdout)
    assert Path(found).resolve() == Path(np.__file__).resolve()
    assert total == 2
    assert not any(folder.endswith("-packages") for folder in path)
    assert {*path} < {*ours}
    assert imported == "ModuleNotFoundError"


def test_the_folders_of_the_libraries_are_named_once():
    assert link.library_folders() == list(dict.fromkeys([SITE, str(Path(scipy.__file__).parents[1])]))
