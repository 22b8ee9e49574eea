"""The adapter on its base, merged, and rewritten for engines that scale by alpha / rank: one and the same model."""

import json

import pytest

from soar.errors import DataError
from soar.learning.trainers.adapters import rewrite_adapter
from soar.learning.trainers.settings import FinetuneSettings
from soar.learning.trainers.tokens import read_tokens
from soar.learning.trainers.training import _quiet, train
from soar.learning.trainers.trl import new_job

pytestmark = pytest.mark.slow
SETTINGS = FinetuneSettings(
    method="lora", rank=5, alpha=7, lr=2e-2, batch_size=4, accumulation=1, epochs=3, max_length=64, warmup=0
)
BOUNDS = {"float32": 1e-4, "bfloat16": 0.05}
"""Nats per token by which the three may differ: in bfloat16 the merged weights are rounded to 8 bits."""


def log_probabilities(model, folder, rows):
    from transformers import AutoTokenizer

    from soar.lm.transformers.probe import log_probability

    examples, _ = read_tokens(rows, AutoTokenizer.from_pretrained(folder), 64)
    return [log_probability(model, each.ids, each.masked) for each in examples]


def adapted(base, adapter, dtype):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    with _quiet():  # PEFT uses a name that transformers has given another
        return PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=dtype), str(adapter)).eval()


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("method", ["lora", "qlora"])
def test_adapter_merged_and_rewritten_adapter_are_the_same_model(rows, base, tmp_path, method, dtype):
    import torch
    from transformers import AutoModelForCausalLM

    whole, base_of, out = AutoModelForCausalLM.from_pretrained(base), tmp_path / "base", tmp_path / "out"
    whole.to(getattr(torch, dtype)).save_pretrained(base_of)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (base_of / name).write_bytes((base / name).read_bytes())
    settings = SETTINGS.model_copy(update={"method": method, "dtype": dtype})
    train(new_job(rows, base_of, out, 1, settings), lambda _: None)
    rewrite_adapter(out / "adapter", tmp_path / "rewritten")
    assert not json.loads((tmp_path / "rewritten" / "adapter_config.json").read_text())["use_rslora"]
    loaded = getattr(torch, dtype)
    on_base = log_probabilities(adapted(base_of, out / "adapter", loaded), out, rows)
    merged = log_probabilities(AutoModelForCausalLM.from_pretrained(out, dtype="auto").eval(), out, rows)
    rewritten = log_probabilities(adapted(base_of, tmp_path / "rewritten", loaded), out, rows)
    untaught = log_probabilities(AutoModelForCausalLM.from_pretrained(base_of, dtype="auto").eval(), out, rows)
    assert merged == pytest.approx(on_base, abs=2 * BOUNDS[dtype])  # an answer and its end: two tokens
    assert rewritten == pytest.approx(on_base, abs=2 * BOUNDS[dtype])
    assert max(a - b for a, b in zip(on_base, untaught, strict=True)) > 0.5


def test_what_is_no_adapter_is_refused(base, tmp_path):
    with pytest.raises(DataError, match="holds no PEFT adapter"):
        rewrite_adapter(base, tmp_path / "out")


@pytest.mark.parametrize("method", ["full", "lora", "qlora"])
def test_all_methods_start_at_the_loss_of_the_base(rows, base, tmp_path, method):
    """4 bits change the weights: the small model of random ones starts within 0.05 nats of what it was."""
    log = []
    settings = SETTINGS.model_copy(update={"method": method, "dtype": "float32", "max_steps": 1, "batch_size": 48})
    train(new_job(rows, base, tmp_path / "out", 1, settings), log.append)
    whole = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert whole["examples"] == 48
    from transformers import AutoModelForCausalLM

    examples = log_probabilities(AutoModelForCausalLM.from_pretrained(base), base, rows)
    assert log[1]["loss"] == pytest.approx(
        -sum(examples) / (2 * len(examples)), abs=0.05 if method == "qlora" else 0.02
    )
