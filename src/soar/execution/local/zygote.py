"""The confined process that forks a worker per request. The supervisor runs this file as a script.

It passes bytes on: requests to the worker it forks, what the worker writes to the supervisor. It never parses, compiles
or unpickles anything that comes from a program. Standard library only, and what programs share, preloaded.
"""

import contextlib
import faulthandler
import fcntl
import gc
import importlib
import json
import math
import os
import platform
import signal
import struct
import sys
import sysconfig
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

RESULTS, TRACES = 3, 4
FAILED = 70
OUR_FRAMES = 20
"""How deep a worker stands when it calls a program, about: a program may recurse as deep as anywhere else."""

RARE_COLLECTIONS = (20_000, 20, 20)
"""Thresholds of the garbage collector. A program makes few cycles before its worker ends, and as many collections as by
default would cost some per cent of its time."""

CANARIES = 5
"""How many workers may be killed from outside while they try the confinement."""

TICK, MAX_TICK = 0.005, 0.1
"""How long the zygote lets a worker run before it looks after it: little at first, then longer and longer, since each
look costs two processes a start from cold, unless the worker writes much."""

MUCH = 1 << 15
LAST_WORDS = 0.02
"""Seconds that a worker has to say where it is before it is killed."""

IDLE_SECONDS = 30.0
PIPE_BYTES = 1 << 18
MAX_TRACE, MAX_TRACED = 4096, 1 << 18
MAX_RELAYED = 64 << 20


def _as_package(codec: str) -> None:
    """Make this folder and the module of the codec importable here, without running what their packages import for the
    supervisor."""
    root = Path(__file__).resolve().parents[2]
    for package in ("soar", "soar.execution", "soar.execution.local", *_parents(codec)):
        module = ModuleType(package)
        module.__path__ = [str(root.joinpath(*package.split(".")[1:]))]
        sys.modules[package] = module


def _parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:end]) for end in range(2, len(parts))]


def main() -> None:
    """Confine this process, prove it, say so, and serve requests until the supervisor is gone."""
    null = os.open(os.devnull, os.O_RDWR)
    channel = fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, 10)
    for handle in (0, 1, 2):
        os.dup2(null, handle)
    settings = json.loads(_receive(channel) or b"{}")
    os.environ.clear()
    try:
        serve = prepare(settings, channel)
    except Exception as error:  # noqa: BLE001 - whatever it is, the supervisor must hear of it
        _send(channel, b"x", f"{type(error).__name__}: {error}".encode())
        return
    serve()


def prepare(settings: dict[str, Any], channel: int) -> Callable[[], None]:
    """Preload, confine, prove and say so; return what serves requests from then on."""
    _as_package(settings["codec"])
    codec: Any = importlib.import_module(settings["codec"])
    from soar.execution.local import calls, canary, confine, guard, triage, wire, worker

    _preload(triage.IMPORTABLE)
    guard.make_entropy_fixed()
    folders = _libraries()
    memory = _own_size() + settings["memory_mb"] * (1 << 20)
    hello: dict[str, Any] = {
        "python": platform.python_version(),
        "seccomp": calls.supported(),
        "landlock": 0,
        "reason": "",
    }
    confine.become_nobody(folders)
    confine.isolate()
    try:
        hello["landlock"] = confine.restrict_files(folders) if settings["landlock"] else 0
    except confine.Unavailable as error:
        hello["reason"] = str(error)
    hello["uid"] = os.getuid()
    warnings.simplefilter("ignore")
    sys.setrecursionlimit(sys.getrecursionlimit() + OUR_FRAMES)
    _forget_project()
    sink = worker.Sink()
    sys.stdout = sys.stderr = sink  # type: ignore[assignment]
    sys.modules["program"] = ModuleType("program")
    shunned = triage.shunned_names(triage.shared_modules())
    watch = guard.Guard(triage.shared_modules())
    jail = Jail(confine, calls, landlocked=hello["landlock"] > 0, filtered=hello["seccomp"])
    zygote = Zygote(channel, memory, jail)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*RARE_COLLECTIONS)
    if hello["seccomp"]:
        hello["open"] = zygote.possible(canary.possible)
    else:
        hello.update(open=["everything"], reason=f"no table of system calls for {platform.machine()}")
    hello["fork_seconds"] = zygote.fork_seconds()
    _send(channel, b"h", json.dumps(hello).encode())

    def work(data: bytes) -> None:
        request = wire.unpack_request(data)
        worker.Worker(request, watch, shunned, sink, codec, settings["signature"]).work()

    return lambda: zygote.serve(wire.ORDER, work)


def _preload(names: frozenset[str]) -> None:
    for name in sorted(names):
        __import__(name)
    # What the preloaded modules load when first used, so that no program pays for it or is seen to change anything.
    import numpy as np
    from scipy import ndimage

    ndimage.label(np.eye(3, dtype=int))
    np.matmul(np.eye(2), np.eye(2))
    np.random.default_rng(0)
    np.linalg.matrix_rank(np.eye(2))
    np.array2string(np.eye(2))
    np.unique(np.eye(2), axis=0)
    np.pad(np.eye(2), 1)


def _libraries() -> list[str]:
    """Return what a program may read: the interpreter's and the system's libraries; no site folder, project or home."""
    import numpy
    import scipy

    found = []
    for folder in sorted({sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}):
        with contextlib.suppress(OSError):
            found += [str(entry) for entry in Path(folder).iterdir() if not entry.name.endswith("-packages")]
    for package in (numpy, scipy):
        folder = Path(package.__path__[0])
        found += [str(folder), str(folder.with_name(folder.name + ".libs"))]
    machine = platform.machine()
    system = (f"/lib/{machine}-linux-gnu", f"/usr/lib/{machine}-linux-gnu", "/lib64", "/usr/lib64", "/etc/ld.so.cache")
    return [path for path in (*found, *system) if Path(path).exists()]


def _own_size() -> int:
    """Return the bytes of address space that this process has now."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGESIZE")


def _forget_project() -> None:
    """Leave only the standard library to import from; what is loaded of NumPy and SciPy finds its parts by itself."""
    keep = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    sys.path[:] = [path for path in sys.path if path in keep or path.endswith("lib-dynload") or path.endswith(".zip")]
    sys.meta_path[:] = [finder for finder in sys.meta_path if getattr(finder, "__module__", "").startswith("_frozen_")]
    for name in [name for name in sys.modules if name == "soar" or name.startswith("soar.")]:
        del sys.modules[name]
    sys.argv[:] = [""]


class Zygote:
    """Forks workers and watches each until it ends."""

    def __init__(self, channel: int, memory: int, jail: "Jail") -> None:
        self._channel = channel
        self._memory = memory
        self._jail = jail
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})

    def serve(self, order: struct.Struct, work: Callable[[bytes], None]) -> None:
        """Answer requests, one worker each, until the supervisor closes the channel."""
        while (data := _receive(self._channel)) is not None:
            (cpu,) = order.unpack_from(data)
            request = data[order.size :]
            end = self.run(lambda: work(request), cpu, self._relay)  # noqa: B023
            _send(self._channel, b"e", json.dumps(end).encode())

    def fork_seconds(self) -> float:
        """Return what a worker that does nothing costs in CPU time, here and there."""
        costs, said = [], bytearray()
        for _ in range(3):
            begun = time.process_time()
            end = self.run(lambda: None, 5.0, said.extend)
            costs.append(time.process_time() - begun + end["cpu"])
        return min(costs)

    def possible(self, attempt: Callable[[], list[str]]) -> list[str]:
        """Return which forbidden things a worker could do."""
        end: dict[str, Any] = {}
        for _ in range(CANARIES):
            said = bytearray()
            end = self.run(lambda: _write_all(RESULTS, json.dumps(attempt()).encode()), 5.0, said.extend)
            if said:
                return json.loads(said)
            if end["killed"] or end["code"] != -signal.SIGKILL:
                break
        raise RuntimeError(f"a worker ended before it had tried its confinement: {end}")

    def run(self, work: Callable[[], None], cpu: float, relay: Callable[[bytes], object]) -> dict[str, Any]:
        """Fork a worker for `work`, pass on what it writes, end it when it takes too long; return how it ended."""
        results, traces = os.pipe2(os.O_CLOEXEC), os.pipe2(os.O_CLOEXEC)
        with contextlib.suppress(OSError):
            fcntl.fcntl(results[1], fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                self._jail.enter(parent, results[1], traces[1], cpu, self._memory)
                work()
                os._exit(0)
            finally:
                os._exit(FAILED)
        os.close(results[1])
        os.close(traces[1])
        for handle in (results[0], traces[0]):
            os.set_blocking(handle, False)
        watch = Watch(pid, results[0], traces[0], relay)
        try:
            return watch.until_end(cpu)
        finally:
            os.close(results[0])
            os.close(traces[0])

    def _relay(self, data: bytes) -> None:
        _send(self._channel, b"d", data)


class Watch:
    """One worker from its fork to its end."""

    def __init__(self, pid: int, results: int, traces: int, relay: Callable[[bytes], object]) -> None:
        self._pid, self._results, self._traces, self._relay = pid, results, traces, relay
        self._relayed = self._traced = 0
        self._trace = b""

    def until_end(self, cpu: float) -> dict[str, Any]:
        """Pass results on until the worker has ended, by itself or because it used more than `cpu` seconds, stood still
        or wrote too much."""
        killed, used, moved, tick = "", 0.0, time.monotonic(), TICK
        while True:
            signal.sigtimedwait({signal.SIGCHLD}, tick)
            pid, status, usage = os.wait4(self._pid, os.WNOHANG)
            tick = TICK if self._drain() > MUCH else min(2 * tick, MAX_TICK)
            if pid:
                break
            now = _cpu_seconds(self._pid)
            if now > used:
                used, moved = now, time.monotonic()
            if not killed:
                killed = self._verdict(used > cpu, time.monotonic() - moved > IDLE_SECONDS)
                if killed:
                    self._kill()
        code = os.waitstatus_to_exitcode(status)
        seconds = usage.ru_utime + usage.ru_stime
        return {"code": code, "killed": killed, "trace": self._trace.decode("utf-8", "replace"), "cpu": seconds}

    def _verdict(self, over: bool, still: bool) -> str:
        much = self._relayed > MAX_RELAYED or self._traced > MAX_TRACED
        return "cpu" if over else "wall" if still else "output" if much else ""

    def _kill(self) -> None:
        """Ask the worker where it is, then kill it."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGUSR1)
            time.sleep(LAST_WORDS)
            os.kill(self._pid, signal.SIGKILL)

    def _drain(self) -> int:
        """Read what lies in the pipes without waiting; return how many bytes."""
        before = self._relayed + self._traced
        while data := _read(self._results):
            self._relayed += len(data)
            if self._relayed <= MAX_RELAYED + PIPE_BYTES:
                self._relay(data)
            if self._relayed > MAX_RELAYED:
                break
        while data := _read(self._traces):
            self._traced += len(data)
            self._trace = (self._trace + data)[-MAX_TRACE:]
            if self._traced > MAX_TRACED:
                break
        return self._relayed + self._traced - before


class Jail:
    """What a worker gives up after its fork."""

    def __init__(self, confine: ModuleType, calls: ModuleType, *, landlocked: bool, filtered: bool) -> None:
        self._confine, self._calls = confine, calls
        self._landlocked, self._filtered = landlocked, filtered

    def enter(self, parent: int, results: int, traces: int, cpu: float, memory: int) -> None:
        """Keep two descriptors and the limits; give up all else."""
        high = [fcntl.fcntl(handle, fcntl.F_DUPFD, 50) for handle in (results, traces)]
        os.dup2(high[0], RESULTS)
        os.dup2(high[1], TRACES)
        os.closerange(TRACES + 1, 1 << 16)
        self._confine.die_with_parent()
        if os.getppid() != parent:
            os._exit(FAILED)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        faulthandler.enable(file=TRACES, all_threads=False)
        faulthandler.register(signal.SIGUSR1, file=TRACES, all_threads=False, chain=False)
        self._confine.limit(memory, math.ceil(cpu) + 1)
        if self._filtered:
            bpf = self._calls.bpf(os.getpid(), write_to=(1, TRACES), open_files=self._landlocked)
            self._confine.restrict_calls(bpf)


def _cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of a child so far."""
    # How the kernel numbers the CPU clock of a process: the pid inverted, 3 bits of kind.
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def _read(handle: int) -> bytes:
    try:
        return os.read(handle, 1 << 16)
    except BlockingIOError:
        return b""


def _write_all(handle: int, data: bytes) -> None:
    while data:
        data = data[os.write(handle, data) :]


def _send(channel: int, kind: bytes, data: bytes) -> None:
    _write_all(channel, struct.pack("<cI", kind, len(data)) + data)


def _receive(channel: int) -> bytes | None:
    header = _exactly(channel, 4)
    return None if header is None else _exactly(channel, struct.unpack("<I", header)[0])


def _exactly(channel: int, size: int) -> bytes | None:
    data = bytearray()
    while len(data) < size:
        part = os.read(channel, min(size - len(data), 1 << 20))
        if not part:
            return None
        data += part
    return bytes(data)


if __name__ == "__main__":
    main()
