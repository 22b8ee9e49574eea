"""What a worker can do to others: nothing, to nobody, however it asks the kernel."""

import os
import subprocess

import pytest
from shared import run_all


@pytest.mark.parametrize("call", ["kill(PID, 9)", "tgkill(PID, PID, 9)", "tkill(PID, 9)"])
def test_a_program_cannot_signal_a_process_of_its_own_user(call):
    """The kernel lets it, since they have one user: only the filter does not."""
    with subprocess.Popen(["sleep", "60"]) as victim:
        code = f"import ctypes\ndef transform(g): return [[0 if ctypes.CDLL(None).{call} else 1]]"
        (found,) = run_all([code.replace("PID", str(victim.pid))])
        assert victim.poll() is None
        os.kill(victim.pid, 9)
    assert found.outputs != (((1,),),)
