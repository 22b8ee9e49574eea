"""What the canary tries, and what it tells of that."""

import json
import os
import signal
import subprocess
import sys

from soar.execution.local import canary


def test_the_canary_tells_what_was_possible_and_why_it_failed_otherwise(monkeypatch):
    def refused(number):
        def attempt():
            raise OSError(number, "no")

        return attempt

    monkeypatch.setattr(signal, "signal", lambda *_: None)
    tried = {"fly": lambda: None, "walk": refused(1), "run": refused(13), "swim": refused(2), "sink": refused(None)}
    monkeypatch.setattr(canary, "ATTEMPTS", tried)
    assert canary.possible() == ["fly", f"swim ({os.strerror(2)})", f"sink ({os.strerror(0)})"]


TRIED = """
import json, os, sys
from soar.execution.local import canary
asked = []
def noted(name):
    def refuse(*arguments):
        asked.append([name, *arguments])
        raise PermissionError(1, "no")
    return refuse
for name in "open unlink pipe fork kill nice execv".split(): setattr(os, name, noted(name))
import socket
canary.ATTEMPTS["open a socket"] = noted("socket")
done = canary.possible()
print(json.dumps([done, list(canary.ATTEMPTS), asked]))
"""


def test_the_canary_tries_what_a_program_must_not_do():
    done = subprocess.run([sys.executable, "-c", TRIED], capture_output=True, text=True, check=True)
    possible, names, asked = json.loads(done.stdout)
    assert possible == []
    assert names == [
        "write a file",
        "remove a file",
        "read /etc/passwd",
        "read the supervisor's environment",
        "open a socket",
        "open a pipe",
        "fork",
        "signal another process",
        "change its priority",
        "start a program",
    ]
    assert asked == [
        ["open", "/tmp/soar-canary", os.O_WRONLY | os.O_CREAT | os.O_EXCL],
        ["unlink", "/tmp/soar-canary"],
        ["open", "/etc/passwd", os.O_RDONLY],
        ["open", "/proc/self/environ", os.O_RDONLY],
        ["socket"],
        ["pipe"],
        ["fork"],
        ["kill", 1, 0],
        ["nice", 1],
        ["execv", "/bin/true", ["true"]],
    ]


def test_the_canary_leaves_no_pipe_and_no_process(monkeypatch):
    closed: list = []
    monkeypatch.setattr(os, "pipe", lambda: (91, 92))
    monkeypatch.setattr(os, "close", closed.append)
    canary._open_pipe()
    assert closed == [91, 92]
    ended: list = []
    monkeypatch.setattr(os, "_exit", ended.append)
    for pid in (5, 0):
        monkeypatch.setattr(os, "fork", lambda pid=pid: pid)
        canary._fork()
    assert ended == [0]
