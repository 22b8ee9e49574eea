"""The supervisor's side of one zygote: starts it, waits for its greeting, sends requests, ends it.

Knows processes and frames, not programs. Bound to no event loop, so a sandbox may outlive one.
"""

import asyncio
import contextlib
import errno
import importlib.util
import json
import os
import platform
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from soar.errors import SandboxError
from soar.execution.local import wire

SCRIPT = Path(__file__).with_name("zygote.py")
START_SECONDS = 120.0
RECEIVED = 1 << 18


_SELF_INFLICTED = (-signal.SIGSEGV, -signal.SIGBUS, -signal.SIGILL, -signal.SIGABRT, -signal.SIGSYS)


class Lost(Exception):
    """The zygote is gone, or broke the protocol."""


class Killed(SandboxError):
    """The zygote was killed from outside while it started; another attempt may succeed."""


_SHORTAGES = {
    errno.EMFILE: "too few file descriptors (ulimit -n is {files}): raise the limit, `ulimit -n 1024`",
    errno.ENFILE: "the system has no file descriptors left: close programs that hold many",
    errno.EAGAIN: "no more processes are allowed (ulimit -u, or the container's limit): raise it, or lower"
    " executor.workers",
    errno.ENOMEM: "not enough memory to start a process: free some, or lower executor.workers",
}
"""What the machine lacks when a process cannot be started, and what to do."""


def start_error(error: OSError) -> SandboxError:
    """Return the error for a sandbox whose process the operating system could not start."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    said = _SHORTAGES.get(error.errno or 0, f"{error}").format(files=files)
    return SandboxError(f"the sandbox's process could not be started: {said}")


def library_folders() -> list[str]:
    """Return the folders in which this process finds NumPy and SciPy. A zygote, which gets neither the environment nor
    the user's site folder, might find others there, or none."""
    specs = [importlib.util.find_spec(name) for name in ("numpy", "scipy")]
    found = [str(Path(spec.origin).absolute().parents[1]) for spec in specs if spec is not None and spec.origin]
    return list(dict.fromkeys(found))


class Zygote:
    """A running zygote and the socket to it."""

    def __init__(self, settings: dict[str, Any]) -> None:
        refuse_other_systems()
        self._buffer = bytearray()
        self.ending = False
        """Whether the end of an abandoned worker has yet to be received."""
        with contextlib.ExitStack() as opened:
            try:
                self._start(settings, opened)
            except OSError as error:
                raise start_error(error) from None
            opened.pop_all()

    def _start(self, settings: dict[str, Any], opened: contextlib.ExitStack) -> None:
        self._socket, theirs = socket.socketpair()
        opened.enter_context(self._socket)
        with theirs:
            self._errors = opened.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - closed in `kill`
            # Not -I: that would also ignore the hash seed, and the order of sets would differ between two zygotes.
            self._process = subprocess.Popen(
                [sys.executable, "-s", "-P", str(SCRIPT)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                env={"PYTHONHASHSEED": "0"},
                cwd="/",
                start_new_session=True,
            )
        text = json.dumps(settings).encode()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            # If it is gone already, waiting for its greeting finds out why.
            self._socket.sendall(struct.pack("<I", len(text)) + text)
        self._socket.setblocking(False)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def greeting(self) -> dict[str, Any]:
        """Wait for the zygote to say how it is confined; `SandboxError` if it does not start."""
        self._socket.settimeout(START_SECONDS)
        try:
            while (frame := self._next_frame()) is None:
                data = self._socket.recv(RECEIVED)
                if not data:
                    raise Lost
                self._buffer += data
        except (Lost, OSError):
            raise self._did_not_start() from None
        self._socket.setblocking(False)
        return self._greeted(frame)

    async def greeting_async(self) -> dict[str, Any]:
        """Wait as `greeting` does, without blocking the event loop."""
        try:
            frame = await asyncio.wait_for(self.receive(), START_SECONDS)
        except (Lost, TimeoutError):
            raise self._did_not_start() from None
        return self._greeted(frame)

    async def send(self, data: bytes) -> None:
        """Send one request; `Lost` if the zygote is gone."""
        try:
            await asyncio.get_running_loop().sock_sendall(self._socket, struct.pack("<I", len(data)) + data)
        except OSError:
            raise Lost from None

    async def receive(self) -> tuple[bytes, bytes]:
        """Return the next frame as (kind, content); `Lost` if the zygote is gone."""
        while (frame := self._next_frame()) is None:
            try:
                data = self._socket.recv(RECEIVED)
            except BlockingIOError:
                await self._readable()
                continue
            except OSError:
                raise Lost from None
            if not data:
                raise Lost
            self._buffer += data
        return frame

    async def finish(self) -> None:
        """Receive what an abandoned worker still has to say."""
        while self.ending:
            self.ending = (await self.receive())[0] != b"e"

    async def _readable(self) -> None:
        # Not `loop.sock_recv`: cancelled at the wrong moment it loses data, and a zygote outlives its loop.
        loop = asyncio.get_running_loop()
        ready = loop.create_future()
        loop.add_reader(self._socket, lambda: ready.done() or ready.set_result(None))
        try:
            await ready
        finally:
            loop.remove_reader(self._socket)

    def kill(self) -> None:
        """End the zygote and its worker; a second call does nothing."""
        if self._errors.closed:
            return
        self._socket.close()
        if self._process.poll() is None:
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._errors.close()

    def _next_frame(self) -> tuple[bytes, bytes] | None:
        if len(self._buffer) < wire.FRAME.size:
            return None
        kind, size = wire.FRAME.unpack_from(self._buffer)
        end = wire.FRAME.size + size
        if len(self._buffer) < end:
            return None
        content = bytes(self._buffer[wire.FRAME.size : end])
        del self._buffer[:end]
        return kind, content

    def _greeted(self, frame: tuple[bytes, bytes]) -> dict[str, Any]:
        kind, content = frame
        if kind != b"h":
            self.kill()
            said = content.decode("utf-8", "replace")[:500]
            number = re.search(r"\[Errno (\d+)\]", said)
            if number and int(number[1]) in _SHORTAGES:
                raise start_error(OSError(int(number[1]), said))
            raise SandboxError(f"the sandbox could not confine itself: {said}")
        return json.loads(content)

    def _did_not_start(self) -> SandboxError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        code = self._process.returncode
        if code is not None and code < 0 and code not in _SELF_INFLICTED:
            self.kill()
            return Killed(
                f"the sandbox's process was killed by signal {-code} ({signal.Signals(-code).name}) while it started,"
                " again and again, by the OOM killer (free memory, or lower executor.workers) or by somebody"
            )
        self._errors.seek(0)
        said = self._errors.read().decode("utf-8", "replace").strip().split("\n")[-1][:300]
        self.kill()
        return SandboxError(f"the sandbox's process ended while starting ({said or 'it printed nothing'})")


def refuse_other_systems() -> None:
    """Raise `SandboxError` on systems where this package cannot confine programs: all but Linux."""
    if sys.platform != "linux":
        raise SandboxError(
            f"programs can be confined only on Linux (Landlock, seccomp); this is {platform.system() or sys.platform}."
            " Run soar in a Linux container or virtual machine"
        )
