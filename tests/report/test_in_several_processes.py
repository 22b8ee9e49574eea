"""Answers, results and examples of a large search are made in several processes, and are the same."""

import shutil

import pytest
from scripted_runs import search

from soar import parallel
from soar.report.metrics import report
from soar.session import view_run


@pytest.fixture
def shared(monkeypatch, finished, sharing_out):
    """The list of what processes found, or could not."""
    found: list[object] = []
    asked = parallel._asked
    monkeypatch.setattr(parallel, "_asked", lambda *of: found.append(asked(*of)) or found[-1])
    return found


def written(run):
    return {
        path.relative_to(run): path.read_bytes()
        for part in ("answers", "results", "data")
        for path in (run / part).rglob("*")
        if path.is_file()
    }


def test_a_runs_answers_results_and_examples(scripted, finished, shared, tmp_path):
    search(scripted, tmp_path / "run")
    assert {path.parts[0] for path in written(finished)} == {"answers", "results", "data"}
    assert written(tmp_path / "run") == written(finished)
    assert shared
    assert parallel._NOT_DONE not in shared


def test_a_report(finished, shared, tmp_path):
    copy = shutil.copytree(finished, tmp_path / "run")
    with view_run(finished) as view:
        kept = report(view)
    shutil.rmtree(copy / "results")
    with view_run(copy) as view:
        assert report(view) == kept
    assert shared
    assert parallel._NOT_DONE not in shared
