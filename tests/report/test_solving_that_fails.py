"""A search of given tasks that an error ends: what it had found is not lost."""

import json

import pytest

import soar
from soar import solving
from soar.cli import main
from soar.config import load_config
from soar.errors import EndpointError, StoreError

REPLIES = """
from soar.errors import EndpointError

asked = []


def reply(prompt, seed):
    asked.append(seed)
    if len(asked) > {most}:
        raise EndpointError("the quota is used up")
    return "```python\\ndef transform(grid):\\n    return [row[::-1] for row in grid]\\n```"
"""


@pytest.fixture
def paid(scripted, tmp_path, monkeypatch):
    """Return the settings of a model that answers so often, and then no more."""
    monkeypatch.syspath_prepend(tmp_path)

    def model(name, most):
        (tmp_path / f"{name}.py").write_text(REPLIES.format(most=most))
        return f"lm.model={name}:reply"

    return model


def test_an_error_that_ends_a_search_has_what_was_found_before(scripted, paid):
    task = scripted.parent / "known" / "flip.json"
    with pytest.raises(EndpointError, match="the quota is used up") as caught:
        soar.solve(task, config=load_config(scripted, [paid("eight", 8), "search.tasks_in_flight=1"]))
    (found,) = caught.value.solutions
    assert (found.found, found.ended) == (True, "failed")
    assert found.answers[0].outputs == (found.task.test[0].output,)
    assert found.as_json()["completions"] == 8


def test_an_error_before_anything_was_found_has_nothing(scripted, paid):
    task = scripted.parent / "known" / "flip.json"
    with pytest.raises(EndpointError) as caught:
        soar.solve(task, config=load_config(scripted, [paid("none", 0)]))
    assert caught.value.solutions == ()


def test_an_archive_that_cannot_be_read_either_is_the_error_that_is_told(scripted, paid, monkeypatch):
    def damaged(*_):
        raise StoreError("the archive is damaged")

    monkeypatch.setattr(solving, "_solution", damaged)
    with pytest.raises(EndpointError, match="the quota is used up"):
        soar.solve(scripted.parent / "known" / "flip.json", config=load_config(scripted, [paid("damaged", 8)]))


def test_the_command_prints_what_was_found_and_then_the_error(scripted, paid, capsys):
    tasks = [str(scripted.parent / "known" / f"{name}.json") for name in ("flip", "sums")]
    given = ["--config", str(scripted), "--set", paid("several", 24), "--set", "search.tasks_in_flight=1", "--json"]
    assert main(["solve", *tasks, *given]) == 4
    said = capsys.readouterr()
    first, second = map(json.loads, said.out.splitlines())
    assert (first["found"], first["completions"], first["ended"]) == (True, 20, "spent")
    assert (second["found"], second["completions"], second["ended"]) == (False, 4, "failed")
    assert said.err.splitlines()[-2:] == [
        "soar: the search failed; what it found is printed, and nothing of it is kept",
        "soar: the quota is used up",
    ]
