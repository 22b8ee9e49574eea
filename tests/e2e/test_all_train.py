"""All train (§3.4): a model finetuned on all that stages or whole runs have found, then test-time training from it."""

import asyncio
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from rich.console import Console

from soar import session
from soar.config import load_config
from soar.files import publish

CHAIN = """
[search]
samples = 12
refinements = 0
samples_per_request = 6
enough = 0
[learning]
samples_per_task = 4
[finetune]
trainer = "{trainer}"
[[stages]]
name = "train"
ids_file = "{folder}/train.txt"
iterations = 2
[[stages]]
name = "target"
ids_file = "{folder}/target.txt"
answers = "hidden"
iterations = 3
learns_from = ["train"]
"""


class Noting:
    """A trainer that publishes the name of the folder that it began from."""

    def __init__(self, settings):
        del settings

    def finetune(self, rows, base, out, seed, on_log):
        del rows, seed, on_log
        aside = out.with_name(out.name + ".tmp")
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        publish(aside, out, {"base": str(base.name)})


def bases(run):
    return {
        int(folder.name): json.loads((folder / "manifest.json").read_text())["base"]
        for folder in (run / "adapters").iterdir()
    }


@pytest.mark.slow  # five searches
def test_one_configuration_trains_pools_and_goes_on_without_answers(tmp_path, write_config, task_folder):
    names = sorted(file.stem for file in task_folder.glob("*.json"))
    (tmp_path / "train.txt").write_text("\n".join(names[:4]))
    (tmp_path / "target.txt").write_text("\n".join(names[4:]))
    settings, run = (
        load_config(write_config(CHAIN.format(trainer=f"{__name__}:Noting", folder=tmp_path))),
        tmp_path / "run",
    )
    assert asyncio.run(session.run(settings, run, Console(quiet=True)))
    theta0 = bases(run)[1]
    assert bases(run) == {1: theta0, 2: theta0, 3: "2", 4: "2"}
    pooled, own = (examples(run / f"data/{number}/examples.jsonl") for number in (2, 3))
    assert {row["program"].rsplit("/", 5)[0] for row in pooled} == {"train/0", "train/1"}, "of both searches"
    assert {row["program"].split("/")[0] for row in own} == {"target"}


def examples(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def call(soar, environment, *arguments):
    done = subprocess.run([*soar, *map(str, arguments)], env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow  # two searches and a finetuning
def test_a_model_finetuned_on_two_runs_is_what_the_next_begins_with(soar, environment, tmp_path):
    # Some hundred examples are two steps, and by the configuration's rate these would undo the model.
    changed = ("tasks.count=6", "search.samples=24", "stages.0.iterations=1", "finetune.lr=1e-5")
    few = [word for each in changed for word in ("--set", each)]
    for seed in (1, 2):
        code, _, errors = call(
            soar, environment, "run", "sequences", tmp_path / f"{seed}", *few, "--set", f"seed={seed}"
        )
        assert code == 0, errors
    both = ["--from", tmp_path / "1", "--from", tmp_path / "2"]
    code, said, errors = call(soar, environment, "finetune", *both, "--out", tmp_path / "model")
    assert code == 0, errors
    rows = examples(tmp_path / "model.examples.jsonl")
    assert f"{len(rows)} examples of" in said
    assert {Path(row["program"].split(":search/")[0]).name for row in rows} == {"1", "2"}
    code, _, errors = call(soar, environment, "finetune", *both, "--out", tmp_path / "model")
    assert (code, "exists: name a new folder for the finetuned model" in errors) == (2, True)
    named = ["--set", f"lm.model={tmp_path / 'model'}"]
    code, _, errors = call(soar, environment, "run", "sequences", tmp_path / "3", *few, *named)
    assert code == 0, errors
    answers = [(tmp_path / name / "answers/0.json").read_text() for name in ("1", "3")]
    assert answers[0] != answers[1]


def test_what_cannot_be_learnt_from_is_refused_before_anything_is_written(soar, environment, tmp_path):
    code, _, errors = call(soar, environment, "finetune", "--from", tmp_path, "--out", tmp_path / "model")
    assert code == 2
    assert f"{tmp_path} is not a run directory" in errors
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow  # a search
def test_a_model_is_not_put_into_a_run(soar, environment, write_config, tmp_path):
    run = tmp_path / "run"
    code, _, errors = call(soar, environment, "run", write_config("[search]\nsamples = 4\nrefinements = 0\n"), run)
    assert code == 0, errors
    before = sorted(run.iterdir())
    code, _, errors = call(soar, environment, "finetune", "--from", run, "--out", run / "model")
    assert (code, f"lies in the run directory {run}" in errors) == (2, True)
    assert sorted(run.iterdir()) == before
    other = shutil.copytree(run, tmp_path / "other")
    code, _, errors = call(soar, environment, "finetune", "--from", run, "--out", other)
    assert (code, f"{other} exists: name a new folder" in errors) == (2, True), "and not: remove it"
    code, _, errors = call(soar, environment, "finetune", "--from", run, "--out", ".")
    assert (code, "exists: name a new folder" in errors) == (2, True)


@pytest.mark.slow  # a search
def test_a_run_named_twice_is_not_learnt_from_twice(soar, environment, write_config, tmp_path):
    run = tmp_path / "run"
    code, _, errors = call(soar, environment, "run", write_config("[search]\nsamples = 4\nrefinements = 0\n"), run)
    assert code == 0, errors
    again = run / ".." / "run"
    code, _, errors = call(soar, environment, "finetune", "--from", run, "--from", again, "--out", tmp_path / "model")
    assert (code, f"{run} is named twice" in errors) == (2, True)
