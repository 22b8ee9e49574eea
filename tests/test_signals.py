"""A signal is heard whenever it comes: also where what it raised was swallowed, and in the last step of the work."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import suppress

import pytest

from soar.errors import Interrupted
from soar.signals import until_signal

SWALLOWED = """
import asyncio, os, signal, time, weakref
from contextlib import suppress
from soar.errors import Interrupted
from soar.signals import stop_on_signals, until_signal

stop_on_signals()
def send(*_):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(5)
{swallows}
begun = []
async def work():
    begun.append(True)
    await asyncio.sleep(30)
try:
    asyncio.run(until_signal(work(), "said", lambda: begun.append(False)))
except Interrupted as error:
    print(error, begun)
"""


IN_A_CLASS = """
import os, signal, sys
import soar.cli

class Sending:
    def __set_name__(self, owner, name):
        os.kill(os.getpid(), signal.SIGTERM)

def begin(arguments):
    type("Made", (), {"sending": Sending()})

soar.cli.app = begin
sys.exit(soar.cli.main([]))
"""

AT_THE_END = """
import os, signal
from soar.signals import stop_on_signals

stop_on_signals()

class Late:
    def __del__(self, kill=os.kill, here=os.getpid(), name=signal.SIGTERM):
        kill(here, name)

late = Late()
"""


def test_a_signal_while_a_class_is_made_stops_the_command():
    done = subprocess.run([sys.executable, "-c", IN_A_CLASS], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (75, "soar: stopped; run the same command again to resume\n")


def test_a_signal_while_python_exits_does_not_change_the_code_of_a_command_that_is_done():
    done = subprocess.run([sys.executable, "-c", AT_THE_END], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_signal_in_the_last_step_of_the_work_is_not_lost(name):
    async def work():
        os.kill(os.getpid(), getattr(signal, name))

    before = signal.getsignal(getattr(signal, name))
    for _ in range(3):  # one that was obeyed is over: the next work begins
        with pytest.raises(Interrupted, match="said"):
            asyncio.run(until_signal(work(), "said"))
    assert signal.getsignal(getattr(signal, name)) is before


@pytest.mark.parametrize(
    "swallows",
    ["with suppress(BaseException): send()", "a = type('A', (), {})(); b = weakref.ref(a, send); del a"],
    ids=["library", "python"],
)
def test_what_was_swallowed_stops_the_work_that_follows_and_leaves_no_traceback(swallows):
    script = SWALLOWED.replace("{swallows}", swallows)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("said [False]\n", "")


def test_work_that_fails_says_so_and_work_that_is_given_up_ends():
    ended = []

    async def fails():
        raise ValueError("of its own")

    async def lasts():
        try:
            await asyncio.sleep(30)
        finally:
            ended.append(True)

    async def given_up():
        outer = asyncio.create_task(until_signal(lasts(), "said"))
        await asyncio.sleep(0.01)
        outer.cancel()
        with suppress(asyncio.CancelledError):
            await outer

    with pytest.raises(ValueError, match="of its own"):
        asyncio.run(until_signal(fails(), "said"))
    asyncio.run(given_up())
    assert ended == [True]
