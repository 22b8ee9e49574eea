"""Programs as tables: in the columns of the published dataset, read by those who read these, and back into a run."""

import asyncio
import importlib.util
import json
from pathlib import Path

import pytest
from scripted_runs import search, standing

from soar import importing, session
from soar.cli import main
from soar.config import load_config
from soar.errors import ConfigError, DataError
from soar.importing import import_programs, rows_of
from soar.report import metrics
from soar.report.dataset import COLUMNS, write_dataset, write_parquet
from soar.report.export import program_lines, write_programs, write_submission

parquet = pytest.importorskip("pyarrow.parquet")


@pytest.fixture(scope="module")
def folder(finished, tmp_path_factory):
    """The programs of a finished run's first stage as a dataset."""
    path = tmp_path_factory.mktemp("tables") / "programs"
    with session.view_run(finished) as view:
        assert "programs of stage 'train'" in write_dataset(view, path, "train")
    return path


def bring(programs, config, path, *overrides):
    said = []
    found = asyncio.run(import_programs(programs, load_config(config, overrides), path, said.append))
    return found, said


def test_a_table_has_the_published_columns_and_says_what_the_lines_say(finished, folder):
    rows = parquet.read_table(folder / "data" / "train.parquet").to_pylist()
    with session.view_run(finished) as view:
        lines = list(program_lines(view, "train"))
    assert [*rows[0]] == [*COLUMNS]
    assert rows == [{name: line[name] for name in COLUMNS} for line in json.loads(json.dumps(lines))]
    assert {row["generation"] for row in rows} == {0, 1}
    assert str(parquet.read_schema(folder / "data" / "train.parquet").field("predicted_test_output").type) == (
        "list<element: list<element: list<element: int64>>>"
    )


def test_a_task_without_answer_has_no_verdicts_in_a_table(finished, tmp_path):
    with session.view_run(finished) as view:
        write_parquet(view, tmp_path / "target.parquet", "target")
    rows = parquet.read_table(tmp_path / "target.parquet").to_pylist()
    assert {row["correct_test_input"] is None for row in rows if row["task_id"] == "secret-task"} == {True}
    assert {row["correct_test_input"] is None for row in rows if row["task_id"] == "quiz"} == {False}


@pytest.mark.slow  # imports pandas and much else
@pytest.mark.skipif(importlib.util.find_spec("datasets") is None, reason="datasets is not installed")
@pytest.mark.filterwarnings("default")  # those of another library
def test_hugging_face_loads_the_folder(folder, tmp_path):
    import datasets

    loaded = datasets.load_dataset(str(folder), split="train", cache_dir=str(tmp_path))
    assert loaded.column_names == [*COLUMNS]
    assert loaded.num_rows == parquet.read_metadata(folder / "data" / "train.parquet").num_rows


def test_the_card_says_where_the_programs_come_from(folder):
    card = (folder / "README.md").read_text()
    assert card.startswith("---\npretty_name: ")
    assert "| tasks | 3 of known |" in card
    assert "| answers | known during the search |" in card
    assert "scripted: " in card


def test_without_pyarrow_one_line_says_what_brings_it(finished, folder, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    said = r"a table of programs needs pyarrow, .* pip install 'soar-synthesis\[parquet\]'"
    with session.view_run(finished) as view, pytest.raises(ConfigError, match=said):
        write_dataset(view, tmp_path / "more")
    assert not list(tmp_path.iterdir())
    with pytest.raises(ConfigError, match=said):
        rows_of(folder)


def test_a_folder_that_is_there_is_not_written_over(finished, folder):
    for there in (folder, Path()):
        with session.view_run(finished) as view, pytest.raises(ConfigError, match="already exists: name a new folder"):
            write_dataset(view, there)


def test_what_cannot_be_written_as_a_dataset_leaves_nothing_in_the_way_of_the_next_command(stopped, tmp_path, capsys):
    for stage, code, said in (("typo", 2, "no stage 'typo'"), ("target", 3, "no search of stage 'target'")):
        assert main(["export", str(stopped), "--dataset", str(tmp_path / "ds"), "--stage", stage]) == code
        assert said in capsys.readouterr().err
        assert main(["export", str(stopped), "--programs", str(tmp_path / "p.parquet"), "--stage", stage]) == code
        assert not list(tmp_path.iterdir())
    assert main(["export", str(stopped), "--dataset", str(tmp_path / "ds"), "--stage", "train"]) == 0
    assert f"{tmp_path / 'ds'}: " in capsys.readouterr().out
    assert (tmp_path / "ds" / "README.md").exists()


def test_a_dataset_that_is_interrupted_leaves_nothing(finished, tmp_path, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("soar.report.dataset.card", interrupted)
    with session.view_run(finished) as view, pytest.raises(KeyboardInterrupt):
        write_dataset(view, tmp_path / "ds")
    assert not list(tmp_path.iterdir())


def test_the_folder_of_an_export_that_another_process_is_making_stays(finished, tmp_path):
    (tmp_path / "ds.partial" / "data").mkdir(parents=True)
    with session.view_run(finished) as view, pytest.raises(ConfigError, match=r"ds\.partial already exists: remove it"):
        write_dataset(view, tmp_path / "ds")
    assert (tmp_path / "ds.partial" / "data").exists()


def test_a_table_comes_back_as_the_first_search_of_a_run_which_goes_on_from_it(scripted, finished, folder, tmp_path):
    found, _ = bring(folder, scripted, tmp_path / "back")
    with session.view_run(finished) as view:
        before = {(line["task_id"], line["code"], line["ran"]) for line in program_lines(view, "train")}
        count = sum(1 for _ in program_lines(view, "train"))
    with session.view_run(tmp_path / "back") as view:
        after = list(program_lines(view, "train"))
        records = metrics.report(view)["iterations"]
    assert (found.programs, found.tasks, found.elsewhere) == (count, 3, 0)
    assert {(line["task_id"], line["code"], line["ran"]) for line in after} == before
    assert [(each["iteration"], each["finished"], each["solved"]) for each in records] == [(0, True, 2)]
    search(scripted, tmp_path / "back")
    taught = [json.loads(line) for line in (tmp_path / "back/data/1/examples.jsonl").read_text().splitlines()]
    assert {row["program"].split("/")[1] for row in taught} == {"0"}
    assert standing(tmp_path / "back").finished


@pytest.mark.slow
def test_an_import_that_was_interrupted_goes_on_without_running_programs_again(scripted, finished, tmp_path):
    with session.view_run(finished) as view:
        write_programs(view, tmp_path / "all.jsonl", "train")
    lines = (tmp_path / "all.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "part.jsonl").write_text("".join([*lines[:30], "{}\n"]))
    with pytest.raises(DataError, match=r"part.jsonl, line 31: expected an object with task_id and code, found '{}'"):
        bring(tmp_path / "part.jsonl", scripted, tmp_path / "back")
    found, _ = bring(tmp_path / "all.jsonl", scripted, tmp_path / "back")
    assert found.programs == len(lines)
    with session.view_run(tmp_path / "back") as view:
        assert sum(1 for _ in program_lines(view, "train")) == len(lines)
    with pytest.raises(ConfigError, match="is finished: import into a new run directory"):
        bring(tmp_path / "all.jsonl", scripted, tmp_path / "back")


def test_an_import_goes_on_with_the_programs_that_it_began_with(scripted, finished, tmp_path, monkeypatch):
    monkeypatch.setattr(importing, "IN_FLIGHT", 1)  # so that the first are stored when the fourth is read
    with session.view_run(finished) as view:
        write_programs(view, tmp_path / "all.jsonl", "train")
    lines = (tmp_path / "all.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "part.jsonl").write_text("".join([*lines[:3], "{}\n"]))
    with pytest.raises(DataError, match="line 4"):
        bring(tmp_path / "part.jsonl", scripted, tmp_path / "back")
    first = json.loads(lines[0])
    other = json.dumps({**first, "code": "def transform(grid):\n    return [[7]]\n"}) + "\n"
    (tmp_path / "other.jsonl").write_text("".join([other, *lines[1:]]))
    with pytest.raises(ConfigError, match=r"program 1 of task .* in .*other\.jsonl is not the one"):
        bring(tmp_path / "other.jsonl", scripted, tmp_path / "back")
    found, _ = bring(tmp_path / "all.jsonl", scripted, tmp_path / "back")
    assert found.programs == len(lines)


def test_what_cannot_be_imported_is_said(scripted, stopped, tmp_path):
    path = tmp_path / "programs.jsonl"
    path.write_text(json.dumps({"task_id": "another", "code": "x"}) + "\n")
    with pytest.raises(DataError, match=r"no program in .* belongs to one of the 3 tasks of stage 'train'"):
        bring(path, scripted, tmp_path / "run")
    with pytest.raises(DataError, match="no file or folder of programs at"):
        bring(tmp_path / "none", scripted, tmp_path / "run")
    path.write_text('{"task_id": "flip", "code": "return \'\\\\ud800\'"}\n'.replace("\\\\", "\\"))
    with pytest.raises(DataError, match="line 1: expected a program's text as code, found half of a character"):
        bring(path, scripted, tmp_path / "run")
    (tmp_path / "table.parquet").write_text("no table")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        bring(tmp_path / "table.parquet", scripted, tmp_path / "run")


def test_a_submission_answers_every_task_of_a_challenge_file(finished, tmp_path):
    with session.view_run(finished) as view:
        tasks = {
            task.id: {
                "train": [{"input": e.input, "output": e.output} for e in task.train],
                "test": [{"input": e.input} for e in task.test],
            }
            for task in view.tasks["target"]
        }
        more = {**tasks, "unseen": next(iter(tasks.values()))}
        challenges = tmp_path / "arc-agi_test_challenges.json"
        challenges.write_text(json.dumps(more))
        told = write_submission(view, tmp_path / "submission.json", "target", str(challenges))
        written = json.loads((tmp_path / "submission.json").read_text())
        assert written.keys() == more.keys()
        assert written["unseen"] == [{"attempt_1": [[0, 0], [0, 0]], "attempt_2": [[0, 0], [0, 0]]}]
        assert told.endswith("have an answer; 1 are not in the run")
        with pytest.raises(DataError, match=r"task '.*' of the run is not in .*: name the file that the run searched"):
            write_submission(view, tmp_path / "submission.json", "train", str(challenges))
        more["quiz"] = {**more["quiz"], "test": [{"input": [[1]]}]}
        challenges.write_text(json.dumps(more))
        with pytest.raises(DataError, match="task 'quiz' has other test inputs in"):
            write_submission(view, tmp_path / "submission.json", "target", str(challenges))
