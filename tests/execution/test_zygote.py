"""What a zygote does before and after each worker: what it loads and lets be read, how it forks and answers."""

import json
import os
import platform
import re
import struct
import subprocess
import sys
import sysconfig
import threading
from pathlib import Path

import numpy as np
import pytest
import scipy
from raw import SETTINGS, tell

from soar.errors import SandboxError
from soar.execution.local import link, zygote

FORKING = """
import json, math, os, signal, struct, sys, time
from types import SimpleNamespace
from soar.execution.local import confine, watch, wire, zygote

class Jail:
    def __init__(self): self.entered = []
    def enter(self, parent, results, traces, cpu, memory):
        confine.die_with_parent()
        if self.entered: raise ValueError("no jail")
        os.write(results, json.dumps([parent == os.getppid(), cpu, memory]).encode())
        os.dup2(results, 3), os.dup2(traces, 4)

jail = Jail()
ours, theirs = __import__("socket").socketpair()
made = zygote.Zygote(theirs.fileno(), 12345, jail, watch.Watch)
out = {}

def run(name, work, *more):
    said = bytearray()
    end = made.run(work, 7.5, said.extend, *more)
    out[name] = [end["code"], end["killed"], end["trace"], said.decode()]

def raises(): raise ValueError
handles = len(os.listdir("/proc/self/fd"))
run("quiet", lambda: None)
run("speaks", lambda: zygote._write_all(3, b"more"))
run("raises", raises)
run("silent", lambda: [None for _ in iter(int, 1)], 0.1)
out["handles left"] = len(os.listdir("/proc/self/fd")) - handles
out["blocked"] = signal.SIGCHLD in signal.pthread_sigmask(signal.SIG_BLOCK, ())
out["fork"] = 0 < made.fork_seconds() < 5
jail.entered = [1]
run("no jail", lambda: None)

class Ends:
    def __init__(self, *ends): self.ends, self.runs, self.asked = list(ends), 0, []
    def __call__(self, work, cpu, relay, silent=math.inf):
        self.asked.append([cpu, silent == math.inf])
        said, end = self.ends.pop(0)
        relay(said)
        self.runs += 1
        return {"code": 0, "killed": "", "trace": "", "cpu": 0.5, **end}

killed = b"", {"code": -9}
for name, ends in {
    "at once": [(b'["a"]', {})],
    "killed first": [killed, killed, (b"[]", {})],
    "killed always": [killed] * 9,
    "ended": [(b"", {"code": 70, "trace": " why "})],
    "too long": [(b"", {"code": -9, "killed": "cpu"})] * 9,
}.items():
    made.run = Ends(*ends)
    try: said = made.possible(list)
    except RuntimeError as error: said = str(error)
    out["possible " + name] = [said, made.run.runs, made.run.asked[0]]
made.run = Ends(*[(b"", {"cpu": cpu}) for cpu in (3.0, 2.0, 4.0)])
out["least"] = [2.0 <= made.fork_seconds() < 3.0, made.run.runs, made.run.asked]

requests = []
def served(work, cpu, relay, silent):
    work()
    relay(b"some")
    return {"cpu": cpu, "silent": silent}
made.run = served
for cpu, silent, request in ((1.0, 2.0, b"first"), (3.0, 4.0, b"")):
    data = wire.ORDER.pack(cpu, silent) + request
    ours.sendall(struct.pack("<I", len(data)) + data)
ours.shutdown(1)
made.serve(wire.ORDER, requests.append)
out["served"] = [[each.decode() for each in requests], ours.recv(1 << 16).decode("latin-1")]
json.dump(out, sys.stdout)
"""


@pytest.fixture(scope="module")
def forked():
    """Return how workers ended that a zygote forked without a jail."""
    # A zygote that misses an end would wait for ever.
    done = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_worker_enters_its_jail_works_and_ends(forked):
    entered = json.dumps([True, 7.5, 12345])
    assert forked["quiet"] == [0, "", "", entered]
    assert forked["speaks"] == [0, "", "", entered + "more"]
    assert forked["raises"] == [70, "", "", entered]
    assert forked["silent"][1] == "cpu"


def test_a_worker_that_could_not_be_jailed_does_not_work_and_says_why(forked):
    assert forked["no jail"] == [70, "", "ValueError: no jail", ""]


def test_a_zygote_keeps_no_pipe_of_a_worker_and_waits_for_its_end(forked):
    assert forked["handles left"] == 0
    assert forked["blocked"]
    assert forked["fork"]


def test_the_cost_of_a_fork_is_the_least_of_three(forked):
    assert forked["least"] == [True, 3, [[5.0, True]] * 3]


def test_confinement_is_tried_again_if_somebody_kills_who_tries_it(forked):
    why = "a worker ended before it had tested its confinement: "
    assert forked["possible at once"] == [["a"], 1, [5.0, True]]
    assert forked["possible killed first"][:2] == [[], 3]
    for name, runs, end in (("killed always", 5, "'code': -9"), ("too long", 1, "'killed': 'cpu'")):
        said, count, _ = forked[f"possible {name}"]
        assert said.startswith(why + "{")
        assert end in said
        assert count == runs
    assert forked["possible ended"][:2] == [why + "why", 1]


def test_requests_are_answered_in_their_order_until_the_supervisor_is_gone(forked):
    def frame(kind: str, text: str) -> str:
        return kind + struct.pack("<I", len(text)).decode("latin-1") + text

    ends = (json.dumps({"cpu": 1.0, "silent": 2.0}), json.dumps({"cpu": 3.0, "silent": 4.0}))
    assert forked["served"] == [["first", ""], "".join(frame("d", "some") + frame("e", end) for end in ends)]


def test_what_goes_wrong_before_a_zygote_is_confined_is_said():
    wrong = {**SETTINGS, "codec": "soar.nothing_of_this_name"}, {}
    reasons = r"ModuleNotFoundError: No module named 'soar\.nothing_of_this_name'", "KeyError: 'codec'"
    for settings, said in zip(wrong, reasons, strict=True):
        made = link.Zygote(settings)
        with pytest.raises(SandboxError, match=f"^the sandbox could not confine itself: {said}"):
            made.greeting()


def test_what_is_read_is_exactly_what_was_sent():
    reading, writing = os.pipe()
    zygote._send(writing, b"d", b"abc")
    assert os.read(reading, 99) == b"d" + struct.pack("<I", 3) + b"abc"
    os.write(writing, struct.pack("<I", 5) + b"12345" + struct.pack("<I", 0) + struct.pack("<I", 9) + b"123")
    os.close(writing)
    assert [zygote._receive(reading) for _ in range(4)] == [b"12345", b"", None, None]
    os.close(reading)


def test_what_is_written_arrives_whole_however_little_the_pipe_takes():
    reading, writing = os.pipe()
    data = bytes(range(256)) * 4096
    read: list = []
    thread = threading.Thread(target=lambda: read.append(zygote._read_exactly(reading, len(data))))
    thread.start()
    zygote._write_all(writing, data)
    thread.join()
    assert read == [data]
    os.close(writing)
    assert zygote._read_exactly(reading, 1) is None
    assert zygote._read_exactly(reading, 0) == b""
    os.close(reading)


def test_packages_between_ours_and_a_codec_are_named():
    assert zygote._parents("soar.domains.arc.codec") == ["soar.domains", "soar.domains.arc"]
    assert zygote._parents("soar.codec") == []


def test_the_libraries_are_the_standard_one_without_site_folders_numpy_scipy_and_the_system_s():
    found = zygote._libraries()
    assert len(found) == len({*found})
    assert all(Path(path).exists() for path in found)
    places = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    packages = {str(Path(str(package.__file__)).parent) for package in (np, scipy)}
    wanted = {str(Path(os.__file__)), str(Path(json.__file__).parent), *packages}
    assert wanted <= {*found}
    libraries = {f"{path}.libs" for path in packages if Path(f"{path}.libs").exists()}
    machine = platform.machine()
    system = {f"/lib/{machine}-linux-gnu", f"/usr/lib/{machine}-linux-gnu", "/lib64", "/usr/lib64", "/etc/ld.so.cache"}
    rest = {*found} - packages - libraries
    assert {path for path in system if Path(path).exists()} == rest & system
    assert {str(Path(path).parent) for path in rest - system} <= places
    assert not any(path.endswith("-packages") for path in found)


def test_libraries_are_sought_after_the_standard_one_and_before_other_site_folders(monkeypatch):
    standard = ["/lib/python311.zip", "/lib/python3.11", "/lib/python3.11/lib-dynload"]
    site = ["/lib/python3.11/site-packages", "/lib/python3/dist-packages"]
    for before, libraries, after in (
        ([*standard, *site], ["/home/a", "/b"], [*standard, "/home/a", "/b", *site]),
        ([*standard, *site], ["/home/a", site[1]], [*standard, "/home/a", *site]),
        ([*standard, *site], [site[0]], [*standard, *site]),
        (standard, ["/home/a"], [*standard, "/home/a"]),
    ):
        monkeypatch.setattr(sys, "path", list(before))
        zygote._search(libraries)
        assert sys.path == after
        monkeypatch.setattr(sys, "meta_path", [])
        monkeypatch.setattr(sys, "modules", {})
        monkeypatch.setattr(sysconfig, "get_path", {"stdlib": standard[1], "platstdlib": standard[1]}.get)
        zygote._forget_project()
        assert sys.path == standard


def test_the_size_of_a_process_is_what_the_kernel_says():
    status = Path("/proc/self/status").read_text()
    (kilobytes,) = re.findall(r"VmSize:\s+(\d+) kB", status)
    assert abs(zygote._own_size() - (int(kilobytes) << 10)) < 64 << 20


def test_other_threads_are_refused_by_their_number():
    stop = threading.Event()
    threads = [threading.Thread(target=stop.wait) for _ in range(2)]
    before = len(list(Path("/proc/self/task").iterdir()))
    for thread in threads:
        thread.start()
    try:
        wanted = f"{before + 2} threads after NumPy and SciPy were loaded, expected 1: they ignore {zygote.THREADS}"
        with pytest.raises(RuntimeError, match=f"^{re.escape(wanted)}$"):
            zygote._refuse_threads()
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_one_thread_is_as_it_should_be():
    code = "from soar.execution.local import zygote\nzygote._refuse_threads()"
    environment = {**os.environ, **dict.fromkeys(zygote.THREADS, "1")}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


FIRST_USES = """
import numpy as np
from scipy import ndimage
import copy, dataclasses, fractions, random, statistics, string, typing

def transform(x):
    a = np.array([[1, 2], [3, 4]])
    np.finfo(np.half).eps, np.finfo(np.longdouble).tiny, np.iinfo('b').max, np.iinfo('Q').min, np.finfo(float).maxexp
    ndimage.label(a), np.matmul(a, a), np.random.default_rng(1), np.linalg.matrix_rank(a), np.array2string(a), str(a)
    np.unique(a, axis=0), np.pad(a, 1), np.int8(100) + np.int8(100), np.array(1) / 0
    copy.deepcopy([fractions.Fraction(1, 2), random.Random(1), {1: 2}]), statistics.mean([1, 2])
    return x
"""


def test_what_is_loaded_on_first_use_is_loaded_already_so_that_nothing_seems_to_change():
    """Were it not, the look would find that this program changed something, and what it gave would not count."""
    records, _ = tell([FIRST_USES, FIRST_USES.replace("return x", "return 5")])
    assert [record[:2] for record in records] == [(1, 0), (7, 0), (1, 1), (7, 1), (9, 1), (8, 1)]
