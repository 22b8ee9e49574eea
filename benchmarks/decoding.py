"""How much faster the shared-prefix decoder is than ``generate(num_return_sequences=n)`` of transformers.

``python -m benchmarks.decoding``: the shipped model, prompts of real training tasks, sampling at temperature 1 without
cuts, in interleaved rounds; prints samples/s as median with range, and the median of the rounds' ratios. Both are given
the same threads; ``generate`` gets one prompt at a time, as it pads several, the decoder gets all prompts at once.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from soar.domains.arc import Arc
from soar.lm.embedded import SHIPPED
from soar.lm.llama import load_llama, read_config
from soar.lm.shared_prefix import Job, SharedPrefixDecoder
from soar.prompts.compact import Compact
from soar.seeds import rng

NEW_TOKENS = 96


def prompts(count: int) -> list[tuple[int, ...]]:
    """Return the prompts of `count` training tasks, drawn with a key of their own."""
    tokenizer, rendering = Tokenizer.from_file(str(SHIPPED / "tokenizer.json")), Compact()
    tasks = Arc().load("arc1-training")
    drawn = [tasks[index] for index in rng(0, "decoding").permutation(len(tasks))[:count]]
    texts = [rendering.sampling(task, None, rendering.details(task)[0]) for task in drawn]
    return [tuple(tokenizer.encode(text, add_special_tokens=False).ids) for text in texts]


def with_decoder(wanted: Sequence[tuple[int, ...]], samples: int) -> Callable[[int], int]:
    model, end = load_llama(SHIPPED), read_config(SHIPPED)["eos_token_id"]

    def decode(seed: int) -> int:
        decoder = SharedPrefixDecoder(model, end)
        jobs = [Job(prompt, seed * samples + s, 1.0, 0.0, NEW_TOKENS) for prompt in wanted for s in range(samples)]
        done = decoder.admit(jobs)
        while decoder.active:
            done += decoder.step()
        return sum(len(each.tokens) for each in done)

    return decode


def with_transformers(wanted: Sequence[tuple[int, ...]], samples: int) -> Callable[[int], int]:
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(SHIPPED, local_files_only=True)
    pad = model.config.pad_token_id

    def decode(seed: int) -> int:
        torch.manual_seed(seed)
        tokens = 0
        for prompt in wanted:
            ids = torch.tensor([prompt])
            found = model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                do_sample=True,
                top_k=0,
                top_p=1.0,
                temperature=1.0,
                max_new_tokens=NEW_TOKENS,
                num_return_sequences=samples,
                pad_token_id=pad,
            )
            tokens += int((found[:, len(prompt) :] != pad).sum())
        return tokens

    return decode


def main() -> None:
    parser = argparse.ArgumentParser(description="Samples per second against transformers' generate.")
    parser.add_argument("--prompts", type=int, default=4)
    parser.add_argument("--samples", type=int, default=64, help="per prompt")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("docs/results/decoding.jsonl"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    wanted, samples = prompts(options.prompts), options.samples
    ways = {"shared prefix": with_decoder(wanted, samples), "generate": with_transformers(wanted, samples)}
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(options.rounds + 1):
        for name, decode in ways.items():
            begun = time.perf_counter()
            decode(number)
            if number:
                rates[name].append(len(wanted) * samples / (time.perf_counter() - begun))
    ratios = [ours / theirs for ours, theirs in zip(*rates.values(), strict=True)]
    row = {"prompts": options.prompts, "samples": samples, "threads": options.threads, "rates": rates, "ratios": ratios}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with options.out.open("a") as file:
        file.write(json.dumps(row) + "\n")
    for name, found in rates.items():
        print(f"{name}: {statistics.median(found):.1f} samples/s ({min(found):.1f} to {max(found):.1f})")
    print(f"ratio: {statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})")


if __name__ == "__main__":
    main()
