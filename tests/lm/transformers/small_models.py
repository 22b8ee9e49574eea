"""Folders with untrained small models, a tokenizer of bytes and a chat template; and asking one for completions."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from soar.lm.transformers.engine import Transformers
from soar.types import Completion, Prompt, Sampling

TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPECIAL = ["<pad>", "<eos>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
EOS, END = 1, 2
SAMPLING = Sampling(temperature=1.0, min_p=0.0, max_new_tokens=24)


def save_small_model(folder: Path, family: str = "Llama", **changes) -> Any:
    import torch
    import transformers

    save_tokenizer(folder)
    settings = {
        "vocab_size": 262,
        "hidden_size": 96,
        "intermediate_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 512,
        "tie_word_embeddings": True,
        "initializer_range": 0.2,
        "bos_token_id": None,
        "eos_token_id": EOS,
        "pad_token_id": 0,
        **changes,
    }
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**settings)
    model = getattr(transformers, f"{family}ForCausalLM")(config).eval()
    model.save_pretrained(folder)
    return model


def save_tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([*SPECIAL, *letters])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(SPECIAL)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>")
    fast.add_special_tokens({"additional_special_tokens": SPECIAL[2:]})
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)


async def collect(lm, prompt: Prompt, seeds: Sequence[int], sampling: Sampling = SAMPLING) -> list[Completion]:
    found = {index: completion async for index, completion in lm.generate(prompt, list(seeds), sampling)}
    return [found[index] for index in range(len(seeds))]


def use(folder: Path, action, **settings) -> Any:
    """Open a model, await `action` on it, close it."""

    async def run():
        lm = Transformers(folder, **{"device": "cpu", **settings})
        try:
            return await action(lm)
        finally:
            await lm.close()

    return asyncio.run(run())


def texts(completions: Sequence[Completion]) -> list[str]:
    return [each.text for each in completions]
