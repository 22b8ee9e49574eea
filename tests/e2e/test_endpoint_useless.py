"""`soar run` against servers whose replies hold nothing, or hold it elsewhere."""

import json
import subprocess

import pytest

from tests.lm.openai.loopback import Answer, as_json, error, serving

pytestmark = pytest.mark.slow

CODE = "```python\ndef transform(grid):\n    return [row[::-1] for row in grid]\n```"


def reply(message: dict[str, str | None], reason: str):
    def behave(body, number) -> Answer:
        chosen = {"message": {"role": "assistant", **message}, "finish_reason": reason}
        return as_json({"choices": [chosen] * body.get("n", 1), "usage": {"prompt_tokens": 2**70}})

    return behave


def run(tmp_path, task_folder, environment, soar, url: str) -> subprocess.CompletedProcess:
    command = [*soar, "run", "endpoint", str(tmp_path / "run")]
    settings = {
        "lm.base_url": url,
        "tasks.source": task_folder,
        "search.samples": 16,
        "search.refinements": 8,
        "search.samples_per_request": 8,
    }
    for name, value in settings.items():
        command += ["--set", f"{name}={value}"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    ("message", "reason", "cause"),
    [
        ({"content": None}, "stop", "completions are empty"),
        ({"content": ""}, "length", "completions are cut off"),
        ({"content": None, "reasoning_content": "I would mirror it."}, "stop", "no block of code"),
    ],
)
def test_a_run_whose_replies_are_all_useless_ends_with_the_cause(
    tmp_path, task_folder, environment, soar, message, reason, cause
):
    with serving(reply(message, reason)) as server:
        done = run(tmp_path, task_folder, environment, soar, server.url)
    assert done.returncode == 4, done.stderr
    assert "none of 144 completions is usable" in done.stderr
    assert "100 unusable completions in a row" in done.stderr
    assert cause in done.stderr
    assert "Traceback" not in done.stderr


def test_code_that_stands_in_the_reasoning_is_found(tmp_path, task_folder, environment, soar):
    with serving(reply({"content": None, "reasoning_content": f"It mirrors.\n{CODE}"}, "stop")) as server:
        done = run(tmp_path, task_folder, environment, soar, server.url)
    assert done.returncode == 0, done.stderr
    command = [*soar, "report", str(tmp_path / "run"), "--json"]
    found = json.loads(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)
    (search,) = found["iterations"]
    assert search["solved"] >= 1
    assert search["tokens"]["prompt"] == 0


def test_a_run_against_a_server_that_always_fails_the_same_way_ends_soon(tmp_path, task_folder, environment, soar):
    with serving(lambda *_: error(500, "KeyError: 'choices'", retry_after_ms="1")) as server:
        done = run(tmp_path, task_folder, environment, soar, server.url)
    assert done.returncode == 4
    assert "the same answer 8 times" in done.stderr
