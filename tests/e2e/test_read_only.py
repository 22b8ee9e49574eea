"""A run where nothing may be written, such as a mounted data set: it is read as ever, whatever files stand beside its
archive."""

import asyncio
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from soar.archive.writer import ArchiveWriter

pytestmark = pytest.mark.slow  # every test starts commands

CONFIG = """
[search]
samples = 4
refinements = 0
samples_per_request = 4
enough = 0
[finetune]
trainer = "scripted"
[[stages]]
name = "train"
iterations = 2
"""
VERBS = """
import sys
from pathlib import Path
from soar.cli import main
try:
    Path(sys.argv[1], "probe").touch()
    print("writable")
    sys.exit(99)
except OSError:
    pass
for verb in (["report"], ["status"], ["show"], ["doctor"], ["export", "--submission", sys.argv[2]]):
    print(verb[0], main([verb[0], sys.argv[1], *(["flip"] if verb == ["show"] else []), *verb[1:]]), flush=True)
"""
UNPRIVILEGED = ["setpriv", "--inh-caps=-all", "--bounding-set=-dac_override,-dac_read_search"]
"""Runs a command of root's for which permissions hold."""


@pytest.fixture
def run(write_config, tmp_path, soar, environment):
    """A finished run, with nothing beside its archive."""
    command = [*soar, "run", str(write_config(CONFIG)), str(tmp_path / "run")]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    with closing(sqlite3.connect(tmp_path / "run" / "archive.sqlite")) as archive:
        archive.execute("PRAGMA user_version").fetchone()  # who closes an archive last removes its log
    assert [path.name for path in (tmp_path / "run").glob("archive.sqlite*")] == ["archive.sqlite"]
    yield tmp_path / "run"
    permit(tmp_path / "run", 0o755)


def permit(run, mode):
    """Change what may be done with a folder and all in it; a file is not executed."""
    for path in (run, *run.rglob("*")):
        path.chmod(mode if path.is_dir() else mode & 0o666)


def without_rights(command, environment, *arguments):
    """Run Python as one for whom permissions hold; skip the test where root cannot be made to be one."""
    given = UNPRIVILEGED if os.geteuid() == 0 else []
    if given and not shutil.which("setpriv"):
        pytest.skip("permissions do not hold for root, and there is no setpriv to change that")
    command = [*given, sys.executable, "-c", command, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.stderr.startswith("setpriv:"):
        pytest.skip(f"permissions do not hold for root, and that cannot be changed: {done.stderr}")
    return done


def read_by_all(run, environment, tmp_path):
    """Return what the verbs that read a run print in a process that may not write to it, and what they complain of."""
    permit(run, 0o555)
    done = without_rights(VERBS, environment, run, tmp_path / "answers.json")
    assert not done.stdout.startswith("writable")
    return done.stdout.splitlines(), done.stderr


@pytest.mark.parametrize("beside", ["nothing", "an empty log", "the log of a killed run"])
def test_a_run_where_nothing_may_be_written_is_read_by_every_verb(run, environment, tmp_path, beside):
    if beside == "an empty log":
        (run / "archive.sqlite-wal").touch()
    if beside == "the log of a killed run":
        killed(run)
    said, errors = read_by_all(run, environment, tmp_path)
    codes = [line for line in said if line.endswith((" 0", " 2", " 5")) and line.count(" ") == 1]
    assert codes == [f"{verb} 0" for verb in ("report", "status", "show", "doctor", "export")], errors
    assert errors == ""
    assert json.loads((tmp_path / "answers.json").read_text()).keys() >= {"flip", "turn"}


def test_rows_that_only_the_log_holds_are_not_passed_over_where_it_cannot_be_read(run, environment, tmp_path):
    killed(run)
    (run / "archive.sqlite-shm").unlink()
    said, errors = read_by_all(run, environment, tmp_path)
    assert "report 5" in said
    assert "its last rows are in archive.sqlite-wal" in errors
    assert "Copy the run directory" in errors


def killed(run):
    """Leave the archive and its log as a process does that is killed while it writes."""
    archive = run / "archive.sqlite"
    writer = ArchiveWriter(archive)
    asyncio.run(writer.add_requests({"issued": 1, "retried": 0, "failed": 0}))
    kept = {path: path.read_bytes() for path in run.glob("archive.sqlite*")}
    writer.close()
    for path, content in kept.items():
        path.write_bytes(content)
    assert (run / "archive.sqlite-wal").stat().st_size > 0


def test_an_archive_that_may_not_be_read_is_said_to_be_so(run, environment):
    command = f"""
from pathlib import Path
from soar.cli import main
Path({str(run)!r}, "archive.sqlite").chmod(0)
for verb in ("report", "doctor"):
    print(verb, main([verb, {str(run)!r}]))
"""
    done = without_rights(command, environment)
    assert "report 5" in done.stdout
    assert "check that you may read it" in done.stderr
    assert "Traceback" not in done.stderr
    assert "doctor 5" in done.stdout


def test_what_is_read_without_locks_is_not_read_on_once_a_run_writes_to_it(run, environment):
    permit(run, 0o555)
    command = f"""
import asyncio
from pathlib import Path
from soar.archive.reader import ArchiveReader
from soar.archive.writer import ArchiveWriter
from soar.errors import StoreError
run = Path({str(run)!r})
reader = ArchiveReader(run / "archive.sqlite")
before = reader.requests()
run.chmod(0o755)
(run / "archive.sqlite").chmod(0o644)
writer = ArchiveWriter(run / "archive.sqlite")
asyncio.run(writer.add_requests({{"issued": 1, "retried": 0, "failed": 0}}))
writer.close()
try:
    reader.requests()
except StoreError as error:
    print(error)
"""
    assert "was written to meanwhile: open it again" in without_rights(command, environment).stdout
