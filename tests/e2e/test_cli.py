"""The verbs as a user types them: one small scripted run, then what is said of it; wrong input costs nothing."""

import json
import subprocess
import sys
from contextlib import closing

import pytest

from soar.archive.reader import ArchiveReader

CONFIG = """
[search]
samples = 8
refinements = 8
samples_per_request = 4
enough = 0
[finetune]
trainer = "scripted"
[[stages]]
name = "train"
iterations = 2
"""


@pytest.fixture
def config(write_config):
    return write_config(CONFIG)


@pytest.fixture
def call(soar, environment):
    """Run the command; return exit code, standard output and standard error."""

    def run(*arguments):
        done = subprocess.run([*soar, *map(str, arguments)], env=environment, capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr

    return run


def test_a_run_its_report_its_status_and_a_second_run_that_finds_nothing_to_do(config, tmp_path, call):
    code, said, errors = call("run", config, tmp_path / "run")
    assert (code, errors) == (0, "")
    assert "newly" in said
    assert str(tmp_path / "run") in said.replace("\n", "")
    table = [line for line in said.split("archive.sqlite")[0].splitlines() if str(tmp_path) not in line]
    assert max(map(len, table)) <= 80

    report = json.loads(call("report", tmp_path / "run", "--json")[1])
    first, second = report["iterations"]
    assert [first["iteration"], second["iteration"]] == [0, 1]
    for record in (first, second):
        assert record["tasks"] == 6
        assert record["completions"] == 6 * 16
        assert record["completions"] == sum(record["status"].values())
        assert 0 < record["solved"] <= record["oracle"] < 6
        assert record["pass_at_k"]["8"] >= record["pass_at_k"]["1"] > 0
        assert record["filtered"]["failed"] == record["programs"] - record["status"]["ok"]
    assert first["newly_solved"] == first["solved"]

    status = json.loads(call("status", tmp_path / "run", "--json")[1])
    assert (status["finished"], status["searches"], status["completions"]) == (True, 2, 96)

    code, said, _ = call("run", config, tmp_path / "run")
    assert code == 0
    assert "resumed: the run was already finished" in said.replace("\n", " ")
    assert json.loads(call("report", tmp_path / "run", "--json")[1]) == report


@pytest.mark.slow
@pytest.mark.parametrize("operator", ["sample", "refine"])
def test_an_operator_that_is_not_learnt_is_served_by_the_model_itself(config, tmp_path, call, operator):
    """The scripted model, once finetuned, adds no half to a cell."""
    run = tmp_path / "run"
    assert call("run", config, run, "--set", f'learning.operators=["{operator}"]')[0] == 0
    with closing(ArchiveReader(run / "archive.sqlite")) as reader:
        rows = reader.query("SELECT DISTINCT phase FROM completions WHERE iteration = 1 AND text LIKE '%cell + 0.5%'")
    assert rows == [("refine" if operator == "sample" else "sample",)]


@pytest.mark.slow
def test_each_operator_may_have_a_model_of_its_own_taught_its_examples_alone(config, tmp_path, call):
    run = tmp_path / "run"
    assert call("run", config, run, "--set", "learning.separate=true")[0] == 0
    kinds = {
        part: {json.loads(line)["kind"] for line in (run / f"data/1/{part}.jsonl").read_text().splitlines()}
        for part in ("sample", "refine")
    }
    assert kinds == {"sample": {"sample"}, "refine": {"refine"}}
    assert sorted(folder.name for folder in (run / "adapters/1").iterdir()) == ["refine", "sample"]
    with closing(ArchiveReader(run / "archive.sqlite")) as reader:
        rows = reader.query("SELECT DISTINCT phase FROM completions WHERE iteration = 1 AND text LIKE '%cell + 0.5%'")
    assert rows == [], "both are served by what was learnt"
    code, said, _ = call("doctor", run)
    assert (code, "damaged: nothing" in said) == (0, True)
    (run / "adapters/1/refine/manifest.json").unlink()
    assert "adapters/1/refine: its manifest is missing" in call("doctor", run)[1]


@pytest.mark.parametrize(
    ("setting", "choices"),
    [
        ("search.selector=best", "greedy, rex, uniform"),
        ("answer.voter=majority", "mean, sum"),
        ('answer.filters=["odd"]', "hard-coded"),
        ("learning.curator=all", "greedy-diverse"),
        ("learning.operators=[]", "at least 1 item"),
        ("finetune.trainer=mine", "trl"),
        ("search.samplse=3", "samples_per_request"),
    ],
)
def test_a_wrong_name_is_told_with_the_choices_and_begins_no_run(config, tmp_path, call, setting, choices):
    code, _, errors = call("run", config, tmp_path / "run", "--set", setting)
    assert code == 2
    assert choices in errors
    assert "Traceback" not in errors
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_another_configuration_is_refused_with_the_difference(config, tmp_path, call):
    call("run", config, tmp_path / "run", "--set", "stages.0.iterations=1")
    code, _, errors = call("run", config, tmp_path / "run", "--set", "search.samples=12")
    assert code == 2
    assert "search.samples was 8, now 12" in errors


@pytest.mark.slow
def test_an_unreadable_task_is_told_with_its_file_and_reason(config, tmp_path, task_folder, call):
    (task_folder / "flip.json").write_text(
        '{"train": [{"input": [[1], [2, 3]], "output": [[1]]}], "test": [{"input": [[1]]}]}'
    )
    code, _, errors = call("run", config, tmp_path / "run", "--strict")
    assert code == 3
    assert "flip" in errors
    assert "ragged" in errors
    assert not (tmp_path / "run").exists()
    code, _, errors = call("run", config, tmp_path / "run")
    assert code == 0
    assert "flip" in errors
    assert "ragged" in errors


@pytest.mark.slow
def test_a_run_directory_that_cannot_be_made_is_told(config, call):
    code, _, errors = call("run", config, "/dev/full/run")
    assert code == 5
    assert "/dev/full/run" in errors


FLIP = "def transform(grid):\n    return [row[::-1] for row in grid]"


@pytest.mark.slow
def test_exec_gives_a_line_for_each_line_in_their_order(tmp_path, task_folder, call):
    entries = [
        {"task_id": "flip", "code": FLIP, "mark": [1, {"a": None}]},
        {"task_id": "turn", "code": FLIP},
        {"task_id": "flip", "code": "def transform(grid):\n    return grid[7][7]"},
        {"task_id": "flip", "code": "def transform(grid)\n    return grid"},
        {"task_id": "nowhere", "code": FLIP},
        {"task_id": "flip"},
    ]
    programs, results = tmp_path / "programs.jsonl", tmp_path / "results.jsonl"
    programs.write_text("\n".join([*map(json.dumps, entries), "no JSON", ""]))
    code, said, _ = call("exec", programs, "--out", results, "--tasks", task_folder)
    assert (code, said) == (0, "")
    right, wrong, raised, broken, unknown, empty, garbage = map(json.loads, results.read_text().splitlines())

    assert right["mark"] == [1, {"a": None}]
    assert "code" not in right
    assert [pair["correct"] for pair in right["train"]] == [True] * 3
    wanted = json.loads((task_folder / "flip.json").read_text())["test"][0]["output"]
    assert right["test"] == [{"output": wanted, "failure": None}]
    assert (wrong["status"], [pair["correct"] for pair in wrong["train"]]) == ("ok", [False] * 3)
    assert raised["status"] == "failed"
    assert [(pair["failure"]["type"], pair["failure"]["line"]) for pair in raised["train"]] == [("IndexError", 2)] * 3
    assert broken["train"][0]["failure"]["type"] == "SyntaxError"
    assert broken["train"][0]["failure"]["stage"] == "load"
    assert [entry["status"] for entry in (unknown, empty, garbage)] == ["error"] * 3
    assert "nowhere" in unknown["message"]


@pytest.mark.slow
def test_exec_runs_one_program_file_on_one_task(tmp_path, task_folder, call):
    program = tmp_path / "program.py"
    program.write_text(FLIP)
    code, said, _ = call("exec", "--task", "flip", program, "--tasks", task_folder)
    assert code == 0
    assert json.loads(said)["status"] == "ok"
    code, _, errors = call("exec", "--task", "nowhere", program, "--tasks", task_folder)
    assert code == 3
    assert "nowhere" in errors


def test_help_loads_no_more_than_it_needs(environment):
    script = (
        "import sys\nfrom soar.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('torch', 'numpy', 'pydantic', 'rich', 'openai') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"
