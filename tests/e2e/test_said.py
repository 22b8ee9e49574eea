"""What goes wrong around a command is said in one line, with the exit code that fits: signals, broken and full outputs,
files of a run that were cut off or lost."""

import asyncio
import io
import json
import shutil
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest
from rich.console import Console

from soar import session
from soar.config import load_config
from soar.doctor import examine_run
from soar.errors import StoreError
from soar.run import RunDirectory

pytestmark = pytest.mark.slow  # every test starts commands

SECTIONS = """
[search]
samples = 4
refinements = 4
samples_per_request = 2
enough = 0
[finetune]
trainer = "scripted"
[[stages]]
name = "train"
iterations = 2
"""
CODES = ("[row[::-1] for row in grid]", "grid[::-1]", "grid", "grid[7][7]", "[[0.5]]")


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """A configuration of a scripted run on two small tasks."""
    folder = tmp_path_factory.mktemp("said")
    (folder / "tasks").mkdir()
    grids = [[[(3 * i + 2 * y + x) % 5 for x in range(2 + i)] for y in range(3)] for i in range(4)]
    for name, outputs in (("flip", [[row[::-1] for row in g] for g in grids]), ("turn", [g[::-1] for g in grids])):
        pairs = [{"input": x, "output": y} for x, y in zip(grids, outputs, strict=True)]
        (folder / "tasks" / f"{name}.json").write_text(json.dumps({"train": pairs[:3], "test": pairs[3:]}))
    replies = [{"text": f"```python\ndef transform(grid):\n    return {code}\n```"} for code in CODES]
    (folder / "replies.jsonl").write_text("\n".join(map(json.dumps, [*replies, {"text": "No."}])))
    text = f"""
    [tasks]
    source = "{folder / "tasks"}"
    [lm]
    backend = "scripted"
    model = "{folder / "replies.jsonl"}"
    """
    (folder / "config.toml").write_text(text + SECTIONS)
    return folder / "config.toml"


@pytest.fixture
def call(soar, environment, tmp_path):
    def run(*arguments, **more):
        command = [*soar, *map(str, arguments)]
        more = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
        done = subprocess.run(command, env=environment, text=True, cwd=tmp_path, timeout=120, **more)
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture(scope="module")
def done_once(config):
    search(config, config.parent / "run")
    return config.parent / "run"


@pytest.fixture
def finished(done_once, tmp_path):
    """A finished run, to be damaged."""
    return Path(shutil.copytree(done_once, tmp_path / "run"))


def search(config, path):
    asyncio.run(session.run(load_config(config), path, Console(file=io.StringIO())))


def handles_sigterm(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("SigCgt:")[1].split()[0], 16) >> (signal.SIGTERM - 1) & 1


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_signal_ends_a_run_with_75_also_while_it_starts_and_the_same_command_goes_on(
    config, tmp_path, soar, environment, call, name
):
    for number, seconds in enumerate((0.0, 0.3, 0.7, 1.1, 1.5)):
        command = [*soar, "run", config, tmp_path / f"run{number}"]
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as child:
            while not handles_sigterm(child.pid):  # before that nothing of ours has been imported
                time.sleep(0.01)
            time.sleep(seconds)
            if child.poll() is not None:
                break
            child.send_signal(getattr(signal, name))
            errors = child.communicate(timeout=25)[1]
        if child.returncode == 0:  # it was done, and about to exit
            break
        assert child.returncode == 75, (seconds, errors)
        assert errors.count("\n") == 1
        assert "resume" in errors
    assert call("run", config, "run0")[0] == 0


def test_a_run_that_was_told_to_outlive_its_terminal_does(config, tmp_path, soar, environment):
    command = ["nohup", *soar, "run", str(config), str(tmp_path / "run")]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        time.sleep(1)
        child.send_signal(signal.SIGHUP)
        assert child.wait(timeout=60) == 0


@pytest.mark.parametrize("verb", ["report", "report --json", "status", "doctor", "--help"])
def test_an_output_that_nobody_reads_ends_quietly_and_a_full_one_is_said(finished, call, soar, environment, verb):
    arguments = [*verb.split(), *([finished] if verb != "--help" else [])]
    shell = " ".join(map(str, [*map(repr, soar), *arguments]))
    done = subprocess.run(
        ["bash", "-c", f"{shell} | true; echo ${{PIPESTATUS[0]}}"], env=environment, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("0\n", "")
    with open("/dev/full", "w") as full:  # noqa: PTH123
        code, _, errors = call(*arguments, stdout=full)
    assert (code, errors.count("\n")) == (5, 1)
    assert "No space left" in errors


def test_a_run_that_nobody_watches_goes_on_to_its_end(config, tmp_path, soar, environment, call):
    shell = " ".join([*map(repr, soar), "run", str(config), str(tmp_path / "run")])
    done = subprocess.run(
        ["bash", "-c", f"{shell} | true; echo ${{PIPESTATUS[0]}}"], env=environment, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("0\n", "")
    assert json.loads(call("status", tmp_path / "run", "--json")[1])["finished"]


def test_a_run_begins_nothing_whose_first_line_cannot_be_written(config, tmp_path, call):
    with open("/dev/full", "w") as full:  # noqa: PTH123
        code, _, errors = call("run", config, "run", stdout=full)
    assert (code, errors.count("\n")) == (5, 1)
    assert not (tmp_path / "run").exists()


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def emptied(path):
    path.write_bytes(b"")


def overwritten(path):
    path.write_bytes(b"\xff\x00\x17" * 100)


def one_letter_changed(path):
    text = path.read_bytes()
    place = text.index(b"train")
    path.write_bytes(text[:place] + b"brain" + text[place + 5 :])


def replaced_by_null(path):
    path.write_text("null")


def without_tasks(path):
    path.write_text('{"model": {}, "tasks": {"train": {"hash": "x", "ids": [1]}}}')


def removed(path):
    path.unlink()


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *[
            (name, damage)
            for name in ("config.toml", "manifest.json")
            for damage in (cut, emptied, overwritten, removed)
        ],
        ("config.toml", one_letter_changed),
        ("manifest.json", one_letter_changed),
        ("manifest.json", replaced_by_null),
        ("manifest.json", without_tasks),
    ],
)
def test_a_damaged_configuration_or_manifest_is_named_with_what_to_do(finished, config, name, damage):
    damage(finished / name)

    def report():
        with session.view_run(finished):
            pass

    for look in (report, lambda: session.read_status(finished), lambda: search(config, finished)):
        with pytest.raises(StoreError, match=rf"{name}.*restore"):
            look()
    assert any(name in finding for finding in examine_run(finished)["damaged"])


def test_damage_is_one_line_and_code_5(finished, config, call):
    cut(finished / "config.toml")
    for verb in (["status", finished], ["report", finished], ["run", config, finished], ["doctor", finished]):
        code, _, errors = call(*verb)
        assert (code, errors.count("\n")) == (5, 1), (verb, errors)


def test_an_archive_that_was_lost_is_not_begun_again(finished, config, call):
    for damage in (emptied, removed):
        damage(finished / "archive.sqlite")
        with pytest.raises(StoreError, match=r"archive\.sqlite is missing or empty"):
            search(config, finished)
    assert call("status", finished)[0] == 5


def test_doctor_finds_nothing_in_a_whole_run_and_names_what_was_damaged(finished, call):
    code, said, _ = call("doctor", finished, "--json")
    assert (code, json.loads(said)["damaged"]) == (0, [])
    with closing(sqlite3.connect(finished / "archive.sqlite")) as archive:
        (program,) = archive.execute("SELECT code FROM codes").fetchone()
    data = (finished / "archive.sqlite").read_bytes()
    assert program in data
    changed = program[:-1] + bytes([program[-1] ^ 1])
    (finished / "archive.sqlite").write_bytes(data.replace(program, changed, 1))
    (finished / "adapters" / "1" / "manifest.json").write_text("{}")
    cut(finished / "answers" / "0.json")
    code, said, errors = call("doctor", finished, "--json")
    assert (code, errors.count("\n")) == (5, 1)
    found = "\n".join(json.loads(said)["damaged"])
    assert all(name in found for name in ("archive.sqlite", "adapters/1", "answers/0.json"))
    assert call("doctor", finished.parent)[0] == 2


def test_doctor_finds_nothing_in_a_run_whose_first_part_of_a_model_is_being_made(finished):
    making = finished / "adapters" / "2"
    for name in ("sample.work", "sample.tmp"):
        (making / name).mkdir(parents=True)
        assert examine_run(finished)["damaged"] == []
    (making / "sample").mkdir()
    assert examine_run(finished)["damaged"] == ["adapters/2/sample: its manifest is missing"]
    (making / "sample").rmdir()
    (making / "model.safetensors").touch()
    assert examine_run(finished)["damaged"] == ["adapters/2: its manifest is missing"]


def test_a_run_whose_model_answers_nonsense_numbers_ends_with_its_error(config, tmp_path, call):
    (tmp_path / "huge.py").write_text(
        "from soar.types import Completion\n"
        "def reply(prompt, seed): return Completion('```python\\ndef transform(g): return g\\n```', 'stop', 2**70, 1)\n"
    )
    code, _, errors = call("run", config, "run", "--set", "lm.model=huge:reply")
    assert code == 5
    assert "OverflowError" in errors
    assert "Traceback" not in errors


def test_a_full_disk_ends_a_run_with_one_line_and_the_same_command_goes_on(config, tmp_path, soar, call, environment):
    shell = " ".join([*map(repr, soar), "run", str(config), str(tmp_path / "run")])
    done = subprocess.run(["bash", "-c", f"ulimit -f 60; {shell}"], env=environment, capture_output=True, text=True)
    assert done.returncode == 5
    assert done.stderr.count("\n") == 1
    assert call("run", config, "run")[0] == 0
    assert call("doctor", "run")[0] == 0


def test_a_run_directory_knows_whether_it_was_begun(finished, tmp_path):
    assert RunDirectory(finished).begun
    assert not RunDirectory(tmp_path).begun
