"""The settings that every trainer takes, and what the trainers that are not TRL do with them."""

import json
import re
import sys
from typing import get_args

import pytest
from pydantic import ValidationError

from soar.errors import ConfigError
from soar.files import MANIFEST, sha256
from soar.learning.trainers import unsloth
from soar.learning.trainers.scripted import Scripted
from soar.learning.trainers.settings import FinetuneSettings
from soar.learning.trainers.unsloth import Unsloth, UnslothSettings
from soar.settings import FREE

PAPER = {
    "method": "lora",
    "rank": 256,
    "alpha": 32,
    "lr": 5e-5,
    "warmup": 0.1,
    "schedule": "cosine",
    "weight_decay": 0.05,
    "batch_size": 1,
    "accumulation": 64,
    "epochs": 3.0,
    "max_steps": None,
    "max_length": 16384,
    "dtype": "bfloat16",
    "optimizer": "auto",
    "processes": 1,
    "sharding": "ddp",
    "keep": None,
    "checkpoint_steps": 200,
}


def test_the_settings_are_those_of_the_paper():
    assert FinetuneSettings().model_dump() == PAPER
    assert UnslothSettings().model_dump() == {**PAPER, "python": None}


def test_a_choice_is_among_these():
    choices = {name: get_args(field.annotation) for name, field in FinetuneSettings.model_fields.items()}
    assert {name: each for name, each in choices.items() if each and isinstance(each[0], str)} == {
        "method": ("lora", "qlora", "full"),
        "schedule": ("cosine", "linear", "constant"),
        "dtype": ("bfloat16", "float32"),
        "optimizer": ("auto", "adamw", "adamw_8bit"),
        "sharding": ("ddp", "fsdp"),
    }


def test_a_run_may_go_on_with_other_processes_another_sharding_and_more_models_kept():
    free = {name for name, field in UnslothSettings.model_fields.items() if field.json_schema_extra == FREE}
    assert free == {"processes", "sharding", "keep", "python"}


@pytest.mark.parametrize("name", ["rank", "lr", "batch_size", "epochs", "max_steps", "processes", "keep"])
def test_nothing_of_what_must_be_something_is_refused(name):
    with pytest.raises(ValidationError):
        FinetuneSettings.model_validate({name: 0})


@pytest.mark.parametrize("name", ["lr", "epochs"])
def test_less_than_one_is_taken_where_a_part_makes_sense(name):
    FinetuneSettings.model_validate({name: 0.5})


def test_the_scripted_trainer_publishes_the_digest_of_the_rows_and_the_seed_alone(tmp_path):
    rows, out, log = tmp_path / "rows", tmp_path / "runs" / "out", []
    rows.write_text('{"a": "ë"}\n{}\n', encoding="utf-8")
    left = tmp_path / "runs" / "out.tmp" / "left"
    for _ in range(2):  # another session left its folder, and its result
        left.mkdir(parents=True)
        (left / "file").touch()
        Scripted(FinetuneSettings()).finetune(rows, tmp_path / "no base", out, 5, log.append)
        left.parent.mkdir(exist_ok=True)
    assert json.loads((out / MANIFEST).read_text()) == {"data_sha256": sha256(rows), "seed": 5, "sha256": {}}
    assert log == [{"examples": 2}] * 2


def test_the_scripted_trainer_needs_no_folder_of_an_earlier_session(tmp_path):
    (tmp_path / "rows").write_text("")
    out = tmp_path / "new" / "out"
    Scripted(FinetuneSettings()).finetune(tmp_path / "rows", tmp_path, out, 5, lambda entry: None)
    assert [each.name for each in out.iterdir()] == [MANIFEST]


def test_unsloth_is_looked_for_where_the_settings_name_it_and_needs_only_torch_here(monkeypatch):
    asked = []
    monkeypatch.setattr(unsloth, "require", lambda *given: asked.append(given))
    monkeypatch.setattr(unsloth, "interpreter", lambda *given, **more: asked.append((given, more)) or "/its/python")
    settings = UnslothSettings(python="/a", optimizer="adamw_8bit")
    trainer = Unsloth(settings)
    named = {"chosen_by": "finetune.trainer", "named_by": "finetune.python"}
    assert asked == [
        ('finetune.trainer = "unsloth"', "train", "torch"),
        (("unsloth", ("unsloth",), "/a"), named),
    ]
    assert (trainer.python, trainer.settings) == ("/its/python", settings)
    assert trainer.module == "soar.learning.trainers.unsloth_training"


def test_several_processes_of_unsloth_are_refused_with_what_to_set():
    said = (
        'finetune.trainer = "unsloth" uses one GPU, found finetune.processes = 2: set it to 1, or finetune.trainer to'
        ' "trl"'
    )
    with pytest.raises(ConfigError, match=re.escape(said) + "$"):
        Unsloth(UnslothSettings(python=sys.executable, processes=2))
