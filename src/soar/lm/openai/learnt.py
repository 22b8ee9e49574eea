"""What has been found out about one endpoint: minded in every request from then on, said once, and kept with the run.

Knows which remedy a refusal has; sends nothing.
"""

import json
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from soar.errors import StoreError
from soar.files import write_atomically
from soar.lm.openai.refusal import Refusal
from soar.lm.openai.request import DROPPABLE, EXTENSIONS, fields_of, prompt_name, without_system
from soar.types import Prompt, Sampling

logger = logging.getLogger(__name__)

IGNORED = 3
"""How often in a row n may be ignored before it is no longer sent: one odd answer is none."""
WORTHWHILE = 4
"""Fewer new tokens are asked for behind a long prompt down to this part of them; then the prompt must be shorter."""
ALIKE = 4
"""So many answers to one prompt, all the same, are a sign that a server does not draw at random."""
COLD_ANSWERS = 3
"""So many answers at temperature 0, all different, are a sign that a server draws at a temperature of its own; two may
differ by rounding."""
FILE = "endpoints.json"

Fields: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]
"""From a request's fields as OpenAI's interface has them to what a server takes."""


class Learnt:
    """Begins with what was found out in an earlier session, at first with everything allowed.

    `name` is what the endpoint is called, in what is said and in the file in `kept` (None: nothing is kept). What is
    known of it beforehand: the fields that it ignores (`leaves_out`), and how it takes the others (`fields`).
    """

    def __init__(
        self, name: str, *, leaves_out: Collection[str] = (), fields: Fields = dict, kept: Path | None = None
    ) -> None:
        self._url, self._as_taken = name, fields
        self._file = kept / FILE if kept else None
        found = _read(self._file).get(name, {})
        self._dropped: set[str] = {*leaves_out, *found.get("dropped", ())}
        self._most_tokens: int | None = found.get("most_tokens")
        self._differ: bool | None = found.get("differ")
        self._heeds_temperature: bool | None = found.get("heeds_temperature")
        self.merges_system = bool(found.get("merges_system"))
        self._rooms: dict[str, int] = {}
        self._ignored = 0

    @property
    def unsure_of_temperature(self) -> bool:
        """Whether it is worth looking if temperature acts: nobody has, it is sent, and what is found is kept."""
        return self._heeds_temperature is None and "temperature" not in self._dropped and self._file is not None

    @property
    def one_at_a_time(self) -> bool:
        """Whether several choices cannot be asked for in one request."""
        return "n" in self._dropped

    def fields(self, prompt: Prompt, sampling: Sampling, seed: int, count: int) -> dict[str, Any]:
        """Return a request's fields beside the prompt."""
        limits = [self._most_tokens, self._rooms.get(prompt_name(prompt, sampling.max_new_tokens))]
        most = min((limit for limit in limits if limit is not None), default=None)
        return self._as_taken(fields_of(sampling, seed, count, self._dropped, most))

    def messages(self, prompt: Prompt) -> Prompt:
        """Return the prompt as the endpoint takes it."""
        return prompt if isinstance(prompt, str) or not self.merges_system else without_system(prompt)

    def note_choices(self, asked: int, returned: int) -> None:
        """Note how many choices came of those asked for in one request."""
        if asked > 1:
            self._ignored = self._ignored + 1 if returned == 1 else 0
            if self._ignored >= IGNORED:
                self._drop(
                    "n", "it keeps returning one choice where several are asked for; each is asked for by itself"
                )

    def make_room(self, refusal: Refusal, prompt: Prompt, sampling: Sampling) -> bool:
        """Return whether fewer new tokens, from now on asked for behind this prompt, are a remedy for its length."""
        name, room = prompt_name(prompt, sampling.max_new_tokens), refusal.room(sampling.max_new_tokens)
        if (
            room is None
            or name in self._rooms
            or not sampling.max_new_tokens > room >= sampling.max_new_tokens / WORTHWHILE
        ):
            return False
        if not self._rooms:
            words = (
                "%s: the context is too short for some prompts and sampling.max_new_tokens = %d: fewer are asked for"
            )
            logger.warning(words, self._url, sampling.max_new_tokens)
        self._rooms[name] = room
        return True

    def adapt(self, refusal: Refusal, prompt: Prompt, fields: Mapping[str, Any], sent: Prompt) -> bool:
        """Leave out or change from now on what a refusal is about; False if it has no remedy.

        `sent` is the prompt as it was sent. Where a status of 400 or 422 names nothing, the extensions are to blame.
        """
        if refusal.one_choice and "n" in fields:
            return self._drop("n", f"each completion is asked for by itself ({refusal.message[:200]})")
        if refusal.roles and not isinstance(prompt, str) and sent != without_system(prompt):
            if not self.merges_system:
                words = "%s: the system message goes into the user's from now on: %s"
                logger.warning(words, self._url, refusal.message[:200])
            self.merges_system = True
            self._keep()
            return True
        asked = fields.get("max_tokens") or fields.get("max_completion_tokens") or 0
        if (most := refusal.most_tokens(asked)) is not None:
            if self._most_tokens is None or most < self._most_tokens:
                words = "%s: at most %d new tokens are asked for from now on (sampling.max_new_tokens): %s"
                logger.warning(words, self._url, most, refusal.message[:200])
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
            logger.warning("%s: %s is off from now on: %s", self._url, field, reason)
        return True

    def note_answers(self, texts: Sequence[str]) -> None:
        """Look, until it is known, whether answers to one prompt differ: without that a search is pointless."""
        if self._differ is not None or len(texts) < 2:
            return
        if len(set(texts)) > 1:
            self._differ = True
        elif len(texts) >= ALIKE:
            self._differ = False
            words = "%s: %d answers to one prompt are identical; it may ignore temperature or seed"
            logger.warning(words, self._url, len(texts))
        if self._differ is not None:
            self._keep()

    def note_cold_answers(self, texts: Sequence[str]) -> None:
        """Note answers to one prompt at temperature 0, which are one answer where temperature acts."""
        self._heeds_temperature = len(set(texts)) < COLD_ANSWERS
        if not self._heeds_temperature:
            words = "%s: %d answers at temperature 0 all differ; it may ignore sampling.temperature and draw at its own"
            logger.warning(words, self._url, len(texts))
        self._keep()

    def _keep(self) -> None:
        """Write what is known, beside what is known of other endpoints; a run goes on where that cannot be."""
        if self._file is None:
            return
        found = {
            "dropped": sorted(self._dropped),
            "most_tokens": self._most_tokens,
            "differ": self._differ,
            "heeds_temperature": self._heeds_temperature,
            "merges_system": self.merges_system,
        }
        try:
            write_atomically(self._file, json.dumps({**_read(self._file), self._url: found}, indent=1))
        except StoreError as error:
            logger.warning("what was found out about %s is not kept: %s", self._url, error)


def _read(file: Path | None) -> dict[str, Any]:
    """Return what is known of endpoints by name; nothing where the file is not there or no JSON: it is found out
    anew."""
    try:
        found = json.loads(file.read_text(encoding="utf-8")) if file else {}
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
