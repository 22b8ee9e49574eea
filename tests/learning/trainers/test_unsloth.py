"""Unsloth in the place of plain TRL: what is refused, and what goes through it.

With Unsloth itself: ``SOAR_UNSLOTH_PYTHON`` names an interpreter that has it (`make test-unsloth`)."""

import json
import os
import stat
import sys

import pytest
from safetensors.numpy import load_file

from soar.config import free_settings, validated
from soar.errors import ConfigError
from soar.learning.trainers.trl import Trl
from soar.learning.trainers.unsloth import Unsloth, UnslothSettings

FEW = {"rank": 4, "lr": 1e-2, "batch_size": 2, "accumulation": 4, "epochs": 2, "max_length": 64, "dtype": "float32"}

STAND_IN = """
class FastLanguageModel:
    @staticmethod
    def from_pretrained(name, max_seq_length, dtype, load_in_4bit, full_finetuning):
        from transformers import AutoModelForCausalLM
        assert max_seq_length == 64 and not load_in_4bit
        return AutoModelForCausalLM.from_pretrained(name, dtype=dtype, local_files_only=True), None

    @staticmethod
    def get_peft_model(model, r, lora_alpha, use_gradient_checkpointing, random_state, **more):
        import torch
        from peft import LoraConfig, get_peft_model
        assert use_gradient_checkpointing == "unsloth"
        return get_peft_model(model, LoraConfig(r=r, lora_alpha=lora_alpha, **more))
"""


def losses(trainer, rows, base, out):
    log = []
    trainer.finetune(rows, base, out, 1, log.append)
    return [entry["loss"] for entry in log if "loss" in entry]


@pytest.fixture
def stand_in(tmp_path):
    """An interpreter of its own that finds this machine's libraries, and in the place of Unsloth what does as it does
    by plain PEFT."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "unsloth.py").write_text(STAND_IN)
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{tmp_path / "lib"}:$PYTHONPATH" exec {sys.executable} "$@"\n')
    python.chmod(python.stat().st_mode | stat.S_IEXEC)
    return str(python)


@pytest.mark.slow
def test_another_environment_makes_the_weights_that_trl_makes(rows, base, tmp_path, stand_in):
    settings = {**FEW, "method": "full"}
    here = losses(Trl(Trl.Settings(**settings)), rows, base, tmp_path / "a")
    assert losses(Unsloth(UnslothSettings(python=stand_in, **settings)), rows, base, tmp_path / "b") == here
    one, other = (load_file(tmp_path / out / "model.safetensors") for out in ("a", "b"))
    assert one.keys() == other.keys()
    assert all((one[name] == other[name]).all() for name in one)


@pytest.mark.slow
def test_an_adapter_that_unsloth_has_put_on_is_published_with_merged_weights(rows, base, tmp_path, stand_in):
    settings = {**FEW, "method": "lora"}
    here = losses(Trl(Trl.Settings(**settings)), rows, base, tmp_path / "a")
    there = losses(Unsloth(UnslothSettings(python=stand_in, **settings)), rows, base, tmp_path / "b")
    # An adapter begins at nothing; how it begins is drawn by other numbers.
    assert there[0] == here[0]
    assert len(there) == len(here) == 12
    assert there[-1] < there[0]
    configs = [json.loads((tmp_path / out / "adapter" / "adapter_config.json").read_text()) for out in ("a", "b")]
    assert configs[0].keys() == configs[1].keys()
    for name in ("r", "lora_alpha", "use_rslora", "bias", "lora_dropout"):
        assert configs[0][name] == configs[1][name]
    assert set(configs[0]["target_modules"]) == set(configs[1]["target_modules"])


@pytest.mark.skipif("SOAR_UNSLOTH_PYTHON" not in os.environ, reason="SOAR_UNSLOTH_PYTHON is not set")
@pytest.mark.engine
@pytest.mark.parametrize("method", ["lora", "full"])
def test_unsloth_learns_what_trl_learns(rows, base, tmp_path, method):
    settings = {**FEW, "method": method}
    here = losses(Trl(Trl.Settings(**settings)), rows, base, tmp_path / "a")
    python = os.environ["SOAR_UNSLOTH_PYTHON"]
    there = losses(Unsloth(UnslothSettings(python=python, **settings)), rows, base, tmp_path / "b")
    assert len(here) == len(there) == 12
    assert there[0] == pytest.approx(here[0], abs=1e-3)
    if method == "full":
        assert there == pytest.approx(here, abs=1e-2)
    assert there[-1] < there[0]
    noted = [json.loads((tmp_path / out / "probe.json").read_text()) for out in ("a", "b")]
    assert noted[1]["base"] == pytest.approx(noted[0]["base"], abs=1e-4)
    assert sum(noted[1]["learnt"]) > sum(noted[1]["base"]) + 1
    assert (tmp_path / "b" / "adapter").exists() == (method == "lora")


def test_an_interpreter_that_is_not_there_and_several_gpus_are_refused():
    with pytest.raises(ConfigError, match=r"finetune.python = .*soar engine install unsloth"):
        Unsloth(UnslothSettings(python="/nowhere/python"))
    with pytest.raises(ConfigError, match="soar engine install unsloth"):
        Unsloth(UnslothSettings())
    with pytest.raises(ConfigError, match=r'finetune\.trainer to "trl"'):
        Unsloth(UnslothSettings(python=sys.executable, processes=2))


def test_another_interpreter_may_be_named_when_a_run_goes_on():
    assert "finetune.python" in free_settings(validated({"finetune": {"trainer": "unsloth"}}))
