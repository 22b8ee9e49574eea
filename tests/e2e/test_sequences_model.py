"""The shipped model of sequences: it searches and learns by its configuration, and reads no other domain's tasks."""

import json
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def call(soar, environment, *arguments):
    done = subprocess.run([*soar, *map(str, arguments)], env=environment, capture_output=True, text=True, cwd=ROOT)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
def test_sequences_are_searched_learnt_from_and_searched_again(soar, environment, tmp_path):
    few = ("tasks.count=10", "search.samples=24", "search.samples_per_request=24", "stages.0.iterations=2")
    settings = [word for each in few for word in ("--set", each)]
    code, _, errors = call(soar, environment, "run", "sequences", tmp_path / "run", *settings)
    assert code == 0, errors
    _, out, _ = call(soar, environment, "report", tmp_path / "run", "--json")
    rows = json.loads(out)["iterations"]
    assert [row["completions"] for row in rows] == [240, 240]
    assert rows[0]["programs"] > 200, "hardly anything that it writes is no expression"
    examples = [json.loads(line) for line in (tmp_path / "run/data/1/examples.jsonl").read_text().splitlines()]
    assert len({row["prompt"] for row in examples}) == len(examples) > 50
    assert all(row["completion"].split()[0] in OPERATORS for row in examples[:20])


OPERATORS = {"add", "sub", "mul", "div", "mod", "eq", "lt", "if", "loop", "loop2", "find", "x"}


@pytest.mark.parametrize(("domain", "model", "other"), [("sequences", None, "arc"), ("arc", "sequences", "sequences")])
def test_a_model_of_another_domain_is_refused_before_anything_is_written(
    soar, environment, tmp_path, domain, model, other
):
    text = f'[tasks]\ndomain = "{domain}"\ncount = 2\n[lm]\nbackend = "embedded"\n'
    (tmp_path / "c.toml").write_text(text + (f'model = "{model}"\n' if model else ""))
    code, _, errors = call(soar, environment, "run", tmp_path / "c.toml", tmp_path / "run")
    assert code == 2
    assert f'opens a model of the domain "{other}", and tasks.domain = "{domain}"' in errors
    assert not (tmp_path / "run").exists()
