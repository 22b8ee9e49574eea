"""From rows of prompt and completion to what a trainer reads: token ids, labels, and the order of the examples.

Knows tokenizers; knows no trainer. The prompt is masked: the loss is the completion's alone (§3.3).
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
"""The label of a token that takes no part in the loss."""

CHUNK = 50
"""Batches that are sorted by length together: enough that neighbours are alike, few enough that order stays random."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """One example: its token ids, the first `masked` of which are the prompt's, and its place in its file."""

    ids: Sequence[int]
    masked: int
    line: int = 0

    @property
    def labels(self) -> list[int]:
        """The ids that the loss asks for, `IGNORED` where it does not ask."""
        return [IGNORED] * self.masked + list(self.ids[self.masked :])


def read_tokens(path: Path, tokenizer: Any, max_length: int) -> tuple[list[Tokens], int]:
    """Return the examples of a JSONL file that have at most `max_length` tokens, and how many were longer.

    A longer one is left out, never cut: its end is the program. `DataError` when none is left.
    """
    every = [_tokens(path, number, row, tokenizer) for number, row in _rows(path)]
    short = [tokens for tokens in every if len(tokens.ids) <= max_length]
    if not short:
        raise DataError(
            f"{path}: none of {len(every)} examples fits finetune.max_length = {max_length} tokens; either the search"
            " gave nothing to learn from, or the limit is too small"
        )
    return short, len(every) - len(short)


def read_prompts(path: Path, examples: Sequence[Tokens]) -> list[Any]:
    """Return the prompts of some examples as their file has them: a text or messages."""
    wanted = {example.line for example in examples}
    found = {number: row["prompt"] for number, row in _rows(path) if number in wanted}
    return [found[example.line] for example in examples]


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield number, json.loads(line)
            except ValueError as error:
                raise DataError(f"{path}, line {number}: {error}; remove the file and go on") from None


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
            "the chat template of this model changes the prompt once it is answered: it cannot be finetuned on chat"
        )
    return Tokens(whole, len(before), number)


def order(lengths: Sequence[int], *, batch_size: int, epochs: float, rng: Generator) -> list[int]:
    """Return the indices of the examples as they are learnt from, epoch after epoch, cut where a fraction ends.

    The order is random, but a batch holds examples of similar length, since all are padded to the longest. With
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
    """Return a chunk's indices in batches of similar length, whole batches in random order, then the rest."""
    ascending = sorted(chunk, key=lengths.__getitem__)
    whole = len(ascending) // batch_size
    batches = [ascending[place * batch_size : (place + 1) * batch_size] for place in rng.permutation(whole)]
    return [index for batch in [*batches, ascending[whole * batch_size :]] for index in batch]
