"""From rows of prompt and completion to what a trainer reads: token ids, labels, and the order of the examples.

Knows tokenizers; knows no trainer. The prompt is masked: only the completion counts in the loss (§3.3).
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.random import Generator

from soar.errors import DataError

IGNORED = -100
"""The label of a token that does not count in the loss; torch's default."""

CHUNK = 50
"""Batches sorted by length together: enough that neighbours are similar, few enough that the order stays random."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """One example: its token ids, the first `masked` of which are the prompt's, and its line in its file."""

    ids: Sequence[int]
    masked: int
    line: int = 0

    @property
    def labels(self) -> list[int]:
        """The ids that count in the loss; `IGNORED` for the others."""
        return [IGNORED] * self.masked + list(self.ids[self.masked :])


def read_tokens(path: Path, tokenizer: Any, max_length: int) -> tuple[list[Tokens], int]:
    """Return the examples of a JSONL file that have at most `max_length` tokens, and how many were longer.

    A longer one is left out, never cut: its end is the program. `DataError` if none is left.
    """
    every = [_tokens(path, number, row, tokenizer) for number, row in _rows(path)]
    if not every:
        raise DataError(
            f"{path} holds no example: no program of the searches was chosen to learn from. Start a new run that"
            " searches more or has another learning.curator; what this one found stays readable"
        )
    short = [tokens for tokens in every if len(tokens.ids) <= max_length]
    if not short:
        raise DataError(
            f"{path}: none of {len(every)} examples fits finetune.max_length = {max_length} tokens; raise it"
        )
    return short, len(every) - len(short)


def read_prompts(path: Path, examples: Sequence[Tokens]) -> list[Any]:
    """Return the prompts of some examples as in their file: texts or lists of messages."""
    wanted = {example.line for example in examples}
    found = {number: row["prompt"] for number, row in _rows(path) if number in wanted}
    return [found[example.line] for example in examples]


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield number, json.loads(line)
            except ValueError as error:
                raise DataError(f"{path}, line {number}: {error}; remove the file and run the command again") from None


def _tokens(path: Path, number: int, row: Mapping[str, Any], tokenizer: Any) -> Tokens:
    try:
        prompt, completion = row["prompt"], row["completion"]
    except (KeyError, TypeError):
        raise DataError(f"{path}, line {number}: expected an object with prompt and completion") from None
    if isinstance(prompt, str):
        before = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        after = tokenizer(completion, add_special_tokens=False)["input_ids"]
        return Tokens([*before, *after, tokenizer.eos_token_id], len(before), number)
    before = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_dict=False)
    whole = tokenizer.apply_chat_template([*prompt, *completion], return_dict=False)
    if whole[: len(before)] != before:
        raise DataError(
            "the chat template of this model changes the prompt when a completion follows; it cannot be finetuned"
        )
    return Tokens(whole, len(before), number)


def order(lengths: Sequence[int], *, batch_size: int, epochs: float, rng: Generator) -> list[int]:
    """Return the indices of the examples in training order, epoch after epoch; a fractional last epoch is cut short.

    The order is random, but a batch holds examples of similar length, because all are padded to the longest. With
    `batch_size` 1 it is simply random.
    """
    shuffled = [int(index) for _ in range(math.ceil(epochs)) for index in rng.permutation(len(lengths))]
    shuffled = shuffled[: round(epochs * len(lengths))]
    size = batch_size * CHUNK
    return [
        index
        for at in range(0, len(shuffled), size)
        for index in _grouped(shuffled[at : at + size], lengths, batch_size, rng)
    ]


def _grouped(chunk: Sequence[int], lengths: Sequence[int], batch_size: int, rng: Generator) -> list[int]:
    """Return a chunk's indices in batches of similar length: whole batches in random order, then the remainder."""
    ascending = sorted(chunk, key=lengths.__getitem__)
    whole = len(ascending) // batch_size
    batches = [ascending[place * batch_size : (place + 1) * batch_size] for place in rng.permutation(whole)]
    return [index for batch in [*batches, ascending[whole * batch_size :]] for index in batch]
