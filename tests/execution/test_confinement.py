"""What a worker may do and what it has, as the kernel and the programs in it see it."""

import json
import os
import platform
import signal
import subprocess
import sysconfig
from pathlib import Path

import numpy as np
import pytest
import scipy
from contained import descendants
from raw import HELLOS, OTHER, tell, zygote
from shared import run_all

from soar.execution.local import confine, wire


@pytest.mark.parametrize("call", ["kill(PID, 9)", "tgkill(PID, PID, 9)", "tkill(PID, 9)"])
def test_a_program_cannot_signal_a_process_of_its_own_user(call):
    """The kernel lets it, since they have one user: only the filter does not."""
    with subprocess.Popen(["sleep", "60"]) as victim:
        code = f"import ctypes\ndef transform(g): return [[0 if ctypes.CDLL(None).{call} else 1]]"
        (found,) = run_all([code.replace("PID", str(victim.pid))])
        assert victim.poll() is None
        os.kill(victim.pid, 9)
    assert found.outputs != (((1,),),)


def kernel_says(pid: int) -> dict[str, str]:
    """Return what the kernel says of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def limits_of(pid: int) -> dict[str, tuple[str, str]]:
    """Return the soft and the hard limits of a process."""
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]
    return {line[:26].strip(): (line[26:47].strip(), line[47:68].strip()) for line in lines}


@pytest.fixture(scope="module")
def running():
    """Return what the kernel says of a zygote and of its worker while a program runs, and their limits."""
    found: list = []

    def looked(count: int) -> None:
        if not found:
            (worker,) = descendants(served.pid)
            found.extend((kernel_says(served.pid), kernel_says(worker), limits_of(served.pid), limits_of(worker)))
            found.append(os.getsid(served.pid))

    served = zygote()
    code = "def transform(x):\n    while x > 1: pass\n    return x"
    tell([code], inputs=((1, 2),), alone=True, cpu=0.5, most=9.2, meanwhile=looked)
    assert served.pid == found.pop()
    return found


def test_zygote_and_worker_have_no_privileges_and_gain_none(running):
    for status in running[:2]:
        assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
        assert status["NoNewPrivs"] == "1"
        assert status["Threads"] == "1"


def test_a_worker_is_under_a_filter_of_its_calls(running):
    zygote_says, worker_says, *_ = running
    assert (zygote_says["Seccomp"], worker_says["Seccomp"]) == ("0", "2")


def test_a_worker_blocks_no_signal(running):
    worker_says = running[1]
    assert int(worker_says["SigBlk"], 16) == 0
    assert int(worker_says["SigIgn"], 16) & (1 << (signal.SIGINT - 1)) == 0
    assert int(worker_says["SigCgt"], 16) & (1 << (signal.SIGINT - 1)) == 0


def test_a_worker_has_its_limits(running):
    zygote_says, _, _, limits = running
    stack = str(64 << 20)
    assert limits["Max stack size"] == (stack, stack)
    assert limits["Max file size"] == limits["Max core file size"] == limits["Max processes"] == ("0", "0")
    assert limits["Max open files"] == ("32", "32")
    assert limits["Max cpu time"] == ("11", "12")
    soft, hard = map(int, limits["Max address space"])
    assert soft == hard
    zygote_has = int(zygote_says["VmSize"].split()[0]) << 10
    assert 0 <= soft - (512 << 20) - zygote_has + (64 << 20) <= 128 << 20


INSIDE = """
import gc, os, signal, stat, sys
def transform(x):
    def kind(handle):
        try:
            found = os.fstat(handle)
        except OSError:
            return ''
        if stat.S_ISCHR(found.st_mode):
            return f'{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}'
        return 'pipe' if stat.S_ISFIFO(found.st_mode) else 'other'
    return [
        [kind(handle) for handle in range(64)],
        sorted([name, value] for name, value in os.environ.items()),
        sys.argv, sys.path, [finder.__name__ for finder in sys.meta_path], os.getcwd(),
        [name for name in sys.modules if name.partition('.')[0] == 'soar'],
        sys.getrecursionlimit(), gc.get_threshold(), gc.isenabled(), gc.get_freeze_count() > 10000,
        signal.getsignal(signal.SIGINT) == signal.SIG_DFL, sys.flags.hash_randomization, sys.stdout is sys.stderr,
        [list(each[:1]) for each in __import__('warnings').filters],
    ]
"""


@pytest.fixture(scope="module")
def inside():
    """Return what a program sees of its process."""
    (record, *_), _ = tell([INSIDE], alone=True)
    return json.loads(record[3])


def test_a_program_has_two_pipes_and_the_rest_is_dev_null(inside):
    assert inside[0] == ["1:3"] * 3 + ["pipe"] * 2 + [""] * 59


def test_a_program_sees_an_environment_that_says_one_thread(inside):
    names = "BLIS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"
    assert inside[1] == [[name, "1"] for name in names]


def test_a_program_can_import_the_standard_library_and_nothing_of_ours(inside):
    argv, path, finders, folder, ours = inside[2:7]
    assert (argv, folder, ours) == ([""], "/", [])
    places = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    assert all(each in places or each.endswith(("lib-dynload", ".zip")) for each in path)
    assert sysconfig.get_path("stdlib") in path
    assert any(each.endswith("lib-dynload") for each in path)
    assert finders == ["BuiltinImporter", "FrozenImporter", "PathFinder"]


def test_a_program_s_interpreter_is_set_up_as_it_should_be(inside):
    assert inside[7:14] == [1000 + 20, [20_000, 20, 20], True, True, True, 0, True]
    assert inside[14][0] == ["ignore"]


def without_privileges(path: str) -> bool:
    """Return whether this user reaches a path by what its folders allow, not as one who may read everything."""
    folders = [folder.stat() for folder in Path(path).parents]
    return all(folder.st_uid == os.getuid() or folder.st_mode & 0o001 for folder in folders)


own_libraries = pytest.mark.skipif(
    not without_privileges(os.__file__), reason="this user may read the standard library only by a privilege"
)


def reads(path: str) -> bool:
    """Return whether a program can read a file or a folder."""
    code = f"import os\ndef transform(x): return len(os.listdir({path!r}) if os.path.isdir({path!r}) else "
    (record, *_), _ = tell([code + f"open({path!r}, 'rb').read(9))"], alone=True)
    return record[0] == wire.VALUE


@own_libraries
def test_a_program_reads_the_libraries_and_nothing_else(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    secret.chmod(0o644)
    system = [path for path in ("/etc/ld.so.cache", "/lib64") if Path(path).exists()]
    for path in (os.__file__, json.__file__, np.__file__, str(Path(scipy.__file__).parent), *system):
        assert reads(path), path
    site = str(Path(pytest.__file__).parent)
    for path in (str(secret), str(tmp_path), pytest.__file__, site, __file__, "/etc/passwd", "/proc/self/status", "/"):
        assert not reads(path), path


@own_libraries
def test_a_module_of_the_standard_library_can_be_imported_and_an_installed_one_cannot():
    for name, wanted in (
        ("textwrap", True),
        ("sqlite3", True),
        ("pytest", False),
        ("soar", False),
        ("pydantic", False),
    ):
        (record, *_), _ = tell([f"import {name}\ndef transform(x): return 1"], alone=True)
        assert (record[0] == wire.VALUE) is wanted, name


def test_a_zygote_says_how_it_is_confined():
    made = zygote()
    hello = HELLOS[made.pid]
    assert {*hello} == {"python", "seccomp", "landlock", "reason", "uid", "open", "fork_seconds"}
    assert (hello["python"], hello["seccomp"], hello["open"]) == (platform.python_version(), True, [])
    assert (hello["landlock"], hello["reason"]) == (confine.landlock_version(), "")
    assert hello["uid"] == int(kernel_says(made.pid)["Uid"].split()[0])
    assert 0 < hello["fork_seconds"] < 1


def test_a_zygote_without_landlock_says_so_and_still_confines():
    made = zygote(**OTHER)
    opening = "import os\ndef answer(x): return len(os.listdir('/'))"
    hello = HELLOS[made.pid]
    assert (hello["landlock"], hello["open"]) == (0, [])
    big = "def answer(x):\n    return len(bytearray({} << 20))"
    for code, type_ in ((opening, "PermissionError"), (big.format(200), "MemoryLimit")):
        (record, *_), _ = tell([code], alone=True, to=made)
        assert json.loads(record[3])[0] == type_
    (record, *_), _ = tell([big.format(10)], alone=True, to=made)
    assert record[0] == wire.VALUE
