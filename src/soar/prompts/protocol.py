"""What a rendering is: the same data, tasks and parents with their feedback, as a prompt; a completion back to code."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from soar.types import Program, Prompt, Task

Feedback = Literal["full", "verdicts", "none"]


@dataclass(frozen=True, slots=True)
class Detail:
    """How much of a task a prompt shows; shorter details than the default serve small contexts.

    `pairs` caps the training pairs (None: all); `feedback` says whether a parent's outputs are shown, only the
    verdicts, or neither.
    """

    pairs: int | None = None
    feedback: Feedback = "full"


@dataclass(frozen=True, slots=True)
class Extraction:
    """The code of a completion, or the reason why there is none: ``no-code``, ``no-entry-point``, ``unclosed-block``,
    ``empty`` (exactly one of the two is set)."""

    code: str | None = None
    reason: str | None = None


class Rendering(Protocol):
    """Turns search's data into prompts and completions into code. Test outputs are never read."""

    def sampling(self, task: Task, few_shot: tuple[Task, str] | None = None, detail: Detail = Detail()) -> Prompt:
        """Return the prompt that asks for a program from scratch; `few_shot` is a solved task and its program."""
        ...

    def refinement(self, task: Task, parents: Sequence[Program], detail: Detail = Detail()) -> Prompt:
        """Return the prompt that asks for a better program than `parents`, with what each produced on every input."""
        ...

    def completion(self, code: str) -> str:
        """Return the text a model should have answered to give `code`; `extract` of it is `code` again."""
        ...

    def extract(self, text: str) -> Extraction:
        """Return the code in a completion."""
        ...

    def details(self, task: Task) -> Sequence[Detail]:
        """Return the details to try for this task, fullest first, until the prompt fits (fewer pairs, then less
        feedback)."""
        ...
