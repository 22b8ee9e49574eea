"""What learning hands on, step by step: the searches it reads, the rows it writes, the seeds, and what finetunes."""

import asyncio
import json
from typing import Any

import pytest

from soar.errors import DataError
from soar.learning.learn import ExampleSource, LearningMethod, Searched, learn, of_pool, of_stage, pooled_tasks
from soar.learning.select import shown_pairs
from soar.learning.settings import LearningSettings
from soar.seeds import rng, seed_of
from soar.types import Example, Task

TASKS = [Task(f"t{number}", (Example(number, 2),), (Example(3, 4),)) for number in range(2)]
NOBODY: Any = None


def method(**parts) -> LearningMethod:
    given: dict[str, Any] = {"seed": 11, "from_all": False, "examples": "own", "pooled_examples": "pooled"}
    return LearningMethod(**{**given, "kept": None, "replay": None, "finetune": None, "parts": {}, **parts})


class Reader:
    """Keeps what it is asked for."""

    def __init__(self):
        self.asked: list[Any] = []

    def programs(self, *given):
        self.asked.append(given)
        return ["program"]


@pytest.mark.parametrize(("from_all", "since"), [(True, None), (False, 2)])
def test_an_iteration_learns_from_the_search_before_it_or_from_all(from_all, since):
    reader: Any = Reader()
    source = of_stage(method(from_all=from_all), ("train", 3), TASKS, reader)
    assert (source.tasks, source.examples) == (TASKS, "own")
    assert source.programs_of(TASKS[1]) == ["program"]
    assert reader.asked == [("t1", "train", since)]


def test_a_pool_learns_from_every_stage_that_has_the_task():
    reader: Any = Reader()
    searched = [Searched({"a": TASKS, "b": TASKS[:1], "c": TASKS[1:]}, reader)]
    source = of_pool(method(), searched)
    assert (source.tasks, source.examples) == (TASKS, "pooled")
    assert source.programs_of(TASKS[0]) == ["program", "program"]
    assert reader.asked == [("t0", "a"), ("t0", "b")]


def test_two_stages_with_different_tasks_of_one_name_are_told_apart_in_words():
    other = Task("t0", (), ())
    with pytest.raises(DataError) as error:
        pooled_tasks([Searched({"a": TASKS[:1], "b": [other]}, NOBODY)])
    assert str(error.value) == (
        "task 't0' differs between the pooled searches (in two stages): leave out the runs on other tasks"
    )


def test_rows_of_the_kinds_asked_for_are_kept_replayed_to_written_and_taught(tmp_path):
    told: list[Any] = []

    def examples(task, programs, seed, asked) -> Any:
        told.append(("examples", task.id, programs, seed, asked))
        return [{"kind": kind, "task": task.id} for kind in ("sample", "refine")]

    def kept(rows):
        told.append(("kept", rows))
        return rows[::-1]

    def replay(generator) -> Any:
        told.append(("replay", generator.integers(10**9)))
        return [{"kind": "replay"}]

    def finetune(*given):
        told.append(("finetune", *given))

    whole = method(kept=kept, replay=replay, finetune=finetune)
    programs_of: Any = {each: [each.id] for each in TASKS}.__getitem__
    source = ExampleSource(TASKS, programs_of, examples)
    data, out, base = tmp_path / "data.jsonl", tmp_path / "out", tmp_path / "base"
    log: list[Any] = []
    asyncio.run(learn(whole, ("train", 3), base, source, data=data, out=out, on_log=log.append, kinds={"sample"}))
    seed, asked = seed_of(11, "learn", "train", 3), {shown_pairs(task) for task in TASKS}
    training = seed_of(11, "finetune", "train", 3) & 0x7FFFFFFF
    samples = [{"kind": "sample", "task": task} for task in ("t0", "t1")]
    assert told == [
        ("examples", "t0", ["t0"], seed, asked),
        ("examples", "t1", ["t1"], seed, asked),
        ("replay", rng(training, "replay").integers(10**9)),
        ("kept", samples),
        ("finetune", data, base, out, training, log.append),
    ]
    assert [json.loads(line) for line in data.read_text().splitlines()] == [*samples[::-1], {"kind": "replay"}]
    assert log == [{"examples from the search": 2, "replayed": 1}]


def test_the_settings_of_learning_are_those_of_the_paper_and_the_rest_is_off():
    assert LearningSettings().model_dump() == {
        "history": "current",
        "curator": "greedy-diverse",
        "pairing": "diverse",
        "deduplicate": "text",
        "pooled_deduplicate": "ngrams",
        "embedding": "nomic-ai/CodeRankEmbed",
        "alike_above": None,
        "samples_per_task": 50,
        "refinements_per_task": 50,
        "hindsight_pairs_per_task": 0,
        "hindsight_parents": "shown",
        "true_copies": 1,
        "pseudo_labels": True,
        "per_prompt": "all",
        "across_tasks": False,
        "replay": 0,
        "operators": ("sample", "refine"),
        "separate": False,
    }


@pytest.mark.parametrize(
    "choice",
    [
        {"history": "all"},
        {"hindsight_parents": "closest"},
        {"per_prompt": "shortest"},
        {"operators": ("sample",)},
        {"operators": ("refine",)},
        {"alike_above": 1},
        {"alike_above": -0.5},
    ],
)
def test_a_choice_is_among_these_and_a_bound_is_a_cosine(choice):
    found = LearningSettings(**choice)
    assert {name: getattr(found, name) for name in choice} == choice


@pytest.mark.parametrize(
    "change",
    [{"alike_above": -1}, {"alike_above": 1.5}, {"samples_per_task": -1}, {"true_copies": 0}, {"operators": ()}],
)
def test_settings_that_mean_nothing_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        LearningSettings(**change)
