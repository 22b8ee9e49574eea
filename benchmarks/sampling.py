"""Samples per second of ``lm.backend = "transformers"`` against ``generate(num_return_sequences=n)`` of transformers.

``python -m benchmarks.sampling --model FOLDER_OR_GGUF``: one request of n samples after the other, no stop tokens, so
that each sample has as many tokens; the two ways take turns in one process and compute with the same number of threads.
A prompt is new in every round: nothing that is remembered of the one before helps. Prints samples/s as median with
range, and the median of the rounds' ratios.
"""

import argparse
import asyncio
import json
import statistics
import time
from itertools import product
from pathlib import Path
from typing import Any

import torch

from soar.lm.transformers.engine import Transformers
from soar.lm.transformers.source import folder_of
from soar.types import Sampling


def prompt(tokenizer: Any, length: int, number: int) -> str:
    """Return a text of so many tokens, another for each number."""
    words = "".join(f" {(number * 7919 + place * 104729) % 9973}" for place in range(length))
    return tokenizer.decode(tokenizer(words, add_special_tokens=False)["input_ids"][:length])


def with_shared(lm: Transformers, text: str, samples: int, tokens: int) -> None:
    async def ask() -> None:
        sampling = Sampling(temperature=1.0, min_p=0.05, max_new_tokens=tokens)
        found = [completion async for _, completion in lm.generate(text, range(samples), sampling)]
        assert all(each.completion_tokens == tokens for each in found)

    asyncio.run(ask())


def with_generate(model: Any, tokenizer: Any, text: str, samples: int, tokens: int) -> None:
    given = tokenizer(text, add_special_tokens=False, return_tensors="pt").to(model.device)
    with torch.inference_mode():
        found = model.generate(
            given["input_ids"],
            attention_mask=given["attention_mask"],
            do_sample=True,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            min_p=0.05,
            min_new_tokens=tokens,
            max_new_tokens=tokens,
            num_return_sequences=samples,
        )
    assert found.shape == (samples, given["input_ids"].shape[1] + tokens)


def seconds(action: Any, *arguments: Any) -> float:
    begun = time.perf_counter()
    action(*arguments)
    return time.perf_counter() - begun


def main(arguments: list[str] | None = None) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    parser = argparse.ArgumentParser(description="Samples per second against transformers' generate.")
    parser.add_argument("--model", required=True, help="a folder, a .gguf file or a name in the cache")
    parser.add_argument("--samples", type=int, nargs="+", default=[16, 50])
    parser.add_argument("--prompts", type=int, nargs="+", default=[500, 1500], help="their tokens")
    parser.add_argument("--tokens", type=int, default=128, help="new ones per sample")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/sampling.jsonl"))
    options = parser.parse_args(arguments)
    folder = folder_of(options.model)
    lm = Transformers(folder, device=options.device)
    lm._decoder._stops = frozenset()  # every sample shall have as many tokens
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    held: Any = lm._model
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=held._model.dtype, local_files_only=True)
    model = model.eval().to(held._model.device)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for samples, length in product(options.samples, options.prompts):
        rates: dict[str, list[float]] = {"shared prefix": [], "generate": []}
        for number in range(options.rounds):
            text = prompt(tokenizer, length, number)
            rates["shared prefix"].append(samples / seconds(with_shared, lm, text, samples, options.tokens))
            rates["generate"].append(samples / seconds(with_generate, model, tokenizer, text, samples, options.tokens))
        ratios = [a / b for a, b in zip(*rates.values(), strict=True)]
        row = {"samples": samples, "prompt": length, "tokens": options.tokens, "threads": torch.get_num_threads()}
        with options.out.open("a") as file:
            file.write(json.dumps({**row, "device": str(model.device), "rates": rates, "ratios": ratios}) + "\n")
        said = [f"{way} {statistics.median(r):.2f} ({min(r):.2f} to {max(r):.2f})" for way, r in rates.items()]
        print(f"n = {samples}, prompt {length}: {', '.join(said)} samples/s: {statistics.median(ratios):.1f} x")
    asyncio.run(lm.close())


if __name__ == "__main__":
    main()
