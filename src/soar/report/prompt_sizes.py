"""How long a run's prompts will be: real sampling prompts, and refinement prompts of a made-up parent, counted.

Knows renderings and how tokens are counted; knows no model, and nothing of how often a prompt is asked.
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
"""How many tasks of a stage have their prompts counted; all, where there are no more."""

CHARACTERS = 4
"""Characters of a prompt per token, where no tokenizer is at hand. Digits are apart: to many models each is a token."""

PARENT = 600
"""Characters of the parent in a counted refinement prompt, where its limit of tokens does not make it shorter."""

LINES = (
    "    result = []",
    "    for index, value in enumerate(values):",
    "        other = values[-index - 1] if index % 2 == 0 else value",
    "        result.append(other)",
)


@dataclass(frozen=True, slots=True)
class PromptSizes:
    """Tokens of the prompts of some tasks of a stage: their means, and the longest of all. `shortened` counts tasks
    whose sampling prompt does not fit the context as a whole, `unsent` those whose prompt fits in no form."""

    counted: int
    sampling: float
    refinement: float
    longest: int
    shortened: int = 0
    unsent: int = 0


Count = Callable[[Prompt], int]
"""The tokens of a prompt."""


def token_count(folder: Path | None) -> tuple[Count, str]:
    """Return how to count a prompt's tokens, and in words how that is: by the tokenizer in a model's folder, if one is
    there. What a chat template adds, a few tokens per message, is left out."""
    file = folder / "tokenizer.json" if folder else None
    if file is None or not file.is_file():
        return _rough_count, f"every digit and every {CHARACTERS} other characters taken as a token"
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    return lambda prompt: len(tokenizer.encode(_text(prompt), add_special_tokens=False).ids), "the model's tokenizer"


def _rough_count(prompt: Prompt) -> int:
    text = _text(prompt)
    digits = sum(map(str.isdigit, text))
    return digits + math.ceil((len(text) - digits) / CHARACTERS)


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
    """Return the tokens of the prompts of `tasks`; one is shortened until it fits the context beside its completion.

    `refine_tokens` is None where nothing is refined. With `few_shot` each shows another of the tasks with a made-up
    program.
    """
    code = made_up(signature, min(PARENT, CHARACTERS * sample_tokens))
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
    """Return the tokens of the fullest prompt that fits, and whether that shows less than all; nothing if none fits."""
    for place, detail in enumerate(details):
        if (size := count(prompt_of(detail))) <= room:
            return [(size, place > 0)]
    return []


def made_up(signature: str, characters: int) -> str:
    """Return a program of about so many characters, which stands for a typical one."""
    lines = [f"def {signature}:"]
    for line in islice(cycle(LINES), 1 + characters // 10):
        if sum(map(len, lines)) + len(line) > characters:
            break
        lines.append(line)
    return "\n".join([*lines, "    return result"])


def typical_parent(task: Task, code: str) -> Program:
    """Return a program that gave, on every input, what is wanted of another training pair: of the right kind and size,
    and mostly wrong."""
    wanted = [example.output for example in task.train]
    train = (*wanted[1:], *wanted[:1])
    test = tuple(wanted[index % len(wanted)] for index in range(len(task.test)))
    origin = Origin("", 0, task.id, "sample", 0, 0, 0)
    return Program(origin, code, train, test, accuracy(task, train))


def _mean(sizes: Sequence[tuple[int, bool]]) -> float:
    return sum(size for size, _ in sizes) / len(sizes) if sizes else 0.0
