"""One real finetuning of a few steps in the test's own process: what it logs, learns first, publishes, and goes on
from."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from soar.errors import Interrupted
from soar.files import MANIFEST, is_published, sha256
from soar.learning.trainers.settings import FinetuneSettings
from soar.learning.trainers.tokens import order, read_tokens
from soar.learning.trainers.training import _probe_examples, _quiet, _trainer, train
from soar.learning.trainers.trl import new_job, newest_checkpoint
from soar.lm.transformers.probe import log_probability
from soar.seeds import rng

SETTINGS = FinetuneSettings(
    method="lora",
    rank=3,
    alpha=6,
    lr=2e-2,
    warmup=0,
    batch_size=4,
    accumulation=2,
    epochs=1,
    max_steps=3,
    max_length=9,
    dtype="float32",
    checkpoint_steps=2,
)
SEED = 5


@pytest.fixture(scope="module")
def finetuned(base, tmp_path_factory):
    """A finetuning that was not disturbed, and one that was stopped after its first step and gone on with."""
    folder: Path = tmp_path_factory.mktemp("finetuned")
    rows = folder / "rows.jsonl"
    lines = [
        {"prompt": f"<task> {' '.join(f'w{word}' for word in range(n % 6))} w{n}", "completion": f"w{30 - n}"}
        for n in range(28)
    ]
    rows.write_text("".join(json.dumps(line) + "\n" for line in [*lines, {**lines[0], "completion": "w1 " * 9}]))
    log, seen, later = [], [], []

    def stop(entry):
        seen.append(entry)
        if "step" in entry:
            raise Interrupted("enough")

    whole, stopped = (new_job(rows, base, folder / name, SEED, SETTINGS) for name in ("out", "again"))
    train(whole, log.append)
    with pytest.raises(Interrupted, match="enough"):
        train(stopped, stop)
    between = stopped.out.exists()
    checkpoint = newest_checkpoint(stopped.work, stopped.data)
    train(replace(stopped, resume=checkpoint), later.append)
    return SimpleNamespace(**locals())


def weights(folder, name="model.safetensors"):
    from safetensors.torch import load_file

    return load_file(folder / name)


def tokens_of(finetuned):
    from transformers import AutoTokenizer

    examples, _ = read_tokens(finetuned.rows, AutoTokenizer.from_pretrained(finetuned.base), 9)
    sequence = order([len(each.ids) for each in examples], batch_size=4, epochs=1, rng=rng(SEED, "order"))
    return [examples[place] for place in sequence]


def test_it_logs_what_it_counted_and_then_each_step(finetuned):
    every = tokens_of(finetuned)
    counts, *steps = finetuned.log
    assert counts == {"examples": 28, "too_long": 1, "tokens": sum(len(each.ids) for each in every), "processes": 1}
    assert [(each["step"], each["of"]) for each in steps] == [(1, 3), (2, 3), (3, 3)]
    assert all(each.keys() == {"step", "of", "loss", "grad_norm"} for each in steps)


def test_the_first_loss_is_the_mean_over_the_completions_of_the_first_eight_examples(finetuned):
    from transformers import AutoModelForCausalLM

    model, first = AutoModelForCausalLM.from_pretrained(finetuned.base), tokens_of(finetuned)[:8]
    total = -sum(log_probability(model, each.ids, each.masked) for each in first)
    count = sum(len(each.ids) - each.masked for each in first)
    assert count == 16, "an answer and its end"
    # Logged losses are rounded to four digits.
    assert finetuned.log[1]["loss"] == pytest.approx(total / count, rel=1e-3)


def test_an_adapter_begins_as_its_seed_says_whatever_was_drawn_before(finetuned):
    def begun(drawn, seed):
        torch.manual_seed(drawn)
        with _quiet():
            trainer, _, _ = _trainer(replace(finetuned.whole, seed=seed))
        assert trainer.args.lr_scheduler_type == "cosine"
        assert trainer.args.per_device_train_batch_size == 4
        return [each.detach() for name, each in trainer.model.named_parameters() if "lora_A" in name]

    first, again, other = begun(0, SEED), begun(1, SEED), begun(0, SEED + 1)
    assert len(first) == 2 * 7
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_a_stopped_training_leaves_a_checkpoint_and_goes_on_to_the_same_weights(finetuned):
    assert not finetuned.between
    assert finetuned.checkpoint == str(finetuned.stopped.work / "checkpoint-1")
    assert [entry.get("step") for entry in finetuned.seen] == [None, 1]
    assert [entry.get("step") for entry in finetuned.later] == [None, 2, 3]
    assert finetuned.later[1:] == finetuned.log[2:]
    for name in ("model.safetensors", "adapter/adapter_model.safetensors", "adapter/adapter_config.json", "probe.json"):
        assert (finetuned.folder / "out" / name).read_bytes() == (finetuned.folder / "again" / name).read_bytes()


def test_the_published_folder_says_what_it_comes_from_and_how_it_was_made(finetuned):
    out = finetuned.folder / "out"
    assert is_published(out, finetuned.whole.data)
    manifest = json.loads((out / MANIFEST).read_text())
    names = set(manifest.pop("sha256"))
    kept = SETTINGS.model_dump(mode="json", exclude={"keep"})
    about = {"data_sha256": sha256(finetuned.rows), "settings": kept, "seed": SEED}
    how = {"micro_batch": 4, "computed_in": "torch.float32"}
    assert manifest.pop("most_gpu_bytes", 0) is None or torch.cuda.is_available()
    assert manifest == {**about, **finetuned.log[0], **how}
    assert names == {
        "adapter/README.md",
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "probe.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert not out.with_name("out.tmp").exists()


def test_the_published_weights_are_the_base_with_its_adapter_at_the_scale_it_was_trained_at(finetuned):
    out = finetuned.folder / "out"
    found, before = weights(out), weights(finetuned.base)
    adapter = weights(out, "adapter/adapter_model.safetensors")
    assert found.keys() == before.keys()
    changed = {name for name in found if not torch.equal(found[name], before[name])}
    assert len(changed) == 2 * 7
    for name in changed:
        part = f"base_model.model.{name.removesuffix('.weight')}"
        learnt = adapter[f"{part}.lora_B.weight"] @ adapter[f"{part}.lora_A.weight"]
        assert torch.allclose(found[name], before[name] + 6 / 3**0.5 * learnt, atol=1e-6)


def test_the_probes_beside_the_weights_know_them_the_base_and_the_wrong_scale(finetuned):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    out = finetuned.folder / "out"
    noted = json.loads((out / "probe.json").read_text())
    examples, _ = read_tokens(finetuned.rows, AutoTokenizer.from_pretrained(out), 9)
    probes = _probe_examples(examples)
    prompts = [json.loads(line)["prompt"] for line in finetuned.rows.read_text().splitlines()]
    assert noted["probes"] == [
        {"prompt": prompts[each.line - 1], "ids": list(each.ids), "masked": each.masked} for each in probes
    ]
    for name, folder in (("learnt", out), ("base", finetuned.base)):
        model = AutoModelForCausalLM.from_pretrained(folder)
        likely = [log_probability(model, each.ids, each.masked) for each in probes]
        assert noted[name] == pytest.approx(likely, abs=1e-4)
    assert sum(noted["base"]) < sum(noted["unscaled"]) < sum(noted["learnt"])
