"""A run with a deadline: a search ends early so that finetuning, the next search and its answers have time."""

import json
import subprocess

import pytest

pytestmark = pytest.mark.slow  # every test starts commands

CONFIG = """
[search]
samples = 20
refinements = 20
samples_per_request = 4
enough = 0
tasks_in_flight = 6
[learning]
samples_per_task = 4
[finetune]
trainer = "scripted"
[[stages]]
name = "train"
iterations = 2
"""
SLEEPY = """
import time
import replies


def reply(prompt, seed):
    time.sleep(0.05)
    return replies.reply(prompt, seed)
"""


@pytest.fixture
def call(soar, environment, tmp_path):
    environment = {**environment, "PYTHONPATH": f"{tmp_path}:{environment['PYTHONPATH']}"}
    (tmp_path / "sleepy.py").write_text(SLEEPY)

    def run(*arguments):
        done = subprocess.run([*soar, *map(str, arguments)], env=environment, capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture
def start(call, write_config, tmp_path):
    """Run until a number of seconds is over."""

    def run(seconds, *more):
        settings = ["--set", f"budget.max_seconds={seconds}", "--set", "lm.model=sleepy:reply", *more]
        return call("run", write_config(CONFIG), tmp_path / "run", *settings)

    return run


def test_every_step_has_its_share_of_the_time_and_answers_are_there_when_it_is_over(start, call, tmp_path):
    code, said, errors = start(8)
    assert (code, "max_seconds = 8 is reached" in errors) == (75, True)
    assert "search 0 of stage 'train' ended after 3 s" in said
    first, second = json.loads(call("report", tmp_path / "run", "--json")[1])["iterations"]
    assert (first["finished"], second["finished"]) == (True, False)
    assert 0 < first["completions"] < 240
    assert 0 < second["completions"] < 240
    assert (tmp_path / "run/data/1/examples.jsonl").read_text()
    for number in (0, 1):
        assert len(json.loads((tmp_path / f"run/answers/{number}.json").read_text())) == 6

    assert call("doctor", tmp_path / "run")[0] == 0
    code, said, errors = start(600, "--set", "lm.model=sleepy:reply")
    assert (code, errors) == (0, "")
    again, second = json.loads(call("report", tmp_path / "run", "--json")[1])["iterations"]
    assert again["completions"] == first["completions"], "what ended for the sake of the rest is done"
    assert (second["finished"], second["completions"]) == (True, 240)


def test_a_search_that_found_nothing_in_its_share_is_not_done(start, call, tmp_path):
    code, _, errors = start(0.001)
    assert (code, "budget.max_seconds" in errors) == (75, True)
    code, said, _ = start(600)
    assert (code, "ended after" in said) == (0, False)
    records = json.loads(call("report", tmp_path / "run", "--json")[1])["iterations"]
    assert [(record["finished"], record["completions"]) for record in records] == [(True, 240)] * 2
