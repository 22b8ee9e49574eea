"""What TRL, PEFT and transformers are told, on a machine with a GPU and on one without; the libraries stand aside."""

import importlib
import importlib.util
from dataclasses import replace
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest
import torch

from soar.learning.trainers import training
from soar.learning.trainers.process import Job
from soar.learning.trainers.settings import FinetuneSettings
from soar.learning.trainers.training import TARGETS, _arguments, with_transformers

SETTINGS = FinetuneSettings(
    method="lora", rank=4, alpha=7, lr=1e-3, warmup=0.2, schedule="linear", weight_decay=0.3, optimizer="adamw",
    batch_size=6, accumulation=4, epochs=2, checkpoint_steps=9,
)  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def libraries():
    """What looks for a GPU when it is imported, imported before a test says that there is one."""
    importlib.import_module("transformers.trainer")
    importlib.import_module("trl.trainer.sft_config")


class Said(dict):
    """Keeps what an object of TRL's or transformers' would have been told."""

    __dataclass_fields__ = MappingProxyType({"activation_checkpointing": None})


@pytest.fixture
def gpu(request, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: request.param)
    return request.param


on_each = pytest.mark.parametrize("gpu", [True, False], indirect=True)


@pytest.fixture
def job(tmp_path):
    return Job(tmp_path / "rows", tmp_path / "base", tmp_path / "out", 3, SETTINGS, micro=2, data={})


def changed(job, **changes):
    return replace(job, settings=job.settings.model_copy(update=changes))


def said(monkeypatch, job, bf16=False, checkpointing=True) -> dict[str, Any]:
    monkeypatch.setattr("trl.trainer.sft_config.SFTConfig", Said)
    return dict(_arguments(job, bf16=bf16, checkpointing=checkpointing))


@on_each
def test_trl_is_told_all_of_the_settings_and_takes_the_rows_as_they_come(monkeypatch, job, gpu):
    assert said(monkeypatch, job) == {
        "output_dir": str(job.work),
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 12,
        "num_train_epochs": 1,
        "max_steps": -1,
        "train_sampling_strategy": "sequential",
        "learning_rate": 1e-3,
        "warmup_steps": 0.2,
        "lr_scheduler_type": "linear",
        "weight_decay": 0.3,
        "optim": "adamw_torch_fused" if gpu else "adamw_torch",
        "max_length": None,
        "completion_only_loss": True,
        "pad_to_multiple_of": 16 if gpu else 4,
        "bf16": False,
        "use_cpu": not gpu,
        "activation_checkpointing": gpu,
        "ddp_find_unused_parameters": False,
        "dataloader_pin_memory": gpu,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "disable_tqdm": True,
        "report_to": "none",
        "save_strategy": "steps",
        "save_steps": 9,
        "save_total_limit": 2,
        "seed": 3,
    }


@on_each
def test_activations_are_recomputed_on_a_gpu_where_a_learner_wants_it_and_by_the_sharding_itself(monkeypatch, job, gpu):
    assert said(monkeypatch, job, checkpointing=False)["activation_checkpointing"] is False
    shared = said(monkeypatch, changed(job, processes=2))
    assert shared["activation_checkpointing"] is gpu
    assert "fsdp" not in shared
    assert "fsdp" not in said(monkeypatch, changed(job, sharding="fsdp"))
    sharded = said(monkeypatch, changed(job, processes=2, sharding="fsdp"))
    assert sharded["activation_checkpointing"] is False
    assert sharded["fsdp"] is True
    assert sharded["fsdp_config"] == {
        "version": 2,
        "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
        "reshard_after_forward": True,
        "state_dict_type": "SHARDED_STATE_DICT",
        "activation_checkpointing": gpu,
    }


def test_the_format_the_most_steps_the_processes_share_and_a_long_seed_are_passed_on(monkeypatch, job):
    assert said(monkeypatch, job, bf16=True)["bf16"] is True
    assert said(monkeypatch, changed(job, max_steps=5))["max_steps"] == 5
    assert said(monkeypatch, changed(job, processes=3))["gradient_accumulation_steps"] == 4
    assert said(monkeypatch, replace(job, seed=2**40 + 2**31 + 5))["seed"] == 5
    assert said(monkeypatch, replace(job, seed=2**31 - 1))["seed"] == 2**31 - 1


@pytest.mark.parametrize(
    ("optimizer", "gpu", "installed", "eight"),
    [
        ("auto", True, True, True),
        ("auto", True, False, False),
        ("auto", False, True, False),
        ("adamw", True, True, False),
        ("adamw_8bit", False, False, True),
    ],
    indirect=["gpu"],
)
def test_adamw_in_eight_bits_is_taken_where_it_is_asked_for_or_there(
    monkeypatch, job, optimizer, gpu, installed, eight
):
    asked = []
    find = importlib.util.find_spec

    def found(name, *more):
        if name != "bitsandbytes":
            return find(name, *more)
        asked.append(name)
        return "found" if installed else None

    monkeypatch.setattr(importlib.util, "find_spec", found)
    told = said(monkeypatch, changed(job, optimizer=optimizer))["optim"]
    assert told == ("adamw_8bit" if eight else "adamw_torch_fused" if gpu else "adamw_torch")
    assert bool(asked) == (optimizer == "auto" and gpu)


@on_each
def test_adamw_in_eight_bits_is_not_taken_by_itself_for_shards(monkeypatch, job, gpu):
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: "found")
    job = changed(job, processes=2, optimizer="auto")
    assert said(monkeypatch, changed(job, sharding="fsdp"))["optim"] == ("adamw_torch_fused" if gpu else "adamw_torch")
    assert said(monkeypatch, job)["optim"] == ("adamw_8bit" if gpu else "adamw_torch")


def test_an_older_trl_has_another_name_for_recomputing_activations():
    older = SimpleNamespace(__dataclass_fields__={"gradient_checkpointing": None})
    assert training._checkpointing(older) == "gradient_checkpointing"
    assert training._checkpointing(Said) == "activation_checkpointing"


def test_lora_is_told_its_rank_and_scale_and_goes_on_all_projections(monkeypatch):
    monkeypatch.setattr("peft.LoraConfig", Said)
    projections = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    assert training._lora(SETTINGS) == {
        "r": 4,
        "lora_alpha": 7,
        "use_rslora": True,
        "lora_dropout": 0.0,
        "target_modules": projections,
    }
    assert projections == TARGETS


@on_each
@pytest.mark.parametrize("bf16", [True, False])
@pytest.mark.parametrize("method", ["lora", "qlora", "full"])
def test_a_base_is_loaded_in_the_format_and_onto_the_device_of_its_method(monkeypatch, job, gpu, bf16, method):
    told, attended = [], []

    def load(*given, **more):
        told.append((given, more))
        return "model"

    monkeypatch.setattr("transformers.AutoModelForCausalLM.from_pretrained", load)
    monkeypatch.setattr("transformers.BitsAndBytesConfig", Said)
    monkeypatch.setattr("peft.LoraConfig", Said)
    monkeypatch.setattr(training, "attend_in_float32", attended.append)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    learner = with_transformers(changed(job, method=method), bf16)
    dtype = torch.bfloat16 if bf16 and method != "full" else torch.float32
    expected: dict[str, Any] = {"local_files_only": True, "dtype": dtype}
    if method == "qlora":
        expected["device_map"] = {"": 0 if gpu else "cpu"}
        expected["quantization_config"] = {
            "load_in_4bit": True,
            "bnb_4bit_quant_type": "nf4",
            "bnb_4bit_use_double_quant": True,
            "bnb_4bit_compute_dtype": dtype,
        }
    assert told == [((job.base,), expected)]
    assert attended == ([] if gpu else ["model"])
    assert learner == ("model", None if method == "full" else training._lora(SETTINGS), True)


def test_each_process_has_its_own_gpu(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "3")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert training._one_device() == {"": 3}


def test_without_a_gpu_a_model_is_sharded_all_the_same(monkeypatch):
    from accelerate.state import AcceleratorState
    from accelerate.utils import DistributedType

    begun = []

    def begin(self, *given, **more):
        begun.append((given, more))
        self.distributed_type, self.fsdp_plugin = "as before", None

    monkeypatch.setattr(AcceleratorState, "__init__", begin)
    training._enable_fsdp_on_cpu()
    for plugin, expected in (("plugin", DistributedType.FSDP), (None, "as before")):
        state: Any = SimpleNamespace()
        AcceleratorState.__init__(state, "no", cpu=True, fsdp_plugin=plugin)  # type: ignore[arg-type]
        assert begun.pop() == (("no",), {"cpu": True, "fsdp_plugin": plugin})
        assert (state.distributed_type, state.fsdp_plugin) == (expected, plugin)
