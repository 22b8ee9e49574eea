"""Faults that came from outside: what a program did must be true, whoever ran beside it and whatever befell its
process."""

import asyncio
import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from batches import HARMLESS, work
from contained import GOOD, GRID, MIRRORED, descendants
from poison import AFTERWARDS, CACHES, KINDS, NAMES_MADE_AT_RUN_TIME, POISON, STANDING, WHAT_SETS_ATTRIBUTES
from shared import run_all, shared

import soar
from soar.errors import SandboxError
from soar.execution import open_sandbox
from soar.execution.local import supervisor
from soar.execution.local.batch import failure_at_end
from soar.types import Failure

HERE = Path(__file__).parent
LOOP = "def transform(g):\n    while True: pass"

OTHER_SIGNALS = signal.SIGTERM, signal.SIGINT, signal.SIGSTOP

LINEAR = {
    "products": "X = np.eye(10)[g.ravel()]; return (X @ X.T).astype(int)[:30, :30]",
    "eigh": "return np.round(np.linalg.eigh(np.diag(np.arange(26.0)))[0]).astype(int)[None] // 3",
    "solve": "return np.round(np.linalg.solve(np.eye(40) * 2, np.full((40, 1), 6.0))).astype(int)[:30]",
    "svd": "return np.round(np.linalg.svd(np.eye(30))[1]).astype(int)[None]",
    "lstsq": "return np.round(np.linalg.lstsq(np.eye(30), np.ones((30, 1)) * 4, rcond=None)[0]).astype(int)",
    "inverse": "return np.round(np.linalg.inv(np.eye(30) / 3)).astype(int)",
    "fft": "return np.round(np.abs(np.fft.ifft2(np.fft.fft2(g)))).astype(int)",
    "ndimage": "return ndimage.label(ndimage.convolve(g, np.ones((3, 3))) > 0)[0]",
    "einsum": "return np.einsum('ij,kj->ik', np.eye(30), np.eye(30)).astype(int)",
    "sparse": "return (sparse.csr_matrix(np.eye(15)) @ sparse.eye(15)).toarray().astype(int)",
    "sparse solve": "return np.round(spsolve(sparse.csc_matrix(np.eye(9) * 2), np.full(9, 8.0))).astype(int)[None]",
    "scipy.linalg": "return np.round(linalg.expm(np.zeros((20, 20)))).astype(int)",
}
SQUARE = tuple(tuple((x * y) % 10 for x in range(15)) for y in range(15))
IMPORTS = {
    "sparse": "from scipy import sparse\n",
    "sparse solve": "from scipy import sparse\nfrom scipy.sparse.linalg import spsolve\n",
    "scipy.linalg": "from scipy import linalg\n",
}


def test_linear_algebra_works_in_a_batch():
    head = "import numpy as np\nfrom scipy import ndimage\n"
    codes = {
        name: f"{head}{IMPORTS.get(name, '')}def transform(g):\n    g = np.array(g)\n    {body}"
        for name, body in LINEAR.items()
    }
    for name, found in zip(codes, run_all(codes.values(), inputs=(SQUARE,)), strict=True):
        names: dict = {}
        exec(codes[name], names)
        assert found.outputs == (tuple(map(tuple, np.array(names["transform"](SQUARE)).tolist())),), name


@pytest.mark.slow
def test_no_harmless_program_of_a_hundred_random_batches_gets_a_wrong_verdict_from_hostile_ones_beside_it():
    assert len(KINDS) >= 40
    report = asyncio.run(work(batches=100, seed=0))
    assert report.wrong == []
    assert report.verdicts == 100 * HARMLESS


def test_a_few_random_batches_are_right_too():
    assert asyncio.run(work(batches=4, seed=2)).wrong == []


GUARDED = """
import os, sys, types
from soar.execution.local import guard, triage, zygote
from poison import *
zygote._preload(triage.IMPORTABLE)
zygote._warm_up()
sys.modules["program"] = types.ModuleType("program")
ours = [module for name, module in sys.modules.items() if name.startswith("soar.")]

def sees(code):
    names = {"__name__": "program"}
    try:
        exec(compile(code, "<program>", "exec"), names)
        names["transform"]([[1, 2], [3, 4]])
    except BaseException:
        pass
    return not main.state.spotless()

def main():
    for name, code in eval(sys.argv[1]).items():
        reading, writing = os.pipe()
        if os.fork() == 0:
            os.write(writing, b"1" if sees(code) else b"0")
            os._exit(0)
        os.wait()
        if os.read(reading, 1) == b"0":
            print(name)

main.state = guard.Guard(triage.shared_modules(), ours, triage.all_classes())
assert main.state.spotless(), main.state.traces()
main()
"""
UNSEEN = {
    "a function's code",  # set on what dispatches to the function, which never looks at it
    "an order for a shared class",  # fails
    "a class made by an enumeration",  # fails
}


@pytest.mark.parametrize("kinds", ["NAMES_MADE_AT_RUN_TIME", "WHAT_SETS_ATTRIBUTES"])
def test_a_look_sees_what_was_changed_also_by_programs_that_the_triage_would_not_have_let_in(kinds):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(Path(soar.__file__).parents[1])])}
    command = [sys.executable, "-c", GUARDED, kinds]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.splitlines()) <= UNSEEN


def test_what_was_judged_beside_a_program_that_left_a_trace_is_judged_again():
    """These change what all share by plain names, which is noticed only after they ran."""
    evil = {
        name: code
        for name, code in {**NAMES_MADE_AT_RUN_TIME, **WHAT_SETS_ATTRIBUTES, **CACHES}.items()
        if name in ("a plain attribute", "a shared instance", "limits that all are given", "an alias that hands on")
    }
    good = [f"{GOOD}# {number}" for number in range(20)]
    found = run_all([*good[:10], *evil.values(), *good[10:]])
    assert all(execution.outputs == (MIRRORED,) for execution in found[:10] + found[-10:])
    assert all(execution.outputs == (GRID,) for execution in found[10:-10])


@pytest.mark.parametrize("name", AFTERWARDS)
def test_what_a_program_leaves_behind_does_not_go_off_in_the_time_of_the_next(name):
    codes = [f"{GOOD}# before {name}", AFTERWARDS[name], *(f"{GOOD}# {number} after {name}" for number in range(5))]
    found = run_all(codes, cpu_seconds=0.3)
    assert [execution.outputs for execution in (found[0], *found[2:])] == [(MIRRORED,)] * 6


def test_what_takes_too_long_in_company_has_all_of_its_time_alone():
    slow = "import time\ndef transform(g):\n    while time.process_time() < 0.6: pass\n    return g"
    busy = "def transform(g):\n    x = 0\n    for i in range(3 * 10 ** 6): x += i\n    return g"
    assert [execution.outputs for execution in run_all([GOOD, busy, slow], cpu_seconds=4)] == [
        (MIRRORED,),
        (GRID,),
        (GRID,),
    ]


@pytest.mark.parametrize("name", STANDING)
def test_a_program_cannot_stand_still_or_look_as_if_it_had_been_killed(name):
    (found,) = run_all([STANDING[name]], cpu_seconds=0.3)
    (output,) = found.outputs
    assert isinstance(output, Failure)
    assert output.type in ("PermissionError", "itimer_error", "Timeout")


def test_the_kernel_ends_who_ignores_every_signal_of_its_limit():
    code = (
        "import signal\nfrom soar.execution.local import confine\nconfine.limit(1 << 40, 1)\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True: pass"
    )
    done = subprocess.run([sys.executable, "-c", code])
    assert done.returncode == -signal.SIGKILL
    assert failure_at_end({"code": -signal.SIGKILL, "killed": "cpu", "trace": ""}, b"").type == "Timeout"


class Harm(threading.Thread):
    """Sends a signal to each worker of a sandbox again and again, `times` in all."""

    def __init__(self, zygotes, number, times) -> None:
        super().__init__()
        self.zygotes, self.number, self.left = zygotes, number, times

    def run(self) -> None:
        hurt: set[int] = set()
        while self.left > 0:
            for worker in {pid for zygote in self.zygotes() for pid in descendants(zygote)} - hurt:
                try:
                    os.kill(worker, self.number)
                except ProcessLookupError:
                    continue
                hurt.add(worker)
                self.left -= 1


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, *(pytest.param(each, marks=pytest.mark.slow) for each in OTHER_SIGNALS)]
)
def test_what_befalls_a_process_from_outside_is_not_judged_as_the_program_s(number):
    slow = "def transform(g):\n    x = 0\n    for i in range(10 ** 6): x += i\n    return g"

    async def work(sandbox):
        async with sandbox:
            harm = Harm(sandbox.zygote_pids, number, 3)
            harm.start()
            try:
                codes = [f"{slow}\n# {number}" for number in range(5)]
                return await asyncio.gather(*(sandbox.run(code, (GRID,)) for code in codes))
            finally:
                harm.left = 0
                harm.join()

    found = asyncio.run(work(open_sandbox(workers=1, codec="arc", cpu_seconds=3)))
    assert [execution.outputs for execution in found] == [(GRID,)] * 5


def test_a_program_whose_process_is_killed_again_and_again_from_outside_is_said_not_judged(monkeypatch):
    monkeypatch.setattr(supervisor, "FIRST_DELAY", 0.01)

    async def work(sandbox):
        async with sandbox:
            harm = Harm(sandbox.zygote_pids, signal.SIGKILL, 10**6)
            harm.start()
            try:
                await sandbox.run(LOOP, (GRID,))
            finally:
                harm.left = 0
                harm.join()

    with pytest.raises(SandboxError, match=r"killed from outside 7 times.*memory"):
        asyncio.run(work(open_sandbox(workers=1, codec="arc", cpu_seconds=30)))


def test_a_zygote_killed_while_it_starts_is_said_to_have_been_killed(monkeypatch, tmp_path):
    script = tmp_path / "zygote.py"
    script.write_text("import os\nos.kill(os.getpid(), 9)\n")
    monkeypatch.setattr("soar.execution.local.link.SCRIPT", script)
    with pytest.raises(SandboxError, match=r"SIGKILL.*OOM killer.*executor.workers"):
        open_sandbox(workers=1, codec="arc").__enter__()


@pytest.mark.parametrize("limit", [40, 12, 6])
def test_few_file_descriptors_are_enough_or_the_error_says_to_raise_them(limit):
    code = (
        "import asyncio\nfrom soar.execution import open_sandbox\nwith open_sandbox(workers=1, codec='arc') as box:\n"
        f"    print(asyncio.run(box.run({GOOD!r}, [{GRID}])))"
    )

    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, preexec_fn=few)
    if done.returncode == 0:
        assert str(MIRRORED) in done.stdout
    else:
        assert "ulimit -n" in done.stderr


def test_a_process_limit_is_named(monkeypatch):
    def refused(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", refused)
    with pytest.raises(SandboxError, match=r"ulimit -u.*executor.workers"):
        open_sandbox(workers=1, codec="arc").__enter__()


@pytest.mark.slow
def test_every_kind_that_goes_for_its_neighbours_is_right_about_them():
    """One after the other in one worker each, a good program before and after."""
    for name, code in POISON.items():
        found = run_all([f"{GOOD}# a {name}", code, f"{GOOD}# b {name}"], cpu_seconds=0.3)
        assert found[0].outputs == found[2].outputs == (MIRRORED,), name
    assert shared(cpu_seconds=0.3).zygote_pids()
