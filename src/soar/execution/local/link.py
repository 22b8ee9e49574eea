"""One zygote as its supervisor holds it: started, greeted, sent requests, ended.

Knows processes and frames, not programs. Bound to no event loop, so a sandbox may outlive one.
"""

import asyncio
import contextlib
import json
import os
import platform
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
THREADS = "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"
START_SECONDS = 120.0
RECEIVED = 1 << 18


class Lost(Exception):
    """The zygote is gone, or has said something that no zygote says."""


class Killed(SandboxError):
    """The zygote was killed from outside while it started; another may fare better."""


class Zygote:
    """A running zygote and the socket to it."""

    def __init__(self, settings: dict[str, Any]) -> None:
        refuse_other_systems()
        self._buffer = bytearray()
        self.ending = False
        """Whether the end of a worker that nobody waits for is still to be received."""
        self._socket, theirs = socket.socketpair()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `kill`, with the process
        # Not -I: that would also ignore the hash seed, and the order of sets would differ between two zygotes.
        environment = {"PYTHONHASHSEED": "0", **dict.fromkeys(THREADS, "1")}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-s", "-P", str(SCRIPT)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                env=environment,
                cwd="/",
                start_new_session=True,
            )
        text = json.dumps(settings).encode()
        self._socket.sendall(struct.pack("<I", len(text)) + text)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def greeting(self) -> dict[str, Any]:
        """Wait for the zygote to say how it is confined; `SandboxError` if it does not come up."""
        self._socket.settimeout(START_SECONDS)
        try:
            while (frame := self._cut()) is None:
                data = self._socket.recv(RECEIVED)
                if not data:
                    raise Lost
                self._buffer += data
        except (Lost, OSError):
            raise self._did_not_start() from None
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
        self._socket.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_sendall(self._socket, struct.pack("<I", len(data)) + data)
        except OSError:
            raise Lost from None

    async def receive(self) -> tuple[bytes, bytes]:
        """Return the next frame as (kind, content); `Lost` if the zygote is gone."""
        self._socket.setblocking(False)
        while (frame := self._cut()) is None:
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
        """Receive what is left of a worker that nobody waits for any more."""
        while self.ending:
            self.ending = (await self.receive())[0] != b"e"

    async def _readable(self) -> None:
        # Not `loop.sock_recv`: cancelled at the wrong moment it loses what it has read, and a zygote outlives its loop.
        loop = asyncio.get_running_loop()
        ready = loop.create_future()
        loop.add_reader(self._socket, lambda: ready.done() or ready.set_result(None))
        try:
            await ready
        finally:
            loop.remove_reader(self._socket)

    def kill(self) -> None:
        """End the zygote, and with it its worker; a second time does nothing."""
        if self._errors.closed:
            return
        self._socket.close()
        if self._process.poll() is None:
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._errors.close()

    def _cut(self) -> tuple[bytes, bytes] | None:
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
            raise SandboxError(f"the sandbox could not confine itself: {content.decode('utf-8', 'replace')[:500]}")
        return json.loads(content)

    def _did_not_start(self) -> SandboxError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        if self._process.returncode == -signal.SIGKILL:
            self.kill()
            return Killed("the sandbox's process was killed while starting, again and again (out of memory?)")
        self._errors.seek(0)
        said = self._errors.read().decode("utf-8", "replace").strip().split("\n")[-1][:300]
        self.kill()
        return SandboxError(f"the sandbox's process ended while starting ({said or 'it said nothing'})")


def refuse_other_systems() -> None:
    """Raise `SandboxError` where programs cannot be confined by any means that this package knows."""
    if sys.platform != "linux":
        raise SandboxError(
            f"programs are confined by Linux (Landlock, seccomp); this is {platform.system() or sys.platform}."
            " Run soar in a Linux container or virtual machine"
        )
