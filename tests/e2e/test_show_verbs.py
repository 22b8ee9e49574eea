"""`soar show`, `soar export` and `soar --version` as a user types them, and parts that lie where he types."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import soar as package

pytestmark = pytest.mark.slow  # every test starts commands

ROOT = Path(__file__).parents[2]
SECTIONS = """
[search]
samples = 8
refinements = 4
samples_per_request = 4
enough = 0
[[stages]]
name = "train"
"""


@pytest.fixture
def call(soar, environment, tmp_path):
    def run(*arguments, command=soar, where=tmp_path, **more):
        done = subprocess.run(
            [*command, *map(str, arguments)], env={**environment, **more}, capture_output=True, text=True, cwd=where
        )
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture
def run(write_config, call):
    """The name of a finished run in the working directory."""
    assert call("run", write_config(SECTIONS), "mine")[0] == 0
    return "mine"


def test_a_task_and_its_best_program_are_shown_as_text_and_json(run, call):
    code, said, errors = call("show", run, "flip")
    assert (code, errors) == (0, "")
    assert "task flip: 3 training pairs, 1 to answer" in said
    record = json.loads(call("show", run, "flip", "--json")[1])
    assert record.keys() == {"task_id", "train", "test", "searches", "programs", "lineage"}
    assert record["searches"][0].keys() == {
        *("stage", "iteration", "answers", "finished", "completions", "programs", "voted", "solved", "oracle")
    }
    best = record["programs"][0]
    assert best["program"] in said
    code, said, errors = call("show", run, "flip", best["program"])
    assert (code, errors) == (0, "")
    assert best["code"].splitlines()[1].strip() in said
    detailed = json.loads(call("show", run, "flip", best["program"], "--json")[1])
    assert detailed.keys() == {*best.keys(), "task_id", "train", "test", "lineage", "learnt"}
    assert detailed["lineage"] == record["lineage"]


def test_what_is_not_there_is_one_line_that_names_what_is(run, call):
    for arguments, named in ((["flop"], "'flip'"), (["flip", "train/0/flip/sample/9/9/9"], "train/0/flip/")):
        code, said, errors = call("show", run, *arguments)
        assert (code, said, errors.count("\n")) == (3, "", 1)
        assert named in errors


def test_answers_and_programs_are_exported(run, call, tmp_path):
    assert call("export", run, "--submission", "answers.json")[0] == 0
    assert json.loads((tmp_path / "answers.json").read_text()) == json.loads(
        (tmp_path / run / "answers/0.json").read_text()
    )
    code, said, _ = call("export", run, "--programs", "/dev/stdout", "--stage", "train")
    assert code == 0
    assert {json.loads(line)["task_id"] for line in said.splitlines()} == {
        *("flip", "turn", "swap", "paint", "twice", "sums")
    }


def test_an_export_is_one_of_three_and_lies_over_no_file_of_the_run_or_its_tasks(run, call, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / run / "config.toml")
    for arguments, said in (
        ([], "--submission FILE, --programs FILE and --dataset DIR"),
        (["--submission", "a", "--programs", "b"], "--submission FILE, --programs FILE and --dataset DIR"),
        (["--programs", "a", "--challenges", "b"], "--challenges, --with and --set need --submission"),
        (["--programs", f"{run}/archive.sqlite"], "lies in the run directory"),
        (["--programs", "link"], "lies in the run directory"),
        (["--submission", "tasks/flip.json"], "which is the input"),
        (["--submission", "a", "--stage", "exam"], "it has 'train'"),
    ):
        code, _, errors = call("export", run, *arguments)
        assert (code, errors.count("\n")) == (2, 1), arguments
        assert said in errors
    assert call("doctor", run)[0] == 0
    assert not (tmp_path / "a").exists()


@pytest.fixture
def installed(tmp_path_factory):
    """The command as it is installed: a script in another directory than the one where it is typed."""
    script = tmp_path_factory.mktemp("bin") / "soar"
    script.write_text("import sys\nfrom soar.cli import main\nsys.exit(main())\n")
    return [sys.executable, str(script)]


def test_the_version_is_told_by_every_way_in(call, installed):
    for command in (installed, [sys.executable, "-m", "soar"]):
        assert call("--version", command=command) == (0, f"soar {package.__version__}\n", "")


def test_the_package_is_typed_and_its_metadata_takes_its_version_from_it():
    about = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert (Path(package.__file__).parent / "py.typed").exists()
    assert about["tool"]["hatch"]["version"]["path"] == "src/soar/__init__.py"
    assert about["project"]["authors"] == [{"name": "The SOAR contributors"}]


def test_a_part_in_the_working_directory_can_be_named_and_nothing_there_hides_pythons_own(
    write_config, call, installed, tmp_path
):
    config, here = write_config(SECTIONS), tmp_path / "here"
    (here / "parts").mkdir(parents=True)
    (here / "parts/mine.py").write_text("def best(programs, rng):\n    return (0,)\n")
    (here / "random.py").write_text("raise RuntimeError('not the one that was asked for')\n")
    dry = ("run", config, "--dry-run", "--set", "search.selector=parts.mine:best")
    code, said, errors = call(*dry, command=installed, where=here)
    assert (code, errors) == (0, ""), said
    code, _, errors = call(*dry, command=installed, where=tmp_path)
    assert code == 2
    assert "'parts.mine:best' cannot be imported" in errors
    assert call(*dry, command=installed, where=here, PYTHONSAFEPATH="1")[0] == 2


def test_programs_do_not_see_the_working_directory(call, installed, task_folder, tmp_path):
    (tmp_path / "parts.py").write_text("")
    program = tmp_path / "program.py"
    program.write_text("def transform(grid):\n    import parts\n    return grid\n")
    code, said, _ = call("exec", "--task", "flip", program, "--tasks", task_folder, command=installed)
    assert code == 0
    failures = [pair["failure"] for pair in json.loads(said)["train"]]
    assert [failure["type"] for failure in failures] == ["ModuleNotFoundError"] * 3
