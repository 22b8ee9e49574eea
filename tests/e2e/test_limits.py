"""A run that reaches a limit: it stops within it, answers, exits 75; raised, it continues to the same end."""

import json
import subprocess

import pytest
from comparing import everything

pytestmark = pytest.mark.slow  # every test starts commands

CONFIG = """
[search]
samples = 8
refinements = 8
samples_per_request = 4
enough = 0
tasks_in_flight = 3
[sampling]
sample_tokens = 40
refine_tokens = 40
[learning]
samples_per_task = 4
[finetune]
trainer = "{trainer}"
[budget]
price_per_million_prompt_tokens = 100.0
price_per_million_completion_tokens = 1000.0
[[stages]]
name = "train"
iterations = 2
"""


@pytest.fixture
def run(soar, environment, tmp_path, write_config):
    environment = {**environment, "PYTHONPATH": f"{tmp_path}:{environment['PYTHONPATH']}"}

    def run(name, *settings, trainer="scripted"):
        words = [word for each in settings for word in ("--set", each)]
        command = [*soar, "run", str(write_config(CONFIG.format(trainer=trainer))), str(tmp_path / name), *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        return done.returncode, done.stderr

    return run


@pytest.fixture
def report(soar, environment, tmp_path):
    def report(name):
        command = [*soar, "report", str(tmp_path / name), "--json"]
        return json.loads(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)[
            "iterations"
        ]

    return report


def spent(records):
    return sum(sum(record["tokens"].values()) for record in records)


def test_a_limit_of_tokens_or_money_holds_over_sessions_and_may_be_raised(tmp_path, run, report):
    assert run("whole") == (0, "")
    whole = spent(report("whole"))
    assert report("whole")[0]["cost"] > 0
    assert report("whole")[0]["tokens_per_solved_task"] > report("whole")[0]["tokens_per_task"] > 0

    limit = whole // 3
    code, errors = run("short", f"budget.max_tokens={limit}")
    assert code == 75
    assert f"budget.max_tokens = {limit} is reached" in errors
    assert len(json.loads((tmp_path / "short/answers/0.json").read_text())) == 6
    (record,) = report("short")
    assert (record["finished"], spent([record]) <= limit) == (False, True)
    assert spent([record]) > limit / 2

    code, errors = run("short", f"budget.max_tokens={limit}")
    assert (code, spent(report("short")) <= limit) == (75, True)
    cost = 0.8 * sum(record["cost"] for record in report("whole"))
    code, errors = run("short", f"budget.max_cost={cost}")
    assert code == 75
    assert sum(record["cost"] for record in report("short")) <= cost
    assert run("short") == (0, "")
    assert everything(tmp_path / "short") == everything(tmp_path / "whole")


def test_a_limit_of_seconds_ends_a_search(tmp_path, run):
    (tmp_path / "sleepy.py").write_text(SLEEPY)
    code, errors = run("search", "budget.max_seconds=1.5", "lm.model=sleepy:reply")
    assert (code, "max_seconds = 1.5 is reached" in errors) == (75, True)
    assert (tmp_path / "search/answers/0.json").exists()


def test_a_limit_of_seconds_ends_a_finetuning(tmp_path, run, report):
    (tmp_path / "sleepy.py").write_text(SLEEPY)
    code, errors = run("tuning", "budget.max_seconds=20", trainer="sleepy:Sleepy")
    assert (code, "max_seconds = 20 is reached during finetuning" in errors) == (75, True)
    assert not report("tuning")[1]["finished"]
    assert run("tuning", "budget.max_seconds=600", "executor.workers=1", trainer="sleepy:Sleepy")[0] == 0


SLEEPY = """
import os, time
import replies
from soar.learning.trainers.scripted import Scripted


def reply(prompt, seed):
    time.sleep(0.05)
    return replies.reply(prompt, seed)


class Sleepy(Scripted):
    def finetune(self, rows, base, out, seed, on_log):
        os.makedirs(out.parent, exist_ok=True)
        first = not os.path.exists(str(out) + ".once")
        open(str(out) + ".once", "w").close()
        for step in range(900 if first else 1):
            time.sleep(0.1)
            on_log({"step": step})
        super().finetune(rows, base, out, seed, on_log)
"""


def test_a_task_takes_no_more_than_its_limit_and_one_call(run, report, tmp_path):
    assert run("whole")[0] == 0
    assert run("poor", "budget.max_tokens_per_task=1500")[0] == 0
    assert spent(report("poor")) < 0.7 * spent(report("whole"))
