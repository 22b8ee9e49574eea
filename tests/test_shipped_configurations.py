"""The configurations that ship: each can be opened as far as that goes without its model, and says what it says."""

import asyncio
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from soar import session
from soar.config import Config, load_config, validated
from soar.errors import ConfigError
from soar.method import contract, open_answering, open_domain, open_executors, open_method, refuse_doomed
from soar.shipped import names
from soar.task_sets import load_task_sets

PAPER = {
    "qwen2.5-coder-7b": ("Qwen/Qwen2.5-Coder-7B-Instruct", 256),
    "qwen2.5-coder-14b": ("Qwen/Qwen2.5-Coder-14B-Instruct", 256),
    "qwen2.5-coder-32b": ("Qwen/Qwen2.5-Coder-32B-Instruct", 256),
    "qwen2.5-72b": ("Qwen/Qwen2.5-72B-Instruct", 256),
    "mistral-large-2": ("mistralai/Mistral-Large-Instruct-2407", 64),
}


@cache
def task_counts(settings: str) -> list[int]:
    """Return how many tasks each stage of a configuration has; several configurations name the same."""
    config = validated(json.loads(settings))
    return [len(tasks) for tasks in load_task_sets(config, open_domain(config.tasks.domain)).values()]


class Anything:
    """Stands in for a backend whose model is not here."""

    reads = ("chat", "text")
    distinct = True

    def __init__(self, config: Config, folder: Path) -> None:
        self.folder = folder if config.lm.backend != "openai" else None
        self.rendering = "compact" if config.lm.backend == "embedded" else "chat"

    def open(self, weights: object) -> Any:
        raise AssertionError("nothing is asked")


@pytest.mark.parametrize("name", names())
def test_every_shipped_configuration_is_valid_and_its_parts_fit_together(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = load_config(Path(name))
    domain = open_domain(config.tasks.domain)
    open_answering(config, domain)
    open_executors(config)
    assert contract(config, domain).signature
    (tmp_path / "replay.jsonl.gz").touch()
    refuse_doomed(config, Anything(config, tmp_path))
    method = open_method(config, domain, Anything(config, tmp_path))
    assert len(method.steps) == sum(stage.iterations for stage in config.stages)
    sources = [config.tasks_of(stage.name).source or domain.sources[0] for stage in config.stages]
    if all(not source.startswith("/") for source in sources):  # a folder of a notebook is not here
        assert all(task_counts(config.model_dump_json(include={"seed", "tasks", "stages"})))


@pytest.mark.parametrize("name", PAPER)
def test_the_papers_models_have_the_papers_budgets_and_stages(name):
    config: Any = load_config(Path(name))
    model, rank = PAPER[name]
    assert (config.lm.model, config.finetune.rank, config.finetune.alpha) == (model, rank, 32)
    search, finetune = config.search, config.finetune
    assert (search.samples, search.refinements, search.samples_per_request) == (3000, 3000, 50)
    assert (search.islands, search.completions_per_refinement, search.enough) == (4, 4, 100)
    assert (config.sampling.sample_tokens, config.sampling.refine_tokens) == (4096, 2048)
    assert (finetune.lr, finetune.warmup, finetune.weight_decay, finetune.epochs) == (5e-5, 0.1, 0.05, 3.0)
    assert finetune.batch_size * finetune.accumulation == 64
    assert finetune.method == ("lora" if name.endswith(("-7b", "-14b")) else "qlora")
    train, evaluation = config.stages
    assert (train.source, train.iterations, train.answers) == ("arc1-training", 4, "known")
    assert (evaluation.source, evaluation.iterations, evaluation.answers) == ("arc1-evaluation", 3, "hidden")
    assert (evaluation.base, evaluation.learns_from) == ("model", ("train",)), "all train begins from the base model"


def test_the_notebooks_configuration_keeps_to_its_clock_and_one_shot_asks_once():
    notebook = load_config(Path("kaggle"))
    assert notebook.budget.max_seconds is not None
    assert notebook.budget.max_seconds < 12 * 3600
    assert {stage.answers for stage in notebook.stages} == {"hidden"}
    once = load_config(Path("one-shot"))
    assert (once.search.samples, once.search.refinements, once.search.enough) == (1, 0, 0)
    assert once.budget.max_cost
    assert once.budget.price_per_million_completion_tokens > 0


def test_a_limit_that_cannot_hold_is_refused_before_a_run_and_by_a_dry_run():
    settings = ("lm.backend=scripted", "lm.model=json:dumps", "prompt.rendering=chat", "learning.replay=0")
    config = load_config(Path("demo"), [*settings, "budget.max_cost=1"])
    with pytest.raises(ConfigError, match="price_per_million_prompt_tokens"):
        asyncio.run(session.try_parts(config, None))
