"""A stage whose answers are hidden, through search, vote, learning and search again, depends on no answer."""

import json
import subprocess

import pytest
from comparing import everything

pytestmark = pytest.mark.slow  # every test starts commands

CONFIG = """
[search]
samples = 12
refinements = 12
samples_per_request = 6
enough = 0
[learning]
curator = "{curator}"
samples_per_task = 4
hindsight_pairs_per_task = 2
pseudo_labels = {pseudo_labels}
[finetune]
trainer = "scripted"
[[stages]]
name = "target"
answers = "hidden"
iterations = 3
"""


def with_other_answers(folder, elsewhere):
    """Copy a folder of tasks, every test output replaced by one that no program of the replies gives."""
    elsewhere.mkdir()
    for file in folder.glob("*.json"):
        task = json.loads(file.read_text())
        for pair in task["test"]:
            pair["output"] = [[9, 8, 7]]
        (elsewhere / file.name).write_text(json.dumps(task))


@pytest.mark.parametrize(("curator", "pseudo_labels"), [("greedy-diverse", "false"), ("correct-only", "true")])
def test_two_runs_whose_hidden_answers_differ_are_the_same_run(
    tmp_path, write_config, task_folder, environment, soar, curator, pseudo_labels
):
    with_other_answers(task_folder, tmp_path / "other")
    config = write_config(CONFIG.format(curator=curator, pseudo_labels=pseudo_labels))
    for name, source in (("one", task_folder), ("two", tmp_path / "other")):
        command = [*soar, "run", str(config), str(tmp_path / name), "--set", f"tasks.source={source}"]
        subprocess.run(command, env=environment, check=True, capture_output=True)
    one, two = everything(tmp_path / "one"), everything(tmp_path / "two")
    assert {"data/1/examples.jsonl", "data/2/examples.jsonl", "answers/2.json"} <= one.keys()
    assert one == two


def test_where_answers_are_known_they_decide_what_is_learnt(tmp_path, write_config, task_folder, environment, soar):
    """The test above would pass if learning looked at no answer anywhere."""
    with_other_answers(task_folder, tmp_path / "other")
    sections = CONFIG.format(curator="correct-only", pseudo_labels="false").replace('"hidden"', '"known"')
    config = write_config(sections.replace("iterations = 3", "iterations = 2"))
    data = []
    for name, source in (("one", task_folder), ("two", tmp_path / "other")):
        command = [*soar, "run", str(config), str(tmp_path / name), "--set", f"tasks.source={source}"]
        subprocess.run(command, env=environment, check=True, capture_output=True)
        data.append((tmp_path / name / "data/1/examples.jsonl").read_text())
    assert data[0] != data[1]
