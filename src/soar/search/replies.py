"""Whether a model's completions are usable: counts them as they come, and reports if they are not.

Knows the statuses of completions and their usual causes; knows no model and no server.
"""

import logging
from collections import Counter

from soar.errors import EndpointError

logger = logging.getLogger(__name__)

USELESS_LIMIT = 100
"""The number of unusable completions in a row that causes a warning, or, if a search has no usable one, an error."""
NOTHING_WRITTEN = frozenset({"empty", "truncated"})
"""Statuses that point to a wrong setup at any number; the others may come from a model that is merely weak."""

CAUSES = {
    "truncated": "completions are cut off: raise sampling.sample_tokens, or the model's context length on the server",
    "empty": "completions are empty: the context may be too short, or the server returns the text in another field",
    "unclosed-block": "code is cut off: raise sampling.sample_tokens, or check the server for a stop string",
    "no-code": "there is no block of code: the model may not follow chat prompts, or the server uses another template",
    "no-entry-point": "the code does not define the required function: the model may not follow chat prompts",
}


FINETUNED_CAUSE = (
    "the finetuning before this search broke the model: with few examples its steps may be too large (lower"
    " finetune.lr, or search more tasks for more examples)"
)
"""The usual cause if the completions of a finetuned model are unusable and those of its base model are not."""


class Replies:
    """Counts the completions of one search by status; only "code" is usable. `learnt`: the model is finetuned."""

    def __init__(self, *, learnt: bool = False) -> None:
        self._learnt = learnt
        self._counts: Counter[str] = Counter()
        self._useless: Counter[str] = Counter()
        self._warned = False

    def note(self, status: str) -> None:
        """Count a completion; warn once when `USELESS_LIMIT` in a row are unusable."""
        self._counts[status] += 1
        if status == "code":
            self._useless.clear()
            return
        self._useless[status] += 1
        if not self._warned and self._useless.total() >= USELESS_LIMIT:
            self._warned = True
            cause = self._cause(self._useless)
            logger.warning("%d unusable completions in a row (%s). %s", USELESS_LIMIT, _listed(self._useless), cause)

    def conclude(self) -> None:
        """Raise `EndpointError` if no completion is usable and all are empty or cut off, or they reach the limit."""
        total = self._counts.total()
        nothing = sum(self._counts[status] for status in NOTHING_WRITTEN)
        if total and not self._counts["code"] and (nothing == total or total >= USELESS_LIMIT):
            raise EndpointError(
                f"none of {total} completions is usable ({_listed(self._counts)}). {self._cause(self._counts)}. The"
                " completions are stored; fix the cause and start a new run"
            )

    def _cause(self, counts: Counter[str]) -> str:
        ((status, _),) = counts.most_common(1)
        cause = FINETUNED_CAUSE if self._learnt else CAUSES.get(status, "the model does not follow the prompt")
        return f"Most likely {cause}"


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {status}" for status, count in counts.most_common())
