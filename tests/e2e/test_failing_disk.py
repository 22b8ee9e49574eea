"""The n-th write, fsync or rename fails, for every n: nothing acknowledged is lost, and the end is the same."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    compiler = shutil.which("cc")
    if not compiler:
        pytest.skip("needs a C compiler")
    library = tmp_path_factory.mktemp("shim") / "failing.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, HERE / "failing.c", "-ldl"], check=True)
    return library


@pytest.mark.slow
@pytest.mark.parametrize(("error", "lasting"), [(errno.EIO, 0), (errno.ENOSPC, 1)], ids=["one fails", "disk full"])
def test_whatever_fails_the_store_is_consistent_and_goes_on_to_the_same_end(shim, tmp_path, error, lasting):
    done = subprocess.run(
        [sys.executable, HERE / "failing_run.py", tmp_path, str(error), str(lasting)],
        env={**os.environ, "LD_PRELOAD": str(shim)},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert found["wrong"] == []
    assert found["tries"] > 100
    assert found["failures"] > found["tries"] / 2
