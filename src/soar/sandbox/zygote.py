"""The confined process that forks a worker per batch of programs. Run as a script by the supervisor, `python -I`.

It passes bytes on: requests to the worker it forks, whatever the worker writes to the supervisor. It never parses,
compiles or unpickles anything that comes from a program. Standard library, and what programs may import, preloaded.
"""

import contextlib
import errno
import fcntl
import gc
import importlib.util
import json
import os
import select
import signal
import socket
import struct
import sys
import time
from types import ModuleType
from typing import Any

PRELOAD = (
    "numpy scipy.ndimage math random itertools functools collections copy re operator heapq bisect string typing"
    " dataclasses statistics fractions decimal datetime enum abc numpy.linalg numpy.random numpy.lib.stride_tricks"
).split()
TRACE_BYTES = 4096
RELAYED_BYTES = 64 << 20


def main() -> None:
    """Confine this process, prove it, say so, and serve requests until the supervisor is gone."""
    settings = json.loads(sys.argv[1])
    requests, replies = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for handle in (0, 1, 2):
        os.dup2(null, handle)
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
    confine, child = _load(here, "confine"), _load(here, "child")
    for name in PRELOAD:
        with contextlib.suppress(ImportError):
            __import__(name)
    with open("/proc/self/statm") as file:  # noqa: PTH123
        size = int(file.read().split()[0]) * os.sysconf("SC_PAGESIZE")
    hello: dict[str, Any] = {"landlock": 0, "seccomp": True, "reason": ""}
    try:
        confine.isolate()
        try:
            hello["landlock"] = confine.restrict_files(_libraries())
        except confine.Unavailable as error:
            hello["reason"] = str(error)
        limits = {**settings, "memory": size + settings["memory_mb"] * (1 << 20), "files": hello["landlock"] > 0}
        hello["open"] = _canary(confine, limits)
    except confine.Unavailable as error:
        hello.update(seccomp=False, reason=str(error), open=["everything"])
        limits = {**settings, "memory": size + settings["memory_mb"] * (1 << 20), "files": True}
    limits["confined"] = hello["seccomp"]
    guard = child.Guard()
    gc.collect()
    gc.freeze()
    _send(replies, b"h", json.dumps(hello).encode())
    while (request := _receive(requests)) is not None:
        _serve(request, replies, confine, child, guard, limits)


def _load(folder: str, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"soar_sandbox_{name}", os.path.join(folder, f"{name}.py"))  # noqa: PTH118
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _libraries() -> list[str]:
    """Return the folders a program may read: the interpreter's and the system's libraries, no project, no home."""
    import sysconfig

    import numpy
    import scipy

    paths = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    for package in (numpy, scipy):
        folder = os.path.dirname(str(package.__file__))  # noqa: PTH120
        paths |= {folder, folder + ".libs"}
    return [*sorted(paths), "/usr/lib", "/lib", "/lib64", "/etc/ld.so.cache"]


def _canary(confine: Any, limits: dict) -> list[str]:
    """Return which forbidden things a confined child could do; [] proves the confinement."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            _confine_child(confine, limits, writing, writing)
            os.write(3, json.dumps(_attempts()).encode())
        os._exit(0)
    os.close(writing)
    text = b""
    while part := os.read(reading, 65536):
        text += part
    os.close(reading)
    os.waitpid(pid, 0)
    if not text:
        raise confine.Unavailable("the confinement of a worker failed")
    return json.loads(text)


def _attempts() -> list[str]:
    def forked() -> None:
        if os.fork() == 0:
            os._exit(0)

    attempts = {
        "write a file": lambda: os.open("/tmp/soar-canary", os.O_WRONLY | os.O_CREAT),
        "read /etc/passwd": lambda: os.open("/etc/passwd", os.O_RDONLY),
        "open a socket": socket.socket,
        "fork": forked,
        "kill": lambda: os.kill(os.getppid(), 0),
        "start a program": lambda: os.execv("/bin/true", ["true"]),
    }
    possible = []
    for name, attempt in attempts.items():
        try:
            attempt()
            possible.append(name)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EACCES, errno.ENOSYS):
                possible.append(name)
    return possible


def _confine_child(confine: Any, limits: dict, results: int, traces: int) -> None:
    """Make the worker's descriptors 3 (results) and 4 (traces), close all others, and give up everything else."""
    high = [fcntl.fcntl(handle, fcntl.F_DUPFD, 50) for handle in (results, traces)]
    os.dup2(high[0], 3)
    os.dup2(high[1], 4)
    os.closerange(5, 1024)
    # The kernel's limit on CPU time is for a worker whose zygote is gone: `_relay` ends single programs long before.
    confine.limit(limits["memory"], limits["hard_seconds"] * 64)
    if limits.get("confined", True):
        confine.restrict_calls((3, 4), open_files=limits["files"])


def _serve(request: bytes, replies: int, confine: Any, child: Any, guard: Any, limits: dict) -> None:
    """Fork a worker for one request, pass its results on, end it when it takes too long, say how it ended."""
    results, traces = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            _confine_child(confine, limits, results[1], traces[1])
            child.work(request, 3, 4, guard)
            os._exit(0)
        finally:
            os._exit(70)
    os.close(results[1])
    os.close(traces[1])
    killed, trace = _relay(pid, results[0], traces[0], replies, limits)
    _, status, usage = os.wait4(pid, 0)
    os.close(results[0])
    os.close(traces[0])
    end = {"code": os.waitstatus_to_exitcode(status), "killed": killed, "trace": trace, "cpu": usage.ru_utime}
    _send(replies, b"e", json.dumps(end).encode())


def _relay(pid: int, results: int, traces: int, replies: int, limits: dict) -> tuple[str, str]:
    """Pass results on until the worker closes them; return why it was killed, if it was, and its last traceback."""
    trace, killed, relayed = b"", "", 0
    cpu, wall = _cpu(pid), time.monotonic()
    waiting = {results, traces}
    while results in waiting:
        ready, _, _ = select.select(list(waiting), [], [], 0.1)
        for handle in ready:
            data = os.read(handle, 1 << 16)
            if not data:
                waiting.discard(handle)
            elif handle == traces:
                trace = (trace + data)[-TRACE_BYTES:]
            elif relayed < RELAYED_BYTES:
                relayed += len(data)
                _send(replies, b"d", data)
                cpu, wall = _cpu(pid), time.monotonic()
        over_cpu = _cpu(pid) - cpu > limits["hard_seconds"]
        over_wall = time.monotonic() - wall > 4 * limits["hard_seconds"] + 5
        if not killed and (over_cpu or over_wall or relayed >= RELAYED_BYTES):
            killed = "cpu" if over_cpu else "wall" if over_wall else "output"
            trace += _end(pid, traces)
    return killed, trace.decode("utf-8", "replace")


def _end(pid: int, traces: int) -> bytes:
    """Ask a worker where it is, then kill it; return its traceback."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGUSR1)
    ready, _, _ = select.select([traces], [], [], 0.2)
    data = os.read(traces, TRACE_BYTES) if ready else b""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return data


def _cpu(pid: int) -> float:
    """Return the CPU seconds of a child, by its process clock."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def _send(handle: int, kind: bytes, data: bytes) -> None:
    frame = kind + struct.pack("<I", len(data)) + data
    while frame:
        frame = frame[os.write(handle, frame) :]


def _receive(handle: int) -> bytes | None:
    header = _exactly(handle, 4)
    return None if header is None else _exactly(handle, struct.unpack("<I", header)[0])


def _exactly(handle: int, size: int) -> bytes | None:
    data = bytearray()
    while len(data) < size:
        part = os.read(handle, min(size - len(data), 1 << 20))
        if not part:
            return None
        data += part
    return bytes(data)


if __name__ == "__main__":
    main()
