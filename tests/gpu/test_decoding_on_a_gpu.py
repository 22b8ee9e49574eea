"""Searching with a language model on a GPU: the same samples for the same seeds, the model's own scores, less room."""

import asyncio
from dataclasses import replace

import pytest
import torch
from small_models import SAMPLING, collect, texts, use

from soar.lm.transformers.load import load
from soar.lm.transformers.shared import SharedPrefix
from soar.lm.transformers.text import Text
from soar.types import Message

pytestmark = pytest.mark.gpu

CHAT = (Message("system", "You write programs."), Message("user", "Mirror every row of 12 and 30. " * 20))
OTHER = (Message("system", "You write programs."), Message("user", "Turn 4 round, then 5, then 6. " * 30))
LONG = replace(SAMPLING, max_new_tokens=200)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_the_same_samples_come_for_the_same_seeds_whatever_else_is_asked_for(medium, dtype, caplog):
    async def action(lm):
        alone = await collect(lm, CHAT, [5], LONG)
        batch = await collect(lm, CHAT, range(40), LONG)
        missing = await collect(lm, CHAT, [3, 38], LONG)
        others = (collect(lm, OTHER, range(20), LONG), collect(lm, "a b", [1]))
        among, *_ = await asyncio.gather(collect(lm, CHAT, range(40), LONG), *others)
        return [alone, [batch[5]], missing, [batch[3], batch[38]], batch, among]

    alone, fifth, missing, picked, batch, among = map(texts, use(medium, action, device="cuda", dtype=dtype))
    assert "its own copy of the prompt" not in caplog.text
    assert len(set(batch)) == 40
    assert alone == fifth
    assert missing == picked
    assert among == batch


@torch.inference_mode()
def scores(folder, dtype, shared: bool) -> torch.Tensor:
    """Return the scores after a prompt and after each of 30 tokens of 8 samples, ``(8, 31, 262)``."""
    device, prompt = torch.device("cuda"), Text(folder).tokens(CHAT)
    model = load(folder, device, dtype)
    tokens = torch.randint(6, 262, (8, 30), generator=torch.Generator().manual_seed(0))
    if not shared:
        whole = torch.cat([torch.tensor(prompt).repeat(8, 1), tokens], dim=1).to(device)
        return model(whole).logits[:, len(prompt) - 1 :].float()
    ours = SharedPrefix(model, 100_000)
    prefix = ours.read(prompt)
    group = ours.begin(prefix, 8)
    found = [prefix.logits.expand(8, -1)] + [ours.step([group], column.tolist()) for column in tokens.T]
    return torch.stack(found, dim=1).float()


def test_scores_are_the_models_own_up_to_rounding(medium):
    exact = scores(medium, "float32", shared=False)
    assert (scores(medium, "float32", shared=True) - exact).abs().max() < 1e-3 * exact.std()
    ours, own = ((scores(medium, "bfloat16", shared) - exact).square().mean().sqrt() for shared in (True, False))
    assert 0 < ours < 1.2 * own, "in bfloat16 no further from the exact scores than the model's own attention"


def test_where_memory_runs_out_fewer_are_decoded_side_by_side_and_nothing_is_lost(medium, little_room, caplog):
    async def action(lm):
        lm._most_tokens = 10**9  # as if other programs had taken the memory since the model was opened
        with little_room(1 << 30):
            return await collect(lm, CHAT, range(512), replace(SAMPLING, max_new_tokens=400))

    found = use(medium, action, device="cuda", batch=512)
    assert "out of memory: at most 256 samples side by side from now on" in caplog.text
    assert len(found) == 512
    assert all(each.completion_tokens for each in found)


def test_small_requests_decoded_together_are_all_answered(medium):
    async def action(lm):
        prompts = [(CHAT[0], Message("user", f"Turn {n} round. " * n)) for n in range(1, 17)]
        return await asyncio.gather(*(collect(lm, prompt, range(4), LONG) for prompt in prompts))

    found = use(medium, action, device="cuda", exact=False)
    assert [len(each) for each in found] == [4] * 16
    assert all(completion.completion_tokens for each in found for completion in each)
