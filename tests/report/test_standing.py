"""Where a run stands is said as it is: half done, stopped, learning from what it is judged on."""

import io
import os
import signal
import subprocess
import sys
import time

import pytest
from rich.console import Console
from scripted_runs import HOSTILE, search, standing

from soar import session
from soar.config import load_config
from soar.errors import ConfigError, DataError
from soar.report import metrics
from soar.report.html.page import page
from soar.report.show import print_report, show_run
from soar.report.snapshot import line
from soar.run import in_use, locked


def printed(show):
    written = io.StringIO()
    show(Console(file=written, width=120))
    return written.getvalue()


def table(path):
    with session.view_run(path) as view:
        found = metrics.report(view)
    return printed(lambda console: print_report(found["iterations"], found["leaks"], str(path), console))


def test_a_search_that_is_not_finished_is_marked_in_the_table(stopped, finished):
    rows = [row.split() for row in table(stopped).splitlines() if row.strip().startswith("train ")]
    assert [row[1] for row in rows][-2:] == ["0", "1*"]
    assert "* not finished: the row shows the state so far" in table(stopped)
    assert "*" not in table(finished)


def test_a_run_that_ended_is_not_said_to_go_on(stopped, finished):
    now = standing(stopped)
    assert now.running is False
    assert "no process is working on it: run the same `soar run` command again to resume" in line(now)
    assert line(standing(finished)).startswith("finished: 3 searches; the last, target iteration 0: 40 completions; ")


@pytest.mark.slow  # starts a command
def test_a_run_that_was_killed_is_not_said_to_go_on_and_one_that_goes_on_is(scripted, tmp_path):
    run = tmp_path / "run"
    arguments = ["run", str(scripted), str(run), "--set", "search.samples=4000"]
    child = subprocess.Popen([sys.executable, "-m", "soar", *arguments], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not (run / "archive.sqlite").exists() or session.read_status(run) is None:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert standing(run).running is True
        assert "no process" not in line(standing(run))
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    assert standing(run).running is False


def test_a_directory_is_in_use_as_long_as_it_is_held(tmp_path):
    assert not in_use(tmp_path)
    with locked(tmp_path):
        assert in_use(tmp_path)
    assert not in_use(tmp_path)


@pytest.fixture(scope="module")
def leaking(scripted, tmp_path_factory):
    """A run whose hidden stage holds the tasks of its known one."""
    config = tmp_path_factory.mktemp("leaking") / "config.toml"
    folders = (scripted.parent / "known", scripted.parent / "hidden")
    config.write_text(scripted.read_text().replace(str(folders[1]), str(folders[0])))
    with pytest.raises(DataError, match=r"3 tasks of stage 'target' .*, or use --allow-leak"):
        search(config, config.parent / "refused")
    assert not (config.parent / "refused").exists()
    search(config, config.parent / "run", "tasks.allow_leak=true")
    return config.parent / "run"


def test_every_report_says_that_a_run_learns_from_what_it_is_judged_on(leaking):
    said = "LEAK (--allow-leak): 3 tasks of stage 'target' were learnt from in stage 'train'"
    assert said in table(leaking)
    assert said in line(standing(leaking))
    assert standing(leaking).as_json()["leaks"] == {"target": {"train": 3}}
    with session.view_run(leaking) as view:
        assert metrics.report(view)["leaks"] == {"target": {"train": 3}}
        assert "LEAK (--allow-leak): 3 tasks of stage" in page(view)
        assert said in printed(lambda console: show_run(view, console))


def test_a_run_that_leaks_nothing_says_nothing_of_it(finished):
    assert "LEAK" not in table(finished)
    with session.view_run(finished) as view:
        assert "LEAK" not in page(view)


def test_the_end_of_a_run_tells_what_it_reached_where_it_lies_and_what_comes_next(finished):
    with session.view_run(finished) as view:
        said = printed(lambda console: show_run(view, console))
        records = metrics.report(view)["iterations"]
    solved = sum(record["newly_solved"] for record in records[:2])
    assert f"stage train: {solved} of 3 tasks solved in 2 searches" in said
    assert "stage target: 0 of 1 tasks solved (the answers of 1 more are not known) in 1 search" in said
    assert f"next: soar report {finished} --html report.html" in said
    assert f"soar show {finished} " in said
    assert str(finished / "answers") in said
    assert "programs are right on all known pairs, such as" in said
    assert HOSTILE not in said
    assert "\x1b[2J" not in said


def test_a_search_for_nothing_is_refused(scripted):
    with pytest.raises(ConfigError, match="samples and refinements are both 0, so there is nothing to search"):
        load_config(scripted, ["search.samples=0", "search.refinements=0"])
