"""Makes the corpus that the embedded model of sequences is trained on: random programs with the terms they give.

``python -m soar.pretrain.sequences.generate --behaviours N --out DIR --seed S``: draws programs until they give N
distinct sequences, and keeps the shortest program for each. A line is ``{"terms", "program"}``: the first 16 terms and
prefix text. Reads no sequence: the model learns the prior.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from soar.domains.sequences.domain import HIDDEN, SHOWN
from soar.domains.sequences.language import WORDS
from soar.pretrain.encode import write_lines
from soar.pretrain.sequences.evaluate import evaluate
from soar.pretrain.sequences.prior import random_programs
from soar.seeds import rng

CHUNK = 100_000
"""How many programs are drawn at once."""

SHARD = 50_000
"""How many lines a shard has."""

PROGRAM_STEPS = 20_000
"""How many passes and tries all terms of a program may take together: slow programs are left out."""

LARGEST_TERM = 10**15
LEAST_VALUES = 3
"""The limit on the absolute values of a sequence in the corpus, and the fewest distinct values that it takes."""

Found = dict[bytes, bytes]
"""The codes of the shortest program for each sequence, by the bytes of its terms."""


def draw(seed: int, chunk: int) -> Found:
    """Return what one chunk of random programs gives."""
    programs, lengths = random_programs(int(rng(seed, "sequences", chunk).integers(2**31)), CHUNK)
    terms, valid = evaluate(programs, lengths, SHOWN + HIDDEN, PROGRAM_STEPS)
    found: Found = {}
    for row in np.flatnonzero(teaches(terms[:, :SHOWN], valid)):
        _keep(found, terms[row, :SHOWN].tobytes(), programs[row, : lengths[row]].tobytes())
    return found


def teaches(terms: NDArray[np.int64], valid: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which rows of terms ``(n, 16)`` are worth a line: complete, of moderate size, and varied."""
    values = (np.diff(np.sort(terms, axis=1), axis=1) != 0).sum(1) + 1
    return (valid >= terms.shape[1]) & (np.abs(terms).max(1) < LARGEST_TERM) & (values >= LEAST_VALUES)


def _keep(found: Found, terms: bytes, program: bytes) -> None:
    known = found.get(terms)
    if known is None or len(program) < len(known):
        found[terms] = program


def corpus(seed: int, behaviours: int, threads: int) -> Iterator[tuple[int, Found]]:
    """Yield how many programs were drawn and all sequences found so far, until there are `behaviours`."""
    found: Found = {}
    with ThreadPoolExecutor(threads) as pool:
        chunk = 0
        while len(found) < behaviours:
            for part in pool.map(lambda each: draw(seed, each), range(chunk, chunk + threads)):
                for terms, program in part.items():
                    _keep(found, terms, program)
            chunk += threads
            yield chunk * CHUNK, found


def lines(found: Found, number: int, seed: int) -> list[str]:
    """Return `number` lines of the corpus in random order."""
    items = list(found.items())
    order = rng(seed, "order").permutation(len(items))[:number]
    return [_line(*items[place]) for place in order]


def _line(terms: bytes, program: bytes) -> str:
    text = " ".join(WORDS[code] for code in program)
    return json.dumps({"terms": np.frombuffer(terms, np.int64).tolist(), "program": text}, separators=(",", ":"))


def main() -> None:
    """Read the command line and make the shards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--behaviours", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    begun, found = time.monotonic(), {}
    for drawn, found in corpus(options.seed, options.behaviours, options.threads):
        took = time.monotonic() - begun
        sys.stderr.write(f"{drawn} programs, {len(found)} sequences, {took:.0f} s\n")
    made = lines(found, options.behaviours, options.seed)
    for shard, start in enumerate(range(0, len(made), SHARD)):
        write_lines(options.out / f"shard-{options.seed}-{shard:05d}.jsonl.gz", made[start : start + SHARD])


if __name__ == "__main__":
    main()
