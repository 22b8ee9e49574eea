"""Tries in a worker, before any program runs, what a confined process must be unable to do.

Knows the attempts; each should be refused. Imported by the zygote, so standard library only.
"""

import errno
import os
import signal
import socket
from collections.abc import Callable

REFUSALS = (errno.EPERM, errno.EACCES)


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)


def _open_pipe() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)


ATTEMPTS: dict[str, Callable[[], object]] = {
    "write a file": lambda: os.open("/tmp/soar-canary", os.O_WRONLY | os.O_CREAT | os.O_EXCL),
    "remove a file": lambda: os.unlink("/tmp/soar-canary"),  # noqa: PTH108
    "read /etc/passwd": lambda: os.open("/etc/passwd", os.O_RDONLY),
    "read the supervisor's environment": lambda: os.open("/proc/self/environ", os.O_RDONLY),
    "open a socket": socket.socket,
    "open a pipe": _open_pipe,
    "fork": _fork,
    "signal another process": lambda: os.kill(1, 0),
    "change its priority": lambda: os.nice(1),
    "start a program": lambda: os.execv("/bin/true", ["true"]),
}


def possible() -> list[str]:
    """Return the forbidden things that this process could do; [] proves its confinement."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    done = []
    for name, attempt in ATTEMPTS.items():
        try:
            attempt()
            done.append(name)
        except OSError as error:
            if error.errno not in REFUSALS:
                done.append(f"{name} ({os.strerror(error.errno or 0)})")
    return done
