"""Killing a run in each of its phases, again and again, and going on with it."""

import random
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

Place = TypeVar("Place")


def kill_in(
    places: Sequence[Place],
    command: Sequence[str],
    environment: Mapping[str, str],
    has_come_to: Callable[[Place], bool],
    after: Callable[[], None] = lambda: None,
) -> list[Place]:
    """Begin or go on with a run for each place, and kill it a moment after it has come there; return the places where
    it was killed before it ended. `after` is called after each."""
    chance = random.Random(0)
    killed = []
    for place in places:
        child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        while child.poll() is None and not has_come_to(place):
            time.sleep(0.005)
        time.sleep(chance.random() * 0.3)
        if child.poll() is None:
            child.send_signal(signal.SIGKILL)
            killed.append(place)
        _, errors = child.communicate()
        assert child.returncode in (0, -signal.SIGKILL), errors.decode()
        after()
    return killed
