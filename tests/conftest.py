import math
import os
import signal
import sys

import pytest
from hypothesis import settings

from soar import parallel

os.environ.setdefault("OMP_NUM_THREADS", "1")
"""Several threads in one small operation wait for each other where cores are shared, a thousand times as long as the
operation takes. Set before torch is imported."""

settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile("same")
"""The same examples every time, so that what passes once passes again; ``--hypothesis-profile=explore`` looks for new
ones. How long an example takes proves nothing where cores are shared."""

for _name, _usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_name) is signal.SIG_IGN:  # as a shell leaves it to what it runs in the background, and nohup
        signal.signal(_name, _usual)


@pytest.fixture(autouse=True)
def signals_as_before():
    """Leave signals to whom they belonged: `soar.cli.main`, called in this process, keeps them, as a command should."""
    before = {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    hook = sys.unraisablehook
    yield
    sys.unraisablehook = hook
    for name, handler in before.items():
        signal.signal(name, handler)


@pytest.fixture
def sharing_out(monkeypatch):
    """Hand all work that can be handed over to two processes at once (`soar.parallel`)."""
    monkeypatch.setattr(parallel, "PATIENCE", -1.0)
    monkeypatch.setattr(parallel, "_BEGUN", math.inf)  # other tests write modules and import them
    monkeypatch.setattr(parallel, "available_cores", lambda: 2)
