"""What is written of a trained model: the tensors as gathered, in the base's format, whole or merged, and none of it
where a value is not finite."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from soar.errors import StoreError
from soar.learning.trainers.saving import _sort_targets, _whole_state, not_finite, save
from soar.learning.trainers.settings import FinetuneSettings
from soar.learning.trainers.training import _lora, _quiet

SETTINGS = FinetuneSettings(rank=4, alpha=6)
LAYER = "model.layers.0.mlp.up_proj.weight"
SHARDED = "torch.distributed.checkpoint.state_dict"


def loaded(folder, **more) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, **more)


@pytest.fixture
def trained(base, tmp_path):
    """A trainer after training by a method; `state` gives its tensors as gathered from all processes."""

    def trained(method, state=dict, first=True):
        from peft import get_peft_model
        from transformers import AutoTokenizer

        model = loaded(base, dtype=torch.float32)
        if method == "lora":
            with _quiet():
                model = get_peft_model(model, _lora(SETTINGS))
        return SimpleNamespace(
            model=model,
            processing_class=AutoTokenizer.from_pretrained(base),
            is_fsdp_enabled=False,
            is_world_process_zero=lambda: first,
            accelerator=SimpleNamespace(
                get_state_dict=lambda given: state(given.state_dict()), unwrap_model=lambda given: given
            ),
        )

    return trained


def saved(trainer, folder, base, method):
    with _quiet():
        save(trainer, folder, base, method)
    return loaded(folder, dtype="auto").state_dict()


def filled(value, names):
    """Give the tensors that hold a name another value, as training would: gathered, they are not those of a process."""
    return lambda state: {
        name: torch.full_like(each, value) if any(part in name for part in names) else each
        for name, each in state.items()
    }


def test_of_all_weights_those_gathered_are_saved_in_the_bases_format_with_its_tokenizer(base, tmp_path, trained):
    half = tmp_path / "half"
    loaded(base, dtype=torch.bfloat16).save_pretrained(half)
    found = saved(trained("full", filled(0.1, [LAYER])), tmp_path / "out", half, "full")
    assert {each.dtype for each in found.values()} == {torch.bfloat16}
    assert torch.equal(found[LAYER], torch.full_like(found[LAYER], 0.1))
    before = loaded(half, dtype="auto").state_dict()
    assert all(torch.equal(found[name], before[name]) for name in before if name != LAYER)
    assert (tmp_path / "out" / "tokenizer.json").read_bytes() == (base / "tokenizer.json").read_bytes()
    assert not (tmp_path / "out" / "adapter").exists()


def test_of_lora_the_adapter_gathered_is_saved_and_merged_at_its_scale(base, tmp_path, trained):
    from safetensors.torch import load_file

    found = saved(trained("lora", filled(0.25, ["lora_"])), tmp_path / "out", base, "lora")
    adapter = load_file(tmp_path / "out" / "adapter" / "adapter_model.safetensors")
    assert len(adapter) == 2 * 2 * 7
    assert all(bool((each == 0.25).all()) for each in adapter.values())
    before = loaded(base).state_dict()
    assert found.keys() == before.keys()
    assert torch.allclose(found[LAYER], before[LAYER] + 6 / 2 * 4 * 0.25**2)
    assert torch.equal(found["model.norm.weight"], before["model.norm.weight"])
    config = json.loads((tmp_path / "out" / "adapter" / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["use_rslora"], config["lora_dropout"]) == (4, 6, True, 0.0)
    projections = ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]
    assert config["target_modules"] == projections


@pytest.mark.parametrize("method", ["lora", "full"])
def test_the_base_is_loaded_from_its_folder_alone_in_its_own_format(base, tmp_path, trained, monkeypatch, method):
    from transformers import AutoModelForCausalLM

    trainer = trained(method)
    real, asked = AutoModelForCausalLM.from_pretrained, []
    monkeypatch.setattr(
        AutoModelForCausalLM,
        "from_pretrained",
        lambda *given, **more: asked.append((given, more)) or real(*given, **more),
    )
    with _quiet():
        save(trainer, tmp_path / "out", base, method)
    assert asked == [((base,), {"dtype": "auto", "local_files_only": True})]


def test_only_the_first_process_writes(base, tmp_path, trained):
    save(trained("full", first=False), tmp_path / "out", base, "full")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("method", "part", "value"), [("full", [LAYER], torch.nan), ("lora", ["layers.1.mlp.up_proj.lora_B"], torch.inf)]
)
def test_what_is_learnt_and_not_finite_is_named_and_nothing_is_written(base, tmp_path, trained, method, part, value):
    name = LAYER if method == "full" else "base_model.model.model.layers.1.mlp.up_proj.lora_B.weight"
    with pytest.raises(StoreError) as error:
        saved(trained(method, filled(value, part)), tmp_path / "out", base, method)
    said = f"finetuning ended with values that are not finite in {name}; nothing was published. Lower finetune.lr"
    assert str(error.value) == said
    assert not (tmp_path / "out").exists()


def test_what_overflows_in_the_merge_is_named_too(base, tmp_path, trained):
    loaded(base, dtype=torch.float16).save_pretrained(tmp_path / "half")
    with pytest.raises(StoreError, match=r"not finite in model\.layers\.0\.self_attn\.q_proj\.weight, "):
        saved(trained("lora", filled(300.0, ["lora_"])), tmp_path / "out", tmp_path / "half", "lora")
    assert not (tmp_path / "out" / "model.safetensors").exists()


def test_a_sharded_model_is_gathered_whole_and_off_the_gpu(monkeypatch):
    asked = []
    monkeypatch.setattr(f"{SHARDED}.StateDictOptions", dict)
    monkeypatch.setattr(
        f"{SHARDED}.get_model_state_dict", lambda *given, **more: asked.append((given, more)) or "whole"
    )
    assert _whole_state(SimpleNamespace(is_fsdp_enabled=True, model_wrapped="wrapped", model="model")) == "whole"
    assert asked == [(("wrapped",), {"options": {"full_state_dict": True, "cpu_offload": True}})]


def test_three_of_the_tensors_that_are_not_finite_are_named():
    bad = torch.tensor([1.0, torch.inf])
    assert not_finite({"a": bad, "b": torch.ones(2), "c": bad, "d": bad.neg(), "e": bad * 0}) == "a, c, d"
    assert not_finite({"b": torch.ones(2)}) == ""


def test_an_adapters_configuration_is_written_the_same_each_time(tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes('{"target_modules": ["v", "a"], "b": 1, "a": "é"}'.encode())
    _sort_targets(path)
    sorted_text = '{\n  "a": "\\u00e9",\n  "b": 1,\n  "target_modules": [\n    "a",\n    "v"\n  ]\n}'
    assert path.read_text() == sorted_text
