"""Whether a model's replies are of any use: counted while they come, said when they are not.

Knows the statuses of completions and what usually causes them; knows no model and no server.
"""

import logging
from collections import Counter

from soar.errors import EndpointError

logger = logging.getLogger(__name__)

MANY = 100
"""How many useless replies in a row are worth a warning; as many without a block of code are no accident either."""
NOTHING = frozenset({"empty", "truncated"})
"""Replies that hold no answer at all; the others may come from a model that is only weak."""

CAUSES = {
    "truncated": "answers are cut off: raise sampling.sample_tokens, or the context that the server gives the model",
    "empty": "answers are empty: the context may be too short, or the server puts the text where it is not looked for",
    "unclosed-block": "code is cut off: raise sampling.sample_tokens, or look for a stop string at the server",
    "no-code": "there is no block of code: the model may not follow chat prompts, or the server uses another template",
    "no-entry-point": "code does not define the function that is asked for: the model may not follow chat prompts",
}


LEARNT = (
    "the finetuning before this search undid the model: with few examples its steps may be too long (lower finetune.lr;"
    " more tasks give more examples)"
)
"""What usually causes useless replies of a model that was finetuned, whose base model's were of use."""


class Replies:
    """Counts the completions of one search by status; "code" is the one of use. `learnt`: of a finetuned model."""

    def __init__(self, *, learnt: bool = False) -> None:
        self._learnt = learnt
        self._counts: Counter[str] = Counter()
        self._useless: Counter[str] = Counter()
        self._said = False

    def note(self, status: str) -> None:
        """Count a completion; warn once when `MANY` in a row were useless."""
        self._counts[status] += 1
        if status == "code":
            self._useless.clear()
            return
        self._useless[status] += 1
        if not self._said and self._useless.total() >= MANY:
            self._said = True
            cause = self._cause(self._useless)
            logger.warning("%d replies in a row are of no use (%s). %s", MANY, _told(self._useless), cause)

    def conclude(self) -> None:
        """Raise `EndpointError` if none of the replies was of use: none held an answer, or at least `MANY` no code."""
        total = self._counts.total()
        nothing = sum(self._counts[status] for status in NOTHING)
        if total and not self._counts["code"] and (nothing == total or total >= MANY):
            raise EndpointError(
                f"none of {total} replies is of use ({_told(self._counts)}). {self._cause(self._counts)}. They are"
                " stored; start a new run once it is mended"
            )

    def _cause(self, counts: Counter[str]) -> str:
        ((status, _),) = counts.most_common(1)
        cause = LEARNT if self._learnt else CAUSES.get(status, "the model does not do what it is asked")
        return f"Most likely {cause}"


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {status}" for status, count in counts.most_common())
