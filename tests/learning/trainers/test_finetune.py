import json
import shutil
from dataclasses import replace
from typing import Any

import pytest

from soar.errors import DataError, Interrupted, StoreError
from soar.files import MANIFEST, is_published, sha256
from soar.learning.trainers.scripted import Scripted
from soar.learning.trainers.settings import FinetuneSettings
from soar.learning.trainers.tokens import read_tokens
from soar.learning.trainers.training import _trainer, train
from soar.learning.trainers.trl import new_job, newest_checkpoint

pytestmark = pytest.mark.slow

SETTINGS = FinetuneSettings(
    method="full",
    lr=1e-2,
    batch_size=4,
    accumulation=1,
    epochs=4,
    max_length=64,
    schedule="linear",
    checkpoint_steps=10,
)


def weights(folder):
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def equal(first, second):
    return first.keys() == second.keys() and all(bool((first[name] == second[name]).all()) for name in first)


def run(rows, base, out, settings=SETTINGS, seed=1, on_log=None):
    """Finetune in this process, as a job's own process does."""
    log, job = [], new_job(rows, base, out, seed, settings)
    train(replace(job, resume=newest_checkpoint(job.work, job.data)), on_log or log.append)
    shutil.rmtree(job.work)
    return log


def test_the_loss_falls_and_the_published_folder_loads_and_knows_the_rows(rows, base, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    log = run(rows, base, tmp_path / "out")
    once = sum(len(each.ids) for each in read_tokens(rows, AutoTokenizer.from_pretrained(base), 64)[0])
    assert log[0] == {"examples": 48, "too_long": 0, "tokens": 4 * once, "processes": 1}
    assert log[-1]["loss"] < 0.5 * log[1]["loss"]
    assert log[-1]["step"] == log[-1]["of"] == 48
    assert is_published(tmp_path / "out")
    model: Any = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    prompt = tokenizer("<task> w0 w1 w2 w5", add_special_tokens=False, return_tensors="pt")["input_ids"]
    answer = model.generate(prompt, max_new_tokens=2, do_sample=False)[0, prompt.shape[1] :]
    assert tokenizer.decode(answer) == "w25 <end>"


def test_the_loss_is_that_of_trl(rows, base, tmp_path):
    from trl.trainer.sft_trainer import SFTTrainer

    trainer, _, _ = _trainer(new_job(rows, base, tmp_path / "out", 0, SETTINGS))
    batches = list(trainer.get_train_dataloader())
    padded = [inputs for inputs in batches if (inputs["attention_mask"] == 0).any()]
    assert padded
    for inputs in [*padded[:2], *batches[:2]]:
        ours = trainer.compute_loss(trainer.model, inputs)
        theirs: Any = SFTTrainer.compute_loss(trainer, trainer.model, inputs)
        assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)


def test_the_same_data_and_seed_give_the_same_weights_and_another_seed_others(rows, base, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run(rows, base, tmp_path / name, seed=seed)
    assert equal(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert not equal(weights(tmp_path / "a"), weights(tmp_path / "c"))


def interrupt_at(step):
    def on_log(entry):
        if entry.get("step", 0) >= step:
            raise Interrupted("stopped")

    return on_log


def test_an_interrupted_training_goes_on_to_the_same_weights(rows, base, tmp_path):
    run(rows, base, tmp_path / "a")
    out = tmp_path / "b"
    with pytest.raises(Interrupted):
        run(rows, base, out, on_log=interrupt_at(17))
    assert not out.exists()
    log = run(rows, base, out)
    assert log[1]["step"] > 17, "it began anew"
    assert equal(weights(tmp_path / "a"), weights(out))
    assert not (tmp_path / "b.work").exists()


@pytest.mark.parametrize("damage", ["truncate", "flip", "missing", "no manifest", "other data"])
def test_a_damaged_or_foreign_checkpoint_is_not_taken_up(rows, base, tmp_path, damage):
    run(rows, base, tmp_path / "a")
    out, work = tmp_path / "b", tmp_path / "b.work"
    settings = SETTINGS.model_copy(update={"lr": 2e-2}) if damage == "other data" else SETTINGS
    with pytest.raises(Interrupted):
        run(rows, base, out, settings, on_log=interrupt_at(14))
    newest = max(work.glob("checkpoint-*"), key=lambda folder: int(folder.name.split("-")[1]))
    optimizer = newest / "optimizer.pt"
    content = optimizer.read_bytes()
    if damage == "truncate":
        optimizer.write_bytes(content[:-100])
    elif damage == "flip":
        middle = len(content) // 2
        optimizer.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    elif damage == "missing":
        optimizer.unlink()
    elif damage == "no manifest":
        (newest / MANIFEST).unlink()
    run(rows, base, out)
    assert equal(weights(tmp_path / "a"), weights(out))


def test_lora_is_merged_and_its_adapter_lies_beside(rows, base, tmp_path):
    settings = SETTINGS.model_copy(update={"method": "lora", "rank": 8, "alpha": 32})
    log = run(rows, base, tmp_path / "out", settings)
    assert log[-1]["loss"] < log[1]["loss"]
    assert weights(tmp_path / "out").keys() == weights(base).keys()
    assert not equal(weights(tmp_path / "out"), weights(base))
    adapter = json.loads((tmp_path / "out" / "adapter" / "adapter_config.json").read_text())
    assert adapter["use_rslora"]
    assert adapter["r"] == 8


def test_values_that_are_not_finite_are_never_published(rows, base, tmp_path):
    settings = SETTINGS.model_copy(update={"lr": 1e30, "warmup": 0.0})
    with pytest.raises((DataError, StoreError), match=r"finite|diverged"):
        run(rows, base, tmp_path / "out", settings)
    assert not (tmp_path / "out").exists()


def test_the_base_is_left_as_it_was(rows, base, tmp_path):
    before = {file.name: sha256(file) for file in base.iterdir()}
    run(rows, base, tmp_path / "out", SETTINGS.model_copy(update={"max_steps": 2}))
    assert before == {file.name: sha256(file) for file in base.iterdir()}


def test_weights_that_were_damaged_after_publishing_are_refused_by_name(rows, base, tmp_path):
    out = tmp_path / "out"
    run(rows, base, out, SETTINGS.model_copy(update={"max_steps": 2}))
    content = (out / "model.safetensors").read_bytes()
    (out / "model.safetensors").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(StoreError, match=r"model\.safetensors"):
        is_published(out)


def test_no_checkpoint_is_found_where_there_is_none(tmp_path):
    assert newest_checkpoint(tmp_path / "nothing", {}) is None


def test_the_scripted_trainer_publishes_a_digest_of_the_data(rows, tmp_path):
    out = tmp_path / "out"
    Scripted(SETTINGS).finetune(rows, tmp_path, out, 1, lambda entry: None)
    first = (out / MANIFEST).read_text()
    shutil.rmtree(out)
    rows.write_text(rows.read_text().replace("w7", "w6"))
    Scripted(SETTINGS).finetune(rows, tmp_path, out, 1, lambda entry: None)
    assert first != (out / MANIFEST).read_text()
