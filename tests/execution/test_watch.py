"""How a worker is watched: a real process from its fork to its end, and what is decided from what the kernel says."""

import json
import math
import os
import subprocess
import sys
import time

import pytest

from soar.execution.local import watch

HEAD = """
import json, math, os, signal, sys, time
from soar.execution.local import confine, watch

def watched(work, cpu=60.0, silent=math.inf):
    results, traces = os.pipe2(os.O_CLOEXEC), os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        try:
            confine.die_with_parent()
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            for number in (signal.SIGUSR1, signal.SIGXCPU): signal.signal(number, signal.SIG_IGN)
            work(results[1], traces[1])
            os._exit(0)
        finally:
            os._exit(9)
    os.close(results[1]), os.close(traces[1])
    for handle in (results[0], traces[0]): os.set_blocking(handle, False)
    relayed = bytearray()
    end = watch.Watch(pid, results[0], traces[0], relayed.extend).until_end(cpu, silent)
    os.close(results[0]), os.close(traces[0])
    return end, relayed

def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end: pass

def flood(handle):
    while True: os.write(handle, b"x" * 65536)

def told(results, traces):
    signal.signal(signal.SIGUSR1, lambda *_: os.write(traces, b"last words"))
    while True: pass

signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
"""
ENDS = """
def speak(r, t):
    for _ in range(6):
        burn(0.05)
        os.write(r, b"x")

def talk(r, t):
    os.write(r, b"a" * 30000); os.write(t, b"trace \\xff" * 1000); os.write(r, b"b")

watch.STILL_SECONDS, watch.STILL_LOOKS, watch.MAX_TRACED = 0.2, 3, 1 << 18
out = {}
def add(name, *args, **options):
    end, relayed = watched(*args, **options)
    out[name] = [end["code"], end["killed"], end["trace"], end["cpu"], len(relayed), relayed[-1:].decode("latin-1")]

add("quiet", lambda r, t: None)
add("says", talk)
add("fails", lambda r, t: os._exit(3))
add("signalled", lambda r, t: os.kill(os.getpid(), 15))
add("killed", lambda r, t: os.kill(os.getpid(), 9))
add("killed after its time", lambda r, t: (burn(0.3), os.kill(os.getpid(), 9)), cpu=0.2)
add("too long", told, cpu=0.2)
add("silent", told, silent=0.15)
add("speaking", speak, silent=0.2)
add("stands still", lambda r, t: time.sleep(1000))
add("stopped", lambda r, t: os.kill(os.getpid(), signal.SIGSTOP))
add("floods traces", lambda r, t: flood(t))
watch.MAX_RELAYED = 1 << 20
add("floods", lambda r, t: flood(r))
json.dump(out, sys.stdout)
"""


class Clock:
    """Stands for the kernel: what it says of a worker's time and state, and what time it is."""

    def __init__(self, monkeypatch) -> None:
        self.now, self.used, self.state = 100.0, 0.0, "S"
        monkeypatch.setattr(watch, "_cpu_seconds", lambda pid: self.used)
        monkeypatch.setattr(watch, "_state", lambda pid: self.state)
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        self.watch = watch.Watch(1, 2, 3, lambda data: None)

    def look(self, seconds: float, drained: int = 0) -> str:
        """Return what a look after so many seconds decides."""
        self.now += seconds
        return self.watch._stall(drained)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def test_a_worker_that_waits_at_ten_looks_over_two_seconds_stands_still(clock):
    assert [clock.look(0.25) for _ in range(10)] == [""] * 9 + ["wall"]


def test_two_seconds_alone_or_ten_looks_alone_are_not_enough(clock):
    assert [clock.look(3) for _ in range(9)] == [""] * 9
    assert clock.look(0) == "wall"


def test_looks_in_quick_succession_do_not_count_as_time(clock):
    assert [clock.look(0.01) for _ in range(100)] == [""] * 100
    assert clock.look(0.9) == ""
    assert clock.look(0.2) == "wall"


@pytest.mark.parametrize("state", ["T", "t"])
def test_a_worker_that_somebody_stopped_is_said_to_be_stopped(clock, state):
    clock.state = state
    assert [clock.look(0.5) for _ in range(10)][8:] == ["", "stopped"]


@pytest.mark.parametrize("sign", ["R", "D", "output", "time"])
def test_a_worker_that_runs_is_ready_or_speaks_is_left_alone_and_counted_anew(clock, sign):
    for _ in range(9):
        clock.look(1)
    clock.state = sign if len(sign) == 1 else "S"
    clock.used += 0.1 * (sign == "time")
    assert clock.look(1, drained=sign == "output") == ""
    clock.state = "S"
    assert [clock.look(1) for _ in range(10)] == [""] * 9 + ["wall"]


def test_a_worker_that_the_kernel_says_nothing_of_has_half_a_minute(clock):
    clock.state = ""
    assert clock.look(30.0) == ""
    assert clock.look(0.1) == "stopped"


def test_output_is_remembered_at_the_time_that_was_used(clock):
    clock.used = 2.0
    clock.look(1, drained=5)
    assert (clock.watch._heard, clock.watch._used) == (2.0, 2.0)
    clock.used = 3.0
    clock.look(1)
    assert (clock.watch._heard, clock.watch._used) == (2.0, 3.0)
    clock.used = 1.0
    clock.look(1, drained=1)
    assert (clock.watch._heard, clock.watch._used) == (1.0, 3.0)


def test_the_kernel_s_word_for_a_process_and_its_time():
    with subprocess.Popen([sys.executable, "-c", "print(1, flush=True); input()"], stdin=-1, stdout=-1) as process:
        assert process.stdout is not None
        process.stdout.readline()
        while (state := watch._state(process.pid)) == "R":
            pass
        assert state == "S"
        assert 0 < watch._cpu_seconds(process.pid) < math.inf
        process.kill()
    assert watch._state(process.pid) == ""
    assert watch._cpu_seconds(process.pid) == 0.0


def test_a_pipe_without_data_is_read_as_nothing():
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    assert watch._read(reading) == b""
    os.set_blocking(writing, False)
    os.write(writing, b"x" * 65_536)
    assert watch._read(reading) == b"x" * 65_536
    os.close(writing)
    os.close(reading)


@pytest.fixture(scope="module")
def ends():
    """Return how processes ended: code, why killed, trace, CPU seconds, bytes relayed and the last of them."""
    # A watch that misses an end would wait for ever.
    done = subprocess.run([sys.executable, "-c", HEAD + ENDS], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_end_is_told_as_it_was(ends):
    for name, code in (("quiet", 0), ("fails", 3), ("signalled", -15), ("killed", -9)):
        assert ends[name][:3] == [code, "", ""], name


def test_what_was_written_is_relayed_whole_and_of_the_traceback_the_end(ends):
    code, killed, trace, _, count, last = ends["says"]
    assert (code, killed, count, last) == (0, "", 30_001, "b")
    assert trace == ("trace \ufffd" * 1000)[-4096:]


def test_a_process_that_uses_too_much_time_is_killed_after_its_last_words(ends):
    for name in ("too long", "silent"):
        assert ends[name][:3] == [-9, "cpu", "last words"], name
    assert ends["killed after its time"][:3] == [-9, "cpu", ""]
    assert ends["killed after its time"][3] > 0.2 > ends["quiet"][3]


def test_a_process_that_speaks_now_and_then_is_not_silent(ends):
    assert ends["speaking"][:2] == [0, ""]


def test_a_process_that_waits_is_told_from_one_that_somebody_stopped(ends):
    assert ends["stands still"][:2] == [-9, "wall"]
    assert ends["stopped"][:2] == [-9, "stopped"]


def test_a_process_that_writes_without_end_is_killed_and_not_all_of_it_is_relayed(ends):
    assert ends["floods"][:2] == ends["floods traces"][:2] == [-9, "output"]
    assert 1 << 20 < ends["floods"][4] <= (1 << 20) + watch.PIPE_BYTES + (1 << 16)
