"""Finetuning with Unsloth, in an environment of its own: the same rows in, the same weights out.

Knows where to find Unsloth's interpreter and what Unsloth cannot do; all else is as with TRL.
"""

from pydantic import Field

from soar.errors import ConfigError
from soar.learning.trainers.settings import FinetuneSettings
from soar.learning.trainers.trl import Trl
from soar.lm.served.install import interpreter
from soar.settings import FREE, require


class UnslothSettings(FinetuneSettings):
    """As with TRL, on one GPU. `python`: the interpreter of an environment that has Unsloth (None: what `soar engine
    install unsloth` made, or this one)."""

    python: str | None = Field(default=None, json_schema_extra=FREE)


class Unsloth(Trl):
    """Finetunes with Unsloth's kernels (``finetune.trainer = "unsloth"``)."""

    Settings = UnslothSettings
    module = "soar.learning.trainers.unsloth_training"

    def __init__(self, settings: UnslothSettings) -> None:
        super().__init__(settings)
        named = {"chosen_by": "finetune.trainer", "named_by": "finetune.python"}
        self.python = interpreter("unsloth", ("unsloth",), settings.python, **named)

    def _check(self, settings: FinetuneSettings) -> None:
        require('finetune.trainer = "unsloth"', "train", "torch")
        if settings.processes > 1:
            raise ConfigError(
                f'finetune.trainer = "unsloth" uses one GPU, found finetune.processes = {settings.processes}: set it to'
                ' 1, or finetune.trainer to "trl"'
            )
