"""How a zygote is started and spoken to: what is said when it does not start, and what it says in which order."""

import asyncio
import errno
import os
import platform
import re
import resource
import signal
import struct
import subprocess
import sys

import pytest

from soar.errors import SandboxError
from soar.execution.local import link

SETTINGS = {"memory_mb": 5}
HELLO = "def say(kind, text):\n    os.write(0, kind + struct.pack('<I', len(text)) + text)\n"


def speaking(monkeypatch, tmp_path, body: str) -> link.Zygote:
    """Return a zygote that a script of the test's own stands for."""
    script = tmp_path / "zygote.py"
    script.write_text(f"import json, os, struct, sys, time\n{HELLO}{body}\n")
    monkeypatch.setattr(link, "SCRIPT", script)
    return link.Zygote(SETTINGS)


def greeted(zygote: link.Zygote, how: str) -> dict:
    """Return the greeting, waited for with or without an event loop."""
    return zygote.greeting() if how == "blocking" else asyncio.run(zygote.greeting_async())


both = pytest.mark.parametrize("how", ["blocking", "async"])


@both
def test_a_zygote_is_told_its_settings_and_says_how_it_is_confined(monkeypatch, tmp_path, how):
    body = (
        "size, = struct.unpack('<I', os.read(0, 4))\ntold = json.loads(os.read(0, size))\n"
        "say(b'h', json.dumps([told, dict(os.environ), os.getcwd(), os.getsid(0) == os.getpid(), sys.flags.safe_path,"
        " sys.flags.no_user_site, sys.argv[0]]).encode())\nos.read(0, 1)\n"
    )
    zygote = speaking(monkeypatch, tmp_path, body)
    told, environment, *rest = greeted(zygote, how)
    assert told == SETTINGS
    environment.pop("LC_CTYPE", None)
    assert environment == {"PYTHONHASHSEED": "0"}
    assert rest == ["/", True, True, 1, str(tmp_path / "zygote.py")]
    zygote.kill()
    zygote.kill()
    with pytest.raises(ProcessLookupError):
        os.kill(zygote.pid, 0)


FAILURES = {
    "say(b'x', b'OSError: no Landlock')": r"^the sandbox could not confine itself: OSError: no Landlock$",
    "say(b'x', b'y' * 999)": r"^the sandbox could not confine itself: y{500}$",
    "say(b'x', b'a\\xff')": r"^the sandbox could not confine itself: a\ufffd$",
    "say(b'x', b'OSError: [Errno 24] too many')": r"^the sandbox's process could not be started: too few file desc",
    "say(b'x', b'OSError: [Errno 12] no')": r"^the sandbox's process could not be started: not enough memory",
    "say(b'x', b'OSError: [Errno 2] nothing')": r"^the sandbox could not confine itself: OSError: \[Errno 2\] nothing$",
    "sys.exit()": r"^the sandbox's process ended while starting \(it printed nothing\)$",
    "sys.exit('first\\nlast words')": r"^the sandbox's process ended while starting \(last words\)$",
    "sys.exit('y' * 999)": r"^the sandbox's process ended while starting \(y{300}\)$",
    "os.write(0, b'h123')": r"^the sandbox's process ended while starting",
    "os.kill(os.getpid(), 9)": (
        r"^the sandbox's process was killed by signal 9 \(SIGKILL\) while it started, again and again, by the OOM"
        r" killer \(free memory, or lower executor.workers\) or by somebody$"
    ),
    "os.kill(os.getpid(), 15)": r"^the sandbox's process was killed by signal 15 \(SIGTERM\)",
    "os.abort()": r"^the sandbox's process ended while starting",
}


@pytest.mark.parametrize("body", FAILURES)
def test_why_a_zygote_did_not_start_is_said(monkeypatch, tmp_path, body):
    zygote = speaking(monkeypatch, tmp_path, body)
    with pytest.raises(SandboxError, match=FAILURES[body]) as caught:
        zygote.greeting()
    assert isinstance(caught.value, link.Killed) is ("was killed" in FAILURES[body])
    assert zygote._errors.closed


def test_one_that_does_not_start_is_said_so_to_an_event_loop_too(monkeypatch, tmp_path):
    zygote = speaking(monkeypatch, tmp_path, "sys.exit('last words')")
    with pytest.raises(SandboxError, match="last words"):
        asyncio.run(zygote.greeting_async())


@both
def test_a_zygote_that_never_speaks_is_given_up(monkeypatch, tmp_path, how):
    monkeypatch.setattr(link, "START_SECONDS", 0.2)
    zygote = speaking(monkeypatch, tmp_path, "print('stuck', file=sys.stderr, flush=True)\ntime.sleep(60)")
    with pytest.raises(SandboxError, match=r"ended while starting \(.*\)$"):
        greeted(zygote, how)
    assert zygote._errors.closed


def test_frames_are_split_however_they_come_and_an_end_is_a_loss(monkeypatch, tmp_path):
    body = (
        "say(b'h', b'{}')\nos.read(0, 1 << 16)\nfor part in (b'd\\x03', b'\\0\\0\\0ab', b'cd\\0\\0\\0\\0e'):\n"
        "    os.write(0, part)\n    time.sleep(0.01)\nos.write(0, bytes(4))\nsay(b'e', b'x' * 300000)\n"
    )
    zygote = speaking(monkeypatch, tmp_path, body)

    async def work():
        assert await zygote.greeting_async() == {}
        await zygote.send(b"request")
        frames = [await zygote.receive() for _ in range(4)]
        with pytest.raises(link.Lost):
            await zygote.receive()
        with pytest.raises(link.Lost):
            await zygote.send(b"x" * (9 << 20))
        return frames

    assert asyncio.run(work()) == [(b"d", b"abc"), (b"d", b""), (b"e", b""), (b"e", b"x" * 300_000)]
    zygote.kill()


def test_a_request_is_sent_with_its_length(monkeypatch, tmp_path):
    body = "os.read(0, 1 << 16)\nsay(b'h', b'{}')\nsay(b'd', os.read(0, 1 << 16))\n"
    zygote = speaking(monkeypatch, tmp_path, body)

    async def work():
        await zygote.greeting_async()
        await zygote.send(b"request")
        return await zygote.receive()

    assert asyncio.run(work()) == (b"d", struct.pack("<I", 7) + b"request")
    zygote.kill()


def test_what_an_abandoned_worker_still_says_is_received_up_to_its_end(monkeypatch, tmp_path):
    zygote = speaking(monkeypatch, tmp_path, "say(b'h', b'{}')\n[say(kind, b'') for kind in (b'd', b'd', b'e', b'd')]")

    async def work():
        await zygote.greeting_async()
        assert zygote.ending is False
        await zygote.finish()
        zygote.ending = True
        await zygote.finish()
        assert zygote.ending is False
        return await zygote.receive()

    assert asyncio.run(work()) == (b"d", b"")
    zygote.kill()


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EMFILE, "too few file descriptors (ulimit -n is {files}): raise the limit, `ulimit -n 1024`"),
        (errno.ENFILE, "the system has no file descriptors left: close programs that hold many"),
        (
            errno.EAGAIN,
            "no more processes are allowed (ulimit -u, or the container's limit): raise it, or lower executor.workers",
        ),
        (errno.ENOMEM, "not enough memory to start a process: free some, or lower executor.workers"),
        (errno.ENOENT, "[Errno 2] odd"),
    ],
)
def test_what_the_machine_lacks_is_named_with_what_to_do(monkeypatch, number, said):
    def refused(*_: object, **__: object) -> None:
        raise OSError(number, "odd")

    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    wanted = f"the sandbox's process could not be started: {said.format(files=files)}"
    monkeypatch.setattr(subprocess, "Popen", refused)
    with pytest.raises(SandboxError, match=f"^{re.escape(wanted)}$"):
        link.Zygote(SETTINGS)
    assert str(link.start_error(OSError("no number"))) == "the sandbox's process could not be started: no number"


@pytest.mark.parametrize(("system", "name"), [("Darwin", "Darwin"), ("", "darwin")])
def test_another_system_is_named(monkeypatch, system, name):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(platform, "system", lambda: system)
    wanted = (
        f"programs can be confined only on Linux (Landlock, seccomp); this is {name}."
        " Run soar in a Linux container or virtual machine"
    )
    with pytest.raises(SandboxError, match=f"^{re.escape(wanted)}$"):
        link.refuse_other_systems()


def test_a_kill_ends_the_group_and_asks_nothing_of_what_is_dead(monkeypatch, tmp_path):
    body = "pid = os.fork()\nif pid == 0: time.sleep(60)\nsay(b'h', json.dumps(pid).encode())\ntime.sleep(60)"
    zygote = speaking(monkeypatch, tmp_path, body)
    child = zygote.greeting()
    zygote.kill()
    assert zygote._process.returncode == -signal.SIGKILL
    for _ in range(1000):
        try:
            os.kill(child, 0)  # type: ignore[arg-type]
        except ProcessLookupError:
            break
        with open(f"/proc/{child}/stat") as file:  # noqa: PTH123
            if ") Z" in file.read():
                break
    else:
        pytest.fail("the worker lives")
