"""Where the kernel, or a container, refuses a part of the confinement: what is left, and what is said of that."""

import json
import os
import shutil
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow  # every test opens sandboxes of its own

WAYS = {
    "root of a user namespace with one user": ("unshare", "-Ur"),
    "root without capabilities": ("setpriv", "--bounding-set=-all", "--inh-caps=-all"),
}
RUN = """
import asyncio, json
from pathlib import Path
from soar import open_sandbox

READS = "def transform(path):\\n    try: return open(path).read(9)\\n    except OSError as error: return str(error)"

async def work(**options):
    with open_sandbox(workers=1, **options) as sandbox:
        ran = await sandbox.run("def transform(x): return x + 1", (1, 2))
        read = await sandbox.run(READS, ("/etc/passwd", "/proc/self/status"))
        status = Path(f"/proc/{sandbox.zygote_pids()[0]}/status").read_text()
        capable = [line.split()[1] for line in status.splitlines() if line[:6] in ("CapEff", "CapPrm")]
        return [sandbox.achieved, sandbox.hello, ran.outputs, read.outputs, capable]

print(json.dumps([asyncio.run(work(level=level)) for level in ("full", "weak")]))
"""


WITHOUT_FILTERS = """
import os, platform, struct, sys
from soar.execution.local import confine
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
prctl = {"x86_64": 157, "aarch64": 167}[platform.machine()]
invalid, allow = 0x00050000 | 22, 0x7FFF0000
steps = [(LOAD, 0, 0, 0), (EQUAL, 0, 3, prctl), (LOAD, 0, 0, 16), (EQUAL, 0, 1, confine.PR_SET_SECCOMP)]
steps += [(RETURN, 0, 0, invalid), (RETURN, 0, 0, allow)]
confine._prctl(confine.PR_SET_NO_NEW_PRIVS, 1)
confine.restrict_calls(b"".join(struct.pack("HBBI", *step) for step in steps))
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
UNFILTERED = """
import asyncio, json
from soar import open_sandbox
from soar.errors import SandboxError

async def work(level):
    try:
        with open_sandbox(workers=1, level=level) as sandbox:
            return [sandbox.achieved, (await sandbox.run("def transform(x): return x + 1", (1, 2))).outputs]
    except SandboxError as error:
        return str(error)

print(json.dumps([asyncio.run(work(level)) for level in ("full", "weak")]))
"""


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize("way", WAYS)
def test_root_who_may_not_change_its_user_is_confined_as_root(way):
    wrapper = WAYS[way]
    if shutil.which(wrapper[0]) is None or run(*wrapper, "true").returncode != 0:
        pytest.skip(f"{' '.join(wrapper)} does not work here")
    if way == "root without capabilities" and os.getuid() != 0:
        pytest.skip("this is not root")
    done = run(*wrapper, sys.executable, "-c", RUN)
    assert done.returncode == 0, done.stderr
    for achieved, hello, ran, read, capable in json.loads(done.stdout):
        assert achieved == ("full" if hello["landlock"] else "full without files")
        assert (hello["open"], hello["uid"]) == ([], 0)
        assert hello["reason"].startswith("root stays root, since it may not change its user here: ")
        assert ran == [2, 3]
        assert ["Errno" in each for each in read] == [True, True]
        assert capable == ["0" * 16] * 2


def test_without_filters_of_calls_only_the_weak_level_runs_programs():
    done = run(sys.executable, "-c", WITHOUT_FILTERS, "-c", UNFILTERED)
    assert done.returncode == 0, done.stderr
    full, weak = json.loads(done.stdout)
    assert full.startswith("programs could still do everything here (")
    assert "(no filter of system calls (seccomp) is allowed here)" in full
    assert weak == ["weak", [2, 3]]
