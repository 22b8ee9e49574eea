"""Finetuning on a GPU: it learns, takes the memory that the formula gives, takes less where little is free."""

import json
from pathlib import Path

import pytest
from small_models import collect, use

from soar.errors import DataError
from soar.files import MANIFEST, is_published
from soar.learning.trainers.settings import FinetuneSettings
from soar.learning.trainers.trl import Trl
from soar.types import Sampling

pytestmark = pytest.mark.gpu

# 48 steps: after 16 the model has begun to say the words, and not yet in turn.
SETTINGS = FinetuneSettings(rank=32, alpha=32, lr=5e-4, batch_size=8, accumulation=2, epochs=12.0, max_length=1024)


@pytest.fixture(scope="module")
def lessons(tmp_path_factory) -> Path:
    """64 examples of about 900 tokens: a question, and its answer in words that it does not hold."""
    rows = [
        {"prompt": f"Question {n:02d}. " + "one two three " * 50, "completion": f"{n % 8}" + " four five" * 20}
        for n in range(64)
    ]
    path = tmp_path_factory.mktemp("lessons") / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("method", ["lora", "full"])
def test_it_learns_in_bfloat16_within_the_memory_that_was_estimated(medium, lessons, tmp_path, method):
    log, out = [], tmp_path / "out"
    settings = SETTINGS.model_copy(update={"method": method})
    Trl(settings).finetune(lessons, medium, out, 0, log.append)
    losses = [entry["loss"] for entry in log if "loss" in entry]
    assert losses[-1] < 0.3 * losses[0]
    assert is_published(out)
    manifest = json.loads((out / MANIFEST).read_text())
    assert manifest["computed_in"] == "torch.bfloat16"
    estimated = log[0]["estimated GiB of memory, at most"]
    assert 0.2 * estimated < manifest["most_gpu_bytes"] / 2**30 < estimated
    question = "Question 03. " + "one two three " * 50
    (found,) = use(out, lambda lm: collect(lm, question, [0], Sampling(0.1, 0.1, 30)), device="cuda")
    assert " four five four five" in found.text


def test_where_memory_runs_out_fewer_examples_are_taken_at_once(medium, lessons, tmp_path, little_room):
    log, out = [], tmp_path / "out"
    settings = SETTINGS.model_copy(update={"batch_size": 64, "accumulation": 1, "max_steps": 2})
    with little_room(3 << 30):
        Trl(settings).finetune(lessons, medium, out, 0, log.append)
    manifest = json.loads((out / MANIFEST).read_text())
    assert manifest["micro_batch"] < 64
    assert {"out of memory, micro-batch reduced to": manifest["micro_batch"]} in log


def test_where_not_even_one_example_fits_it_says_what_to_do(medium, lessons, tmp_path, little_room):
    settings = SETTINGS.model_copy(update={"method": "full"})
    with little_room(1 << 30), pytest.raises(DataError, match=r"lower it, set finetune\.method"):
        Trl(settings).finetune(lessons, medium, tmp_path / "out", 0, lambda _: None)
