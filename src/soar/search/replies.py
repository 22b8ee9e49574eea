"""Whether a model's completions are usable: counts them as they come, and reports if they are not.

Knows the statuses of completions and their usual causes; knows no model and no server.
"""

import logging
from collections import Counter
from collections.abc import Mapping

from soar.archive.tallies import WITH_CODE
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
    "no-code": "there is no block of code, which begins with ```python: the model may not follow chat prompts, or the"
    " server uses another template",
    "no-entry-point": "the code does not define the function that the prompt asks for: the model may not follow chat"
    " prompts",
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

    def note_earlier(self, ended: Mapping[str, int]) -> None:
        """Count the completions of an earlier session by status, without a warning: that session gave it."""
        self._counts.update(ended)

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
        return f"Most likely {FINETUNED_CAUSE if self._learnt else _usual_cause(counts)}"


def useless_line(statuses: Mapping[str, int]) -> str | None:
    """Return, if most completions hold no program, a line that says why and what to do. `statuses`: completions by how
    they ended, those with a program by how it did."""
    useless = Counter({status: count for status, count in statuses.items() if status not in WITH_CODE})
    total = sum(statuses.values())
    if useless.total() * 2 <= total:
        return None
    return (
        f"{useless.total()} of {total} completions hold no program ({_listed(useless)}). Most likely"
        f" {_usual_cause(useless)}; `soar show RUN_DIR TASK` prints one"
    )


def _usual_cause(counts: Counter[str]) -> str:
    ((status, _),) = counts.most_common(1)
    return CAUSES.get(status, "the model does not follow the prompt")


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {status}" for status, count in counts.most_common())
