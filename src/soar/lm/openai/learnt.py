"""What is known about one endpoint: applied to every later request, logged once, and kept with the run.

Knows the remedy for a refusal; sends nothing.
"""

import json
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from soar.errors import StoreError
from soar.files import write_atomically
from soar.lm.openai.refusal import Refusal
from soar.lm.openai.request import DROPPABLE, EXTENSIONS, fields_of, prompt_key, without_system
from soar.types import Prompt, Sampling

logger = logging.getLogger(__name__)

N_IGNORED = 3
"""How often in a row n must be ignored before it is no longer sent: one odd reply proves nothing."""
SHRINK_LIMIT = 4
"""Behind a long prompt, new tokens are divided by at most this; beyond that, the prompt must be shortened."""
IDENTICAL_ANSWERS = 4
"""This many identical completions of one prompt suggest that a server does not draw at random."""
COLD_ANSWERS = 3
"""This many completions at temperature 0, all different, suggest that a server uses a temperature of its own; two may
differ by rounding."""
FILE = "endpoints.json"

Fields: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]
"""Translates a request's fields from OpenAI's interface to what a server accepts."""


class Learnt:
    """Starts with the findings of an earlier session or, without one, with everything allowed.

    `name` is the endpoint's name in messages and in the file in `kept` (None: nothing is kept). Known beforehand are
    the fields that the endpoint ignores (`leaves_out`) and the translation of the others (`fields`).
    """

    def __init__(
        self, name: str, *, leaves_out: Collection[str] = (), fields: Fields = dict, kept: Path | None = None
    ) -> None:
        self._name, self._translate = name, fields
        self._file = kept / FILE if kept else None
        found = _read(self._file).get(name, {})
        self._dropped: set[str] = {*leaves_out, *found.get("dropped", ())}
        self._most_tokens: int | None = found.get("most_tokens")
        self._differ: bool | None = found.get("differ")
        self._heeds_temperature: bool | None = found.get("heeds_temperature")
        self.merges_system = bool(found.get("merges_system"))
        self._choices: int = found.get("choices", 1)
        self._rooms: dict[str, int] = {}
        self._ignored = 0

    @property
    def unsure_of_temperature(self) -> bool:
        """Whether to check that temperature acts: it is sent, nobody has checked yet, and the finding is kept."""
        return self._heeds_temperature is None and "temperature" not in self._dropped and self._file is not None

    @property
    def one_at_a_time(self) -> bool:
        """Whether each choice needs a request of its own."""
        return "n" in self._dropped

    def fields(self, prompt: Prompt, sampling: Sampling, seed: int, count: int) -> dict[str, Any]:
        """Return a request's fields without the prompt."""
        limits = [self._most_tokens, self._rooms.get(prompt_key(prompt, sampling.max_new_tokens))]
        most = min((limit for limit in limits if limit is not None), default=None)
        return self._translate(fields_of(sampling, seed, count, self._dropped, most))

    def messages(self, prompt: Prompt) -> Prompt:
        """Return the prompt as the endpoint accepts it."""
        return prompt if isinstance(prompt, str) or not self.merges_system else without_system(prompt)

    def prompts(self, completions: int) -> int:
        """Return how many requests, each with the prompt, as many completions of it take at most. What is not known yet
        counts as one choice per request."""
        sure = 1 if self.one_at_a_time or self._ignored else self._choices
        return -(-completions // sure)

    def note_choices(self, asked: int, returned: int) -> None:
        """Note how many of the choices asked for in one request were returned."""
        if min(asked, returned) > self._choices:
            self._choices = min(asked, returned)
            self._keep()
        if asked > 1:
            self._ignored = self._ignored + 1 if returned == 1 else 0
            if self._ignored >= N_IGNORED:
                self._drop("n", "it keeps returning one choice when asked for several; each now gets its own request")

    def make_room(self, refusal: Refusal, prompt: Prompt, sampling: Sampling) -> bool:
        """Return whether asking for fewer new tokens makes the prompt fit; if so, do that from now on."""
        name, room = prompt_key(prompt, sampling.max_new_tokens), refusal.room(sampling.max_new_tokens)
        if (
            room is None
            or name in self._rooms
            or not sampling.max_new_tokens > room >= sampling.max_new_tokens / SHRINK_LIMIT
        ):
            return False
        if not self._rooms:
            words = (
                "%s: the context is too short for some prompts and %d new tokens (sampling.*_tokens): asking for fewer"
            )
            logger.warning(words, self._name, sampling.max_new_tokens)
        self._rooms[name] = room
        return True

    def adapt(self, refusal: Refusal, prompt: Prompt, fields: Mapping[str, Any], sent: Prompt) -> bool:
        """Drop or change what a refusal is about, from now on; return False if it has no remedy.

        `sent` is the prompt as it was sent. If a status of 400 or 422 names no field, the extensions are blamed.
        """
        if refusal.one_choice and "n" in fields:
            return self._drop("n", f"each completion now gets its own request ({refusal.message[:200]})")
        if refusal.roles and not isinstance(prompt, str) and sent != without_system(prompt):
            if not self.merges_system:
                words = "%s: the system message goes into the user message from now on: %s"
                logger.warning(words, self._name, refusal.message[:200])
            self.merges_system = True
            self._keep()
            return True
        asked = fields.get("max_tokens") or fields.get("max_completion_tokens") or 0
        if (most := refusal.most_tokens(asked)) is not None:
            if self._most_tokens is None or most < self._most_tokens:
                words = "%s: asking for at most %d new tokens from now on (sampling.*_tokens): %s"
                logger.warning(words, self._name, most, refusal.message[:200])
                self._most_tokens = most
                self._keep()
            return True
        suspects = [field for field in DROPPABLE if field in fields]
        guilty = [field for field in suspects if field in refusal.named][:1]
        if not guilty and refusal.status in (400, 422):
            guilty = [field for field in suspects if field in EXTENSIONS]
        for field in guilty:
            self._drop(field, f"it refuses the field ({refusal.message[:200]})")
        return bool(guilty)

    def _drop(self, field: str, reason: str) -> bool:
        if field not in self._dropped:
            self._dropped.add(field)
            self._keep()
            logger.warning("%s: %s is off from now on: %s", self._name, field, reason)
        return True

    def note_answers(self, texts: Sequence[str]) -> None:
        """Note, until it is known, whether completions of one prompt differ: if not, a search is pointless."""
        texts = [text for text in texts if text]  # cut off or blocked before anything was written
        if self._differ is not None or len(texts) < 2:
            return
        if len(set(texts)) > 1:
            self._differ = True
        elif len(texts) >= IDENTICAL_ANSWERS:
            self._differ = False
            words = "%s: %d completions of one prompt are identical; it may ignore temperature or seed"
            logger.warning(words, self._name, len(texts))
        if self._differ is not None:
            self._keep()

    def note_cold_answers(self, texts: Sequence[str]) -> None:
        """Note completions of one prompt at temperature 0, which agree if temperature acts."""
        self._heeds_temperature = len(set(texts)) < COLD_ANSWERS
        if not self._heeds_temperature:
            words = "%s: %d completions at temperature 0 all differ; it may ignore sampling.temperature and use its own"
            logger.warning(words, self._name, len(texts))
        self._keep()

    def _keep(self) -> None:
        """Write what is known, beside the findings on other endpoints; a run continues if that fails."""
        if self._file is None:
            return
        found = {
            "dropped": sorted(self._dropped),
            "most_tokens": self._most_tokens,
            "differ": self._differ,
            "heeds_temperature": self._heeds_temperature,
            "merges_system": self.merges_system,
            "choices": self._choices,
        }
        try:
            write_atomically(self._file, json.dumps({**_read(self._file), self._name: found}, indent=1))
        except StoreError as error:
            logger.warning("cannot keep what was found out about %s: %s", self._name, error)


def _read(file: Path | None) -> dict[str, Any]:
    """Return what is known of endpoints by name; nothing if the file is missing or not JSON: it is found out again."""
    try:
        found = json.loads(file.read_text(encoding="utf-8")) if file else {}
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
