"""How much faster the embedded model decodes than ``generate(num_return_sequences=n)`` of transformers.

``python -m benchmarks.decoding``: the shipped model, prompts of real training tasks, sampling at the temperature of a
search without cuts, in interleaved rounds; prints samples/s as median with range, and the median of the rounds' ratios.
Once each sample is drawn by itself, as ``generate`` does, once without replacement, as a search has it (`distinct`).
The lower the temperature, the more samples have in common: ``--temperature`` for another. Both have the same cores, and
a process each, since how many threads compute is a setting of the process: the embedded model decodes in a thread per
core, all prompts at once; ``generate`` computes with as many threads and gets one prompt at a time, as it pads several.
"""

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from experiments.embedded import TEMPERATURE
from soar.cores import available_cores
from soar.domains.arc.compact import Compact
from soar.domains.arc.domain import Arc
from soar.lm.embedded import SHIPPED
from soar.lm.embedded.engine import Embedded
from soar.seeds import rng
from soar.types import Sampling

NEW_TOKENS = 96


def prompts(count: int) -> list[str]:
    """Return the prompts of `count` training tasks, drawn with a key of their own."""
    rendering, tasks = Compact(), Arc().load("arc1-training")
    drawn = [tasks[index] for index in rng(0, "decoding").permutation(len(tasks))[:count]]
    return [rendering.sampling(task, None, rendering.details(task)[0]) for task in drawn]


def with_decoder(
    wanted: Sequence[str], samples: int, threads: int, temperature: float, *, distinct: bool = False
) -> Callable[[int], None]:
    model = Embedded(threads=threads)
    sampling = Sampling(temperature=temperature, min_p=0.0, max_new_tokens=NEW_TOKENS, distinct=distinct)

    async def ask(prompt: str, seeds: Sequence[int]) -> None:
        async for _ in model.generate(prompt, seeds, sampling):
            pass

    async def ask_all(seed: int) -> None:
        seeds = range(seed * samples, (seed + 1) * samples)
        await asyncio.gather(*(ask(prompt, seeds) for prompt in wanted))

    return lambda seed: asyncio.run(ask_all(seed))


def with_transformers(wanted: Sequence[str], samples: int, threads: int, temperature: float) -> Callable[[int], None]:
    from transformers import AutoModelForCausalLM

    tokenizer = Tokenizer.from_file(str(SHIPPED / "tokenizer.json"))
    model: Any = AutoModelForCausalLM.from_pretrained(SHIPPED, local_files_only=True)
    pad = model.config.pad_token_id

    torch.set_num_threads(threads)

    def decode(seed: int) -> None:
        torch.manual_seed(seed)
        for prompt in wanted:
            ids = torch.tensor([tokenizer.encode(prompt, add_special_tokens=False).ids])
            model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                do_sample=True,
                top_k=0,
                top_p=1.0,
                temperature=temperature,
                max_new_tokens=NEW_TOKENS,
                num_return_sequences=samples,
                pad_token_id=pad,
            )

    return decode


WAYS: dict[str, Callable[..., Callable[[int], None]]] = {
    "shared prefix": with_decoder,
    "distinct": partial(with_decoder, distinct=True),
    "generate": with_transformers,
}
_decode: Callable[[int], None]


def _prepare(way: str, wanted: Sequence[str], samples: int, threads: int, temperature: float) -> None:
    global _decode
    _decode = WAYS[way](wanted, samples, threads, temperature)


def _seconds(seed: int) -> float:
    begun = time.perf_counter()
    _decode(seed)
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description="Samples per second against transformers' generate.")
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--samples", type=int, default=64, help="per prompt")
    parser.add_argument("--temperature", type=float, default=TEMPERATURE)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=available_cores(), help="cores for each")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/decoding.jsonl"))
    options = parser.parse_args()
    wanted, samples, threads = prompts(options.prompts), options.samples, options.threads
    asked = (wanted, samples, threads, options.temperature)
    rates: dict[str, list[float]] = {name: [] for name in WAYS}
    with ExitStack() as stack:
        pools = {
            way: stack.enter_context(ProcessPoolExecutor(1, get_context("spawn"), _prepare, (way, *asked)))
            for way in WAYS
        }
        for number in range(options.rounds + 1):
            for way, pool in pools.items():
                seconds = pool.submit(_seconds, number).result()
                if number:
                    rates[way].append(len(wanted) * samples / seconds)
    theirs = rates["generate"]
    ratios = {way: [a / b for a, b in zip(rates[way], theirs, strict=True)] for way in WAYS if way != "generate"}
    named = {name: getattr(options, name) for name in ("prompts", "samples", "threads", "temperature")}
    row = {**named, "rates": rates, "ratios": ratios}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with options.out.open("a") as file:
        file.write(json.dumps(row) + "\n")
    for name, found in rates.items():
        print(f"{name}: {statistics.median(found):.1f} samples/s ({min(found):.1f} to {max(found):.1f})")
    for name, found in ratios.items():
        print(f"{name}: {statistics.median(found):.1f} x generate ({min(found):.1f} to {max(found):.1f})")


if __name__ == "__main__":
    main()
