"""What searches is what was learnt: other weights, a wrong scale or another template stop the search and are named."""

import json
import shutil

import pytest
import torch
from small_models import collect, texts, use
from transformers import AutoModelForCausalLM

from soar.errors import StoreError
from soar.files import sha256
from soar.lm.notes import FILE, Probe
from soar.lm.transformers import probe
from soar.lm.transformers.probe import note_probes
from soar.types import Message

PROMPT = [{"role": "user", "content": "turn it"}]
RANK = 16


@pytest.fixture
def learnt(small, tmp_path):
    """A model that differs from the small one in all weights, with what was noted of it."""
    from transformers import AutoTokenizer

    folder = shutil.copytree(small, tmp_path / "learnt")
    model = load(folder)
    torch.manual_seed(1)
    with torch.no_grad():
        for weights in model.parameters():
            weights.add_(0.02 * torch.randn_like(weights))
    model.save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    before = tokenizer.apply_chat_template(PROMPT, add_generation_prompt=True, return_dict=False)
    answer = {"role": "assistant", "content": "def transform(x): return x"}
    whole = tokenizer.apply_chat_template([*PROMPT, answer], return_dict=False)
    note_probes(folder, small, RANK, [Probe(PROMPT, whole, len(before))])
    return folder


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def opened(folder, **settings):
    return use(folder, lambda lm: collect(lm, (Message("user", "x"),), [0, 1]), **settings)


def test_what_was_learnt_is_opened_in_either_number_format(learnt):
    assert len(texts(opened(learnt))) == 2
    opened(learnt, dtype="bfloat16")


def test_what_was_noted_in_16_bits_is_opened_in_32(learnt, small, tmp_path):
    before = shutil.copytree(small, tmp_path / "before")
    for folder in (learnt, before):
        AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).save_pretrained(folder)
    probes = [Probe(**each) for each in json.loads((learnt / FILE).read_text())["probes"]]
    note_probes(learnt, before, RANK, probes)
    opened(learnt, dtype="float32")


def test_both_models_are_compared_on_one_device_that_has_room_for_two(learnt, small, monkeypatch):
    size = sum(weights.nbytes for weights in load(learnt).parameters())
    probes = [Probe(**each) for each in json.loads((learnt / FILE).read_text())["probes"]]
    with monkeypatch.context() as patch:
        decided = []
        patch.setattr(probe, "_device_for_two", lambda model: decided.append(model) or torch.device("cpu"))
        note_probes(learnt, small, RANK, probes)
        assert len(decided) == 1
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for room, device in ((2.6, "cuda"), (2.4, "cpu")):
        monkeypatch.setattr(probe, "free_bytes", lambda _, room=room: room * size)
        assert probe._device_for_two(load(learnt)).type == device


def change(learnt, small, share):
    """Put weights in place that lie between the small model's and those that were learnt."""
    model, before = load(learnt), dict(load(small).named_parameters())
    with torch.no_grad():
        for name, weights in model.named_parameters():
            weights.copy_(torch.lerp(before[name], weights, share))
    model.save_pretrained(learnt)


@pytest.mark.parametrize(
    ("share", "reason"),
    [(0.0, "the finetuning is not applied"), (RANK**-0.5, r"alpha / rank"), (2.0, "other weights")],
    ids=["the base's", "an adapter's wrong scale", "others"],
)
def test_other_weights_stop_the_search_and_are_named(learnt, small, share, reason):
    change(learnt, small, share)
    with pytest.raises(StoreError, match=reason):
        opened(learnt)


def test_another_template_or_tokenizer_is_named(learnt):
    template = learnt / "chat_template.jinja"
    template.write_text(template.read_text().replace("<|assistant|>", "<|assistant|> "))
    with pytest.raises(StoreError, match="chat template"):
        opened(learnt)


def test_what_was_noted_is_about_the_weights_and_leaves_them_alone(learnt, small):
    noted = json.loads((learnt / FILE).read_text())
    assert noted.keys() == {"probes", "learnt", "base", "unscaled", "sure"}
    assert noted["sure"].keys() == {"learnt", "base", "unscaled"}
    assert len({round(noted[name][0], 2) for name in ("learnt", "base", "unscaled")}) == 3
    before = sha256(learnt / "model.safetensors")
    note_probes(learnt, small, None, [Probe(**each) for each in noted["probes"]])
    again = json.loads((learnt / FILE).read_text())
    assert "unscaled" not in again
    assert again["learnt"] == noted["learnt"]
    assert before == sha256(learnt / "model.safetensors")


def test_damaged_notes_are_said(learnt):
    (learnt / FILE).write_text("{")
    with pytest.raises(StoreError, match="damaged"):
        opened(learnt)


def test_nothing_noted_is_nothing_to_compare(learnt):
    (learnt / FILE).unlink()
    opened(learnt)
