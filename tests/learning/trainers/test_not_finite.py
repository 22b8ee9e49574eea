"""Weights with values that are not finite are neither learnt from nor published, and the tensor is named."""

import shutil
from typing import Any

import pytest

from soar.errors import DataError, StoreError
from soar.learning.trainers.saving import save
from soar.learning.trainers.settings import FinetuneSettings
from soar.learning.trainers.training import _quiet, _trainer, train
from soar.learning.trainers.trl import new_job

LAYER = "model.layers.0.mlp.up_proj.weight"
SETTINGS = FinetuneSettings(method="full", lr=1e-3, batch_size=4, accumulation=1, epochs=1, max_length=64)


def test_given_weights_that_are_not_finite_are_not_learnt_from(rows, base, tmp_path):
    from safetensors.torch import load_file, save_file

    broken = shutil.copytree(base, tmp_path / "broken")
    tensors = load_file(broken / "model.safetensors")
    tensors[LAYER].view(-1)[0] = float("nan")
    save_file(tensors, broken / "model.safetensors", {"format": "pt"})
    with pytest.raises(DataError, match=LAYER):
        train(new_job(rows, broken, tmp_path / "out", 1, SETTINGS), lambda _: None)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("method", "part", "dtype", "value"),
    [
        ("full", "up_proj.weight", "float32", float("inf")),
        ("lora", "lora_A", "float32", float("nan")),
        ("lora", "lora_B", "float32", float("inf")),
        ("full", "up_proj.weight", "float16", 1e30),
    ],
    ids=["model", "adapter", "other half of the adapter", "too large for the base's format"],
)
def test_finetuned_weights_that_are_not_finite_are_not_saved(rows, base, tmp_path, method, part, dtype, value):
    import torch
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=getattr(torch, dtype))
    base = shutil.copytree(base, tmp_path / "base")
    model.save_pretrained(base)
    settings = SETTINGS.model_copy(update={"method": method, "rank": 4})
    with _quiet():
        trainer, _, _ = _trainer(new_job(rows, base, tmp_path / "out", 0, settings))
    name, tensor = next((name, tensor) for name, tensor in trainer.model.named_parameters() if part in name)
    with torch.no_grad():
        tensor.view(-1)[0] = value
    with pytest.raises(StoreError, match=r"up_proj" if method == "full" else part) as error:
        save(trainer, tmp_path / "out", base, method)
    assert name.rpartition(".layers.")[2].split(".")[0] in str(error.value)
    assert not list(tmp_path.glob("out/*.safetensors"))
    assert not (tmp_path / "out" / "adapter").exists()
