"""The confined process that forks a worker per request. The supervisor runs this file as a script.

It relays bytes: requests to the worker it forks, the worker's output to the supervisor. It never parses, compiles or
unpickles anything that comes from a program. Standard library only, besides what programs share, which it preloads.
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
"""About how deep a worker's own stack is when it calls a program; the recursion limit is raised by as much, so that a
program may recurse as deep as anywhere else."""

RARE_COLLECTIONS = (20_000, 20, 20)
"""Thresholds of the garbage collector. A program makes few cycles before its worker ends, and collecting as often as by
default would cost a few per cent of its time."""

CANARIES = 5
"""How many workers may be killed from outside while they try the confinement."""

THREADS = "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"
"""Each must be 1 before NumPy is loaded, or its linear algebra starts threads, whose locks a fork inherits locked."""

PIPE_BYTES = 1 << 18


def _stub_packages(codec: str) -> None:
    """Make this folder and the codec's module importable here, without what their packages import for the
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
    """Confine this process, prove it, report it, and serve requests until the supervisor is gone."""
    null = os.open(os.devnull, os.O_RDWR)
    channel = fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, 10)
    for handle in (0, 1, 2):
        os.dup2(null, handle)
    settings = json.loads(_receive(channel) or b"{}")
    os.environ.clear()
    os.environ.update(dict.fromkeys(THREADS, "1"))
    # Python's handler would raise KeyboardInterrupt in the program, though somebody sent it to the process.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        serve = prepare(settings, channel)
    except Exception as error:  # noqa: BLE001 - whatever it is, the supervisor must hear of it
        _send(channel, b"x", f"{type(error).__name__}: {error}".encode())
        return
    serve()


def prepare(settings: dict[str, Any], channel: int) -> Callable[[], None]:
    """Preload, confine, prove it and report it; return the function that then serves requests."""
    gc.set_threshold(0)  # nothing here is garbage, and looking for it would take a fifth of the start
    _stub_packages(settings["codec"])
    _search(settings["libraries"])
    codec: Any = importlib.import_module(settings["codec"])
    from soar.execution.local import calls, canary, confine, guard, triage, watch, wire, worker

    _preload(triage.IMPORTABLE)
    _warm_up()
    _refuse_threads()
    guard.make_entropy_fixed()
    folders = _libraries()
    memory = _own_size() + settings["memory_mb"] * (1 << 20)
    filtered = calls.supported() and confine.can_restrict_calls()
    refused = [confine.become_nobody(folders)]
    confine.isolate()
    rules = _restrict_files(confine, folders, refused) if settings["landlock"] else None
    hello: dict[str, Any] = {
        "python": platform.python_version(),
        "seccomp": filtered,
        "landlock": 0 if rules is None else confine.landlock_version(),
        "uid": os.getuid(),
    }
    warnings.simplefilter("ignore")
    sys.setrecursionlimit(sys.getrecursionlimit() + OUR_FRAMES)
    ours = _forget_project()
    sink = worker.Sink()
    sys.stdout = sys.stderr = sink  # type: ignore[assignment]
    sys.modules["program"] = ModuleType("program")
    classes = triage.all_classes()
    shunned = triage.shunned_names(triage.shared_modules(), classes)
    state = guard.Guard(triage.shared_modules(), ours, classes)
    jail = Jail(confine, calls, rules, filtered=filtered)
    zygote = Zygote(channel, memory, jail, watch.Watch)
    gc.collect()
    gc.freeze()  # or a worker's collections would write to, and so copy, the pages that it shares
    gc.set_threshold(*RARE_COLLECTIONS)
    if filtered:
        hello["open"] = zygote.possible(canary.possible)
    else:
        refused.append(
            "no filter of system calls (seccomp) is allowed here"
            if calls.supported()
            else f"no table of system calls for {platform.machine()}"
        )
        hello["open"] = ["do everything"]
    hello["reason"] = "; ".join(filter(None, refused))
    hello["fork_seconds"] = zygote.fork_seconds()
    _send(channel, b"h", json.dumps(hello).encode())

    def work(data: bytes) -> None:
        request = wire.unpack_request(data)
        worker.Worker(request, state, shunned, sink, codec, settings["signature"], settings["stop_at_failure"]).work()

    return lambda: zygote.serve(wire.ORDER, work)


def _restrict_files(confine: Any, folders: list[str], refused: list[str]) -> int | None:
    """Let this process read `folders` and what it needs of its workers, and nothing else; return the rules for the
    workers, or None, with the reason in `refused`."""
    try:
        rules = confine.file_rules(folders)
        # The zygote must see in /proc what its workers do; they must not see it.
        confine.restrict_files(confine.file_rules([*folders, "/proc"]))
    except confine.Unavailable as error:
        refused.append(str(error))
        return None
    return rules


def _search(libraries: list[str]) -> None:
    """Find NumPy and SciPy where the supervisor does. These folders come after the standard library, so that nothing in
    them can stand for a part of it, and `_forget_project` drops them again."""
    places = [place for place, path in enumerate(sys.path) if path.endswith("-packages")]
    first = min(places, default=len(sys.path))
    sys.path[first:first] = [folder for folder in libraries if folder not in sys.path]


def _preload(names: frozenset[str]) -> None:
    for name in sorted(names):
        __import__(name)
    # Load what the preloaded modules load on first use, so that no program pays for it or seems to change anything.
    import numpy as np
    from scipy import ndimage

    for kind in (np.half, np.single, np.double, np.longdouble, np.csingle, np.cdouble, np.clongdouble):
        limits = np.finfo(kind)
        [getattr(limits, name) for name in dir(limits)]
    for code in "bBhHiIlLqQ":
        [getattr(np.iinfo(code), name) for name in dir(np.iinfo)]
    ndimage.label(np.eye(3, dtype=int))
    np.matmul(np.eye(2), np.eye(2))
    np.random.default_rng(0)
    np.linalg.matrix_rank(np.eye(2))
    np.array2string(np.eye(2))
    np.unique(np.eye(2), axis=0)
    np.pad(np.eye(2), 1)


def _warm_up() -> None:
    """Fill in advance what the interpreter would fill when a program first copies an object or causes a warning."""
    slots = importlib.import_module("copyreg")._slotnames
    triage = importlib.import_module("soar.execution.local.triage")
    for kind in triage.all_classes():
        with contextlib.suppress(Exception):
            slots(kind)
    for module in list(sys.modules.values()):
        if isinstance(module, ModuleType):
            vars(module).setdefault("__warningregistry__", {})


def _refuse_threads() -> None:
    """Raise if this process has other threads: a fork has only the one that forks, but the locks of all."""
    count = len(os.listdir("/proc/self/task"))  # noqa: PTH208
    if count != 1:
        raise RuntimeError(f"{count} threads after NumPy and SciPy were loaded, expected 1: they ignore {THREADS}")


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


def _forget_project() -> list[ModuleType]:
    """Leave only the standard library importable; the loaded NumPy and SciPy find their own parts. Return this
    project's modules, which can no longer be imported."""
    keep = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    sys.path[:] = [path for path in sys.path if path in keep or path.endswith("lib-dynload") or path.endswith(".zip")]
    sys.meta_path[:] = [finder for finder in sys.meta_path if getattr(finder, "__module__", "").startswith("_frozen_")]
    sys.argv[:] = [""]
    return [sys.modules.pop(name) for name in list(sys.modules) if name == "soar" or name.startswith("soar.")]


class Zygote:
    """Forks workers and watches each until it ends."""

    def __init__(self, channel: int, memory: int, jail: "Jail", watch: Any) -> None:
        self._channel = channel
        self._memory = memory
        self._jail = jail
        self._watch = watch
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})

    def serve(self, order: struct.Struct, work: Callable[[bytes], None]) -> None:
        """Answer requests, one worker each, until the supervisor closes the channel."""
        while (data := _receive(self._channel)) is not None:
            cpu, silent = order.unpack_from(data)
            request = data[order.size :]
            end = self.run(lambda: work(request), cpu, self._relay, silent)  # noqa: B023
            _send(self._channel, b"e", json.dumps(end).encode())

    def fork_seconds(self) -> float:
        """Return the CPU time that an empty worker costs, here and in the worker."""
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
        raise RuntimeError(f"a worker ended before it had tested its confinement: {end['trace'].strip() or end}")

    def run(
        self, work: Callable[[], None], cpu: float, relay: Callable[[bytes], object], silent: float = math.inf
    ) -> dict[str, Any]:
        """Fork a worker for `work`, relay what it writes, end it after `cpu` CPU seconds in all or `silent` ones
        between two reports; return how it ended."""
        results, traces = os.pipe2(os.O_CLOEXEC), os.pipe2(os.O_CLOEXEC)
        with contextlib.suppress(OSError):
            fcntl.fcntl(results[1], fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                try:
                    self._jail.enter(parent, results[1], traces[1], cpu, self._memory)
                except Exception as error:  # noqa: BLE001 - this process ends, and the zygote says why
                    _write_all(traces[1], f"{type(error).__name__}: {error}".encode())
                    os._exit(FAILED)
                work()
                os._exit(0)
            finally:
                os._exit(FAILED)
        os.close(results[1])
        os.close(traces[1])
        for handle in (results[0], traces[0]):
            os.set_blocking(handle, False)
        try:
            return self._watch(pid, results[0], traces[0], relay).until_end(cpu, silent)
        finally:
            os.close(results[0])
            os.close(traces[0])

    def _relay(self, data: bytes) -> None:
        _send(self._channel, b"d", data)


class Jail:
    """What a worker gives up after its fork."""

    def __init__(self, confine: ModuleType, calls: ModuleType, rules: int | None, *, filtered: bool) -> None:
        self._confine, self._calls = confine, calls
        self._rules, self._filtered = rules, filtered

    def enter(self, parent: int, results: int, traces: int, cpu: float, memory: int) -> None:
        """Keep only two descriptors, set the limits, and give up all else."""
        if self._rules is not None:
            self._confine.restrict_files(self._rules)
        # Above both targets first, so that neither `dup2` closes what the other still needs.
        high = [fcntl.fcntl(handle, fcntl.F_DUPFD, TRACES + 1) for handle in (results, traces)]
        os.dup2(high[0], RESULTS)
        os.dup2(high[1], TRACES)
        os.closerange(TRACES + 1, 1 << 16)
        self._confine.die_with_parent()
        # The parent may have ended before the line above could take effect.
        if os.getppid() != parent:
            os._exit(FAILED)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        faulthandler.enable(file=TRACES, all_threads=False)
        faulthandler.register(signal.SIGUSR1, file=TRACES, all_threads=False, chain=False)
        self._confine.limit(memory, math.ceil(cpu) + 1)
        # Last, since the filter forbids most calls above.
        if self._filtered:
            bpf = self._calls.bpf(os.getpid(), write_to=(1, TRACES), open_files=self._rules is not None)
            self._confine.restrict_calls(bpf)


def _write_all(handle: int, data: bytes) -> None:
    while data:
        data = data[os.write(handle, data) :]


def _send(channel: int, kind: bytes, data: bytes) -> None:
    _write_all(channel, struct.pack("<cI", kind, len(data)) + data)


def _receive(channel: int) -> bytes | None:
    header = _read_exactly(channel, 4)
    return None if header is None else _read_exactly(channel, struct.unpack("<I", header)[0])


def _read_exactly(channel: int, size: int) -> bytes | None:
    data = bytearray()
    while len(data) < size:
        part = os.read(channel, min(size - len(data), 1 << 20))
        if not part:
            return None
        data += part
    return bytes(data)


if __name__ == "__main__":
    main()
