"""Numbers of a run reach trackio where it is there; without a project nothing is asked of it."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from soar import session
from soar.errors import ConfigError
from soar.report import metrics
from soar.report.tracking import tracking


def test_without_a_project_nothing_happens():
    with tracking(None, "run", {}) as track:
        track({"loss": 1.0})


def test_without_trackio_one_line_says_what_brings_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"--trackio needs trackio, .* pip install 'soar-synthesis\[trackio\]'"):
        tracking("project", "run", {}).__enter__()


@pytest.mark.slow  # starts a command
def test_a_run_is_found_in_trackio_with_what_its_searches_reached(scripted, tmp_path):
    pytest.importorskip("trackio", reason="trackio is not installed")
    run = [sys.executable, "-m", "soar", "run", str(scripted), str(tmp_path / "mine"), "--trackio", "project"]
    kept = {**os.environ, "TRACKIO_DIR": str(tmp_path / "kept"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(run, env=kept, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with closing(sqlite3.connect(tmp_path / "kept" / "project.db")) as found:
        rows = found.execute("SELECT run_name, CAST(metrics AS TEXT) FROM metrics ORDER BY id").fetchall()
    assert [name for name, _ in rows] == ["mine"] * 3
    with session.view_run(tmp_path / "mine") as view:
        wanted = [record["solved"] for record in metrics.report(view)["iterations"]]
    assert [json.loads(text)["search/solved"] for _, text in rows] == wanted
