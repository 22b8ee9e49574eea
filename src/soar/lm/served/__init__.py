"""A model served by an engine that the run owns: its settings, and how it is opened."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from soar.lm.served.engines import engine_of
from soar.lm.served.install import interpreter
from soar.settings import FREE, LOCATION, Positive, Section, require

if TYPE_CHECKING:
    from soar.lm.openai.learnt import Learnt
    from soar.lm.served.engine import Served


class Backend:
    """An engine in a process of its own, started, watched and ended by the run (``lm.backend = "served"``)."""

    class Settings(Section):
        """`model` is a folder, a .gguf file, or a name in the Hugging Face cache. `engine` is "vllm", "sglang",
        "transformers", or a command line with {weights} and {port}; `engine_python` is the interpreter of the
        environment that has it (None: this one, or the one made by `soar engine install`); `engine_args` are added to
        its command line: GPUs, replicas, lengths. `context` caps the tokens of a prompt and its completion; None: the
        engine decides what is too long.

        Times in seconds: `start_seconds` until it answers, `deadline_seconds` for one request, `give_up_seconds` for
        all retries of one. `concurrency` caps the requests in flight. It exceeds what an engine decodes at once,
        because a request for several completions holds its seats until the longest is written.
        """

        model: str = Field(json_schema_extra=LOCATION)
        engine: str = "vllm"
        engine_python: str | None = Field(default=None, json_schema_extra=FREE)
        context: Positive | None = None
        engine_args: tuple[str, ...] = Field(default=(), json_schema_extra=FREE)
        start_seconds: float = Field(default=1800.0, gt=0, json_schema_extra=FREE)
        concurrency: Positive = Field(default=256, json_schema_extra=FREE)
        deadline_seconds: float = Field(default=600.0, gt=0, json_schema_extra=FREE)
        give_up_seconds: float = Field(default=3600.0, ge=0, json_schema_extra=FREE)

    reads = ("chat", "text")

    def __init__(self, settings: Settings) -> None:
        if settings.context is not None:  # a prompt's tokens are counted here, with the model's tokenizer
            require("lm.context (how many tokens a prompt has)", "train", "transformers", "tokenizers", "jinja2")
        self._engine = engine_of(settings.engine)
        self._python = interpreter(self._engine.name, self._engine.modules, settings.engine_python)
        self._settings = settings
        self._kept: Path | None = None
        self._learnt: Learnt | None = None

    @cached_property
    def folder(self) -> Path:
        """The model's folder; a .gguf file is converted on first use."""
        from soar.lm.transformers.source import folder_of

        return folder_of(self._settings.model)

    def identity(self) -> dict[str, str]:
        """Return the model's name, and a hash of its weight files (`soar.lm.transformers.source.fingerprint`)."""
        from soar.lm.transformers.source import fingerprint

        return {"model": self._settings.model, "weights_sha256": fingerprint(self._settings.model)}

    def keep_in(self, folder: Path) -> None:
        """Keep logs, records and findings in a folder from now on; end engines that an earlier run left there."""
        from soar.lm.served.engine import end_earlier, learnt_of

        self._kept = folder
        self._learnt = learnt_of(self._engine, folder)  # one for all engines, or each would overwrite the other's
        end_earlier(folder)

    def open(self, weights: Path | None) -> "Served":
        """Return the model, or finetuned weights in its place, behind an engine that starts on first use."""
        from soar.lm.openai.client import Limits
        from soar.lm.served.engine import Served

        settings = self._settings
        return Served(
            self._engine,
            self._python,
            weights or self.folder,
            self._kept,
            engine_args=settings.engine_args,
            context=settings.context,
            start_seconds=settings.start_seconds,
            limits=Limits(settings.concurrency, settings.deadline_seconds, settings.give_up_seconds),
            learnt=self._learnt,
        )
