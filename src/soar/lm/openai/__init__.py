"""Any OpenAI-compatible server as a language model: what a configuration says of one."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from soar.lm.openai.client import Limits, OpenAICompatible
from soar.lm.openai.learnt import Learnt
from soar.lm.openai.request import check_address
from soar.settings import FREE, LOCATION, Positive, Section

if TYPE_CHECKING:
    from soar.lm.openai.adapters import LoadedAdapters, WithAdapter


class Backend:
    """A server that somebody else runs (``lm.backend = "openai"``) and that SOAR never stops."""

    class Settings(Section):
        """`base_url` ends in /v1; `model` is a name that the server knows; `api_key_env` names the environment variable
        that holds the key. `weights` are the same model's files (a folder, a .gguf file, a name in the Hugging Face
        cache): with them SOAR finetunes the model and has the server load the adapter. The server must load adapters at
        run time and see the run directory (vLLM: --enable-lora, VLLM_ALLOW_RUNTIME_LORA_UPDATING=1).

        Times in seconds: `deadline_seconds` for one request, `give_up_seconds` for all retries of one."""

        model: str
        base_url: str = Field(json_schema_extra=FREE)
        api_key_env: str | None = Field(default=None, json_schema_extra=FREE)
        weights: str | None = Field(default=None, json_schema_extra=LOCATION)
        concurrency: Positive = Field(default=64, json_schema_extra=FREE)
        deadline_seconds: float = Field(default=600.0, gt=0, json_schema_extra=FREE)
        give_up_seconds: float = Field(default=3600.0, ge=0, json_schema_extra=FREE)

    def __init__(self, settings: Settings) -> None:
        check_address(settings.base_url, settings.api_key_env)
        self._settings = settings
        self._kept: Path | None = None

    needs_adapter = True

    @cached_property
    def folder(self) -> Path | None:
        """The folder of the model's files, None if `weights` is not set."""
        from soar.lm.transformers.source import folder_of

        return None if self._settings.weights is None else folder_of(self._settings.weights)

    def identity(self) -> dict[str, str]:
        """Return the server's name for the model and, if `weights` is set, a hash of its files."""
        from soar.lm.transformers.source import fingerprint

        name, weights = self._settings.model, self._settings.weights
        return {"model": name} if weights is None else {"model": name, "weights_sha256": fingerprint(weights)}

    def keep_in(self, folder: Path) -> None:
        """Keep findings about the server in a folder."""
        self._kept = folder

    def check_learning(self) -> None:
        """Refuse a server that could not serve the finetuned model."""
        from soar.lm.openai.adapters import refuse_without_adapters

        refuse_without_adapters(self._settings.base_url, self._settings.api_key_env)

    def open(self, weights: Path | None) -> "OpenAICompatible | WithAdapter":
        """Connect to the server, which loads the adapter of `weights`. `StoreError` if they have none."""
        from soar.lm.openai.adapters import WithAdapter, name_of

        settings = self._settings
        limits = Limits(settings.concurrency, settings.deadline_seconds, settings.give_up_seconds)
        name = settings.model if weights is None else name_of(weights)
        client = OpenAICompatible(name, settings.base_url, settings.api_key_env, limits=limits, learnt=self._learnt)
        if weights is None:
            return client
        return WithAdapter(client, weights, self._adapters)

    @cached_property
    def _learnt(self) -> Learnt:
        """What is known of the server: one for all connections, or each would overwrite what another found out."""
        return Learnt(f"{self._settings.model} at {self._settings.base_url}", kept=self._kept)

    @cached_property
    def _adapters(self) -> "LoadedAdapters":
        from soar.lm.openai.adapters import LoadedAdapters

        return LoadedAdapters(self._settings.base_url, self._settings.api_key_env, self._kept)
