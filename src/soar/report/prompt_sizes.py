"""Estimates how long a run's prompts will be, by counting real sampling prompts and refinement prompts of a made-up
parent.

Knows renderings and how to count tokens; knows no model, nor how often a prompt is sent.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path

from soar.protocols import Detail, Rendering
from soar.scoring import accuracy
from soar.seeds import rng
from soar.types import Origin, Program, Prompt, Task

DRAWN = 50
"""How many tasks of a stage have their prompts counted; all, if there are no more."""

CHARACTERS_PER_TOKEN = 4
"""Used if no tokenizer is at hand. Digits are counted apart: to many models each is a token."""

PARENT_CHARACTERS = 600
"""Length of the parent in a counted refinement prompt, unless the token limit of a sample makes it shorter."""

LINES = (
    "    result = []",
    "    for index, value in enumerate(values):",
    "        other = values[-index - 1] if index % 2 == 0 else value",
    "        result.append(other)",
)


@dataclass(frozen=True, slots=True)
class PromptSizes:
    """Tokens of the prompts of some tasks of a stage: their means, and the longest of all. `shortened` counts tasks
    whose full sampling prompt does not fit the context, `unsent` those of which no form fits."""

    counted: int
    sampling: float
    refinement: float
    longest: int
    shortened: int = 0
    unsent: int = 0


Count = Callable[[Prompt], int]
"""Counts the tokens of a prompt."""


def token_count(folder: Path | None) -> tuple[Count, str]:
    """Return a function that counts a prompt's tokens, and in words how it does so: by the tokenizer in a model's
    folder, if there is one. Leaves out the few tokens per message that a chat template adds."""
    file = folder / "tokenizer.json" if folder else None
    if file is None or not file.is_file():
        return _rough_count, f"one token for every digit and for every {CHARACTERS_PER_TOKEN} other characters"
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    return lambda prompt: len(tokenizer.encode(_text(prompt), add_special_tokens=False).ids), "the model's tokenizer"


def _rough_count(prompt: Prompt) -> int:
    text = _text(prompt)
    digits = sum(map(str.isdigit, text))
    return digits + math.ceil((len(text) - digits) / CHARACTERS_PER_TOKEN)


def _text(prompt: Prompt) -> str:
    return prompt if isinstance(prompt, str) else "\n".join(message.content for message in prompt)


def drawn(tasks: Sequence[Task], seed: int) -> list[Task]:
    """Return the tasks whose prompts are counted."""
    if len(tasks) <= DRAWN:
        return list(tasks)
    return [tasks[index] for index in sorted(rng(seed, "counted-prompts").permutation(len(tasks))[:DRAWN])]


def prompt_sizes(
    rendering: Rendering,
    tasks: Sequence[Task],
    count: Count,
    *,
    signature: str,
    sample_tokens: int,
    refine_tokens: int | None,
    context: int | None = None,
    few_shot: bool = False,
) -> PromptSizes:
    """Return the tokens of the prompts of `tasks`; each is shortened until it fits the context with its completion.

    `refine_tokens` is None if nothing is refined. With `few_shot` each sampling prompt shows another of the tasks with
    a made-up program.
    """
    code = made_up(signature, min(PARENT_CHARACTERS, CHARACTERS_PER_TOKEN * sample_tokens))
    sampling: list[tuple[int, bool]] = []
    refinement: list[tuple[int, bool]] = []
    for task, other in zip(tasks, [*tasks[1:], *tasks[:1]], strict=True):
        hidden, shown = task.without_answers(), None
        if few_shot and other is not task:
            shown = (other.without_answers(), code)
        ask = partial(rendering.sampling, hidden, shown)
        better = partial(rendering.refinement, hidden, (typical_parent(hidden, code),))
        details = rendering.details(hidden)
        sampling += _fullest(ask, details, count, _room(context, sample_tokens))
        if refine_tokens is not None:
            refinement += _fullest(better, details, count, _room(context, refine_tokens))
    return PromptSizes(
        counted=len(tasks),
        sampling=_mean(sampling),
        refinement=_mean(refinement),
        longest=max((size for size, _ in [*sampling, *refinement]), default=0),
        shortened=sum(shorter for _, shorter in sampling),
        unsent=len(tasks) - len(sampling),
    )


def _room(context: int | None, completion: int) -> float:
    """Return how many tokens are left for a prompt."""
    return math.inf if context is None else context - completion


def _fullest(
    prompt_of: Callable[[Detail], Prompt], details: Sequence[Detail], count: Count, room: float
) -> list[tuple[int, bool]]:
    """Return the tokens of the fullest prompt that fits, and whether it is a shortened one; empty if none fits."""
    for place, detail in enumerate(details):
        if (size := count(prompt_of(detail))) <= room:
            return [(size, place > 0)]
    return []


def made_up(signature: str, characters: int) -> str:
    """Return a program of about `characters` characters that stands for a typical one."""
    lines = [f"def {signature}:"]
    for line in islice(cycle(LINES), 1 + characters // 10):
        if sum(map(len, lines)) + len(line) > characters:
            break
        lines.append(line)
    return "\n".join([*lines, "    return result"])


def typical_parent(task: Task, code: str) -> Program:
    """Return a program whose output for every input is the expected output of another training pair: right in kind and
    size, and mostly wrong."""
    expected = [example.output for example in task.train]
    train = (*expected[1:], *expected[:1])
    test = tuple(expected[index % len(expected)] for index in range(len(task.test)))
    origin = Origin("", 0, task.id, "sample", 0, 0, 0)
    return Program(origin, code, train, test, accuracy(task, train))


def _mean(sizes: Sequence[tuple[int, bool]]) -> float:
    return sum(size for size, _ in sizes) / len(sizes) if sizes else 0.0
