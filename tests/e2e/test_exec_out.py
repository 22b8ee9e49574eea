"""Where `soar exec` writes: never over what it reads, whole under its name or in part under another."""

import json
import os
import select
import signal
import subprocess
import time

import pytest

from soar.errors import ConfigError
from soar.execute import refuse_inputs

pytestmark = pytest.mark.slow  # every test starts commands

FLIP = "def transform(grid):\n    return [row[::-1] for row in grid]"


@pytest.fixture
def programs(tmp_path):
    path = tmp_path / "p.jsonl"
    path.write_text("".join(json.dumps({"task_id": "flip", "code": f"{FLIP}  # {i}"}) + "\n" for i in range(5)))
    return path


@pytest.fixture
def call(soar, environment, task_folder, tmp_path):
    """Run `soar exec` on the small tasks; return exit code, standard output and standard error."""

    def run(*arguments, tasks=task_folder, **more):
        command = [*soar, "exec", *map(str, arguments), "--tasks", str(tasks)]
        done = subprocess.run(command, env=environment, text=True, cwd=tmp_path, stderr=subprocess.PIPE, **more)
        return done.returncode, done.stdout, done.stderr

    return run


def by_its_name(path):
    return path


def by_a_symlink(path):
    (path.parent / "link").symlink_to(path)
    return path.parent / "link"


def by_a_hard_link(path):
    (path.parent / "hard").hardlink_to(path)
    return path.parent / "hard"


def by_another_spelling(path):
    return path.parent / "." / ".." / path.parent.name / path.name


NAMES = [by_its_name, by_a_symlink, by_a_hard_link, by_another_spelling]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("what", ["programs", "tasks", "a task in a folder", "solutions"])
def test_every_input_is_known_by_all_its_names(programs, tmp_path, task_folder, name, what):
    tasks, victim = task_folder, programs
    if what in ("tasks", "solutions"):
        tasks = tmp_path / "x_challenges.json"
        tasks.write_text("{}")
        (tmp_path / "x_solutions.json").write_text("{}")
        victim = tasks if what == "tasks" else tmp_path / "x_solutions.json"
    elif what == "a task in a folder":
        victim = task_folder / "turn.json"
    with pytest.raises(ConfigError, match=victim.name):
        refuse_inputs(name(victim), programs, str(tasks))
    refuse_inputs(tmp_path / "another.jsonl", programs, str(tasks))


@pytest.mark.parametrize("name", NAMES)
def test_programs_are_never_written_over(programs, tmp_path, call, name):
    before = programs.read_bytes()
    for more in ([], ["--task", "flip"]):
        code, _, errors = call(programs, *more, "--out", name(programs) if not more else programs)
        assert (code, errors.count("\n")) == (2, 1)
        assert programs.read_bytes() == before
    assert list(tmp_path.rglob("*.partial")) == []


def test_neither_the_partial_file_nor_standard_output_may_be_the_input(programs, tmp_path, call):
    before = programs.read_bytes()
    with programs.open("a") as end:
        assert call(programs, stdout=end)[0] == 2
    half = programs.rename(tmp_path / "r.jsonl.partial")
    assert call(half, "--out", tmp_path / "r.jsonl")[0] == 2
    assert half.read_bytes() == before


def test_a_plain_file_is_replaced_when_all_is_there_and_a_link_to_it_stays(programs, tmp_path, call):
    (tmp_path / "elsewhere").mkdir()
    real, link = tmp_path / "elsewhere" / "r.jsonl", tmp_path / "link.jsonl"
    real.write_text("old")
    link.symlink_to(real)
    assert call(programs, "--out", link)[0] == 0
    assert link.is_symlink()
    assert [json.loads(line)["status"] for line in real.read_text().splitlines()] == ["ok"] * 5
    assert [file.name for file in real.parent.iterdir()] == ["r.jsonl"]


def test_what_is_no_plain_file_is_written_directly(programs, tmp_path, call):
    code, said, _ = call(programs, "--out", "/dev/stdout", stdout=subprocess.PIPE)
    assert (code, len(said.splitlines())) == (0, 5)
    with (tmp_path / "log").open("w+") as log:  # as `>` of a shell: what stands there already stays
        log.write("before\n")
        log.flush()
        assert call(programs, "--out", "/dev/stdout", stdout=log)[0] == 0
    assert len((tmp_path / "log").read_text().splitlines()) == 6
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["cat", str(tmp_path / "pipe")], stdout=subprocess.PIPE, text=True) as reader:
        assert call(programs, "--out", tmp_path / "pipe")[0] == 0
        assert len(reader.communicate()[0].splitlines()) == 5
    assert not list(tmp_path.glob("*.partial"))


def test_one_program_on_one_task_is_written_to_the_file_too(tmp_path, call):
    (tmp_path / "program.py").write_text(FLIP)
    out = tmp_path / "r.json"
    code, said, _ = call("--task", "flip", tmp_path / "program.py", "--out", out, stdout=subprocess.PIPE)
    assert (code, said) == (0, "")
    assert json.loads(out.read_text())["status"] == "ok"


def test_lines_of_which_none_can_be_used_are_written_and_end_with_3(tmp_path, call):
    (tmp_path / "p.jsonl").write_text('{"task_id": "nowhere", "code": ""}\nnot JSON\n')
    code, _, errors = call(tmp_path / "p.jsonl", "--out", tmp_path / "r.jsonl")
    assert code == 3
    assert "nowhere" in errors
    assert len((tmp_path / "r.jsonl").read_text().splitlines()) == 2
    (tmp_path / "p.jsonl").write_text("")
    assert call(tmp_path / "p.jsonl", "--out", tmp_path / "r.jsonl")[0] == 0


def test_a_folder_that_is_not_there_and_a_full_disk_are_said(programs, tmp_path, call):
    code, _, errors = call(programs, "--out", tmp_path / "no" / "r.jsonl")
    assert (code, errors.count("\n")) == (5, 1)
    code, _, errors = call(programs, "--out", "/dev/full")
    assert (code, errors.count("\n")) == (5, 1)
    assert "/dev/full" in errors


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_an_interruption_leaves_the_lines_so_far_and_names_their_file(tmp_path, task_folder, soar, environment, name):
    slow = "import time\ndef transform(grid):\n    end = time.process_time() + 0.05\n"
    slow += "    while time.process_time() < end: pass\n    return grid  # "
    lines = [json.dumps({"task_id": "flip", "code": slow + str(i)}) for i in range(3000)]
    (tmp_path / "p.jsonl").write_text("\n".join(lines))
    half = tmp_path / "r.jsonl.partial"
    command = [*soar, "exec", tmp_path / "p.jsonl", "--out", tmp_path / "r.jsonl", "--tasks", task_folder]
    with subprocess.Popen(command, env=environment, text=True, stderr=subprocess.PIPE) as child:
        while child.poll() is None and not (half.exists() and half.read_text().count("\n")):
            time.sleep(0.02)
        child.send_signal(getattr(signal, name))
        errors = child.communicate(timeout=25)[1]
    assert child.returncode == 75, errors
    assert errors == f"soar: stopped; the results so far are in {half}\n"
    assert all(json.loads(line)["status"] == "ok" for line in half.read_text().splitlines())
    assert not (tmp_path / "r.jsonl").exists()


def test_a_message_of_ones_own_is_copied_through_whatever_it_is(tmp_path, call):
    code = "def transform(grid):\n    return grid\n"
    lines = [{"task_id": "flip", "code": code, "message": message} for message in (None, {"a": 1}, [2], "x")]
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert call(tmp_path / "p.jsonl", "--out", tmp_path / "r.jsonl")[0] == 0
    results = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert [(each["status"], each["message"]) for each in results] == [("ok", line["message"]) for line in lines]


def test_a_result_does_not_wait_for_the_next_line_of_a_pipe_and_a_signal_is_heard(task_folder, soar, environment):
    line = json.dumps({"task_id": "flip", "code": "def transform(grid):\n    return grid\n"})
    command = [*soar, "exec", "/dev/stdin", "--tasks", task_folder]
    with subprocess.Popen(command, env=environment, stdin=-1, stdout=-1, stderr=-1) as child:
        assert child.stdin
        assert child.stdout
        assert child.stderr
        for _ in range(2):
            child.stdin.write(line.encode() + b"\n")
            child.stdin.flush()
            assert select.select([child.stdout], [], [], 60)[0], "the result comes although the pipe is open"
            assert json.loads(os.read(child.stdout.fileno(), 1 << 16))["status"] == "ok"
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=25) == 75
        assert child.stderr.read() == b"soar: stopped\n"
