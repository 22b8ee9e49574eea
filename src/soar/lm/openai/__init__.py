"""Any OpenAI-compatible server as a language model: what a configuration says of one."""

from pydantic import Field

from soar.lm.openai.client import OpenAICompatible
from soar.lm.openai.request import check_address
from soar.settings import FREE, Positive, Section


class Backend:
    """A server (``lm.backend = "openai"``). It searches; it cannot be finetuned from here."""

    class Settings(Section):
        """`base_url` ends in /v1; `model` is a name that the server knows; `api_key_env` names the variable with the
        key. Times in seconds: `deadline_seconds` of one request, `give_up_seconds` of all repeats of one."""

        model: str
        base_url: str = Field(json_schema_extra=FREE)
        api_key_env: str | None = Field(default=None, json_schema_extra=FREE)
        concurrency: Positive = Field(default=64, json_schema_extra=FREE)
        deadline_seconds: float = Field(default=600.0, gt=0, json_schema_extra=FREE)
        give_up_seconds: float = Field(default=3600.0, ge=0, json_schema_extra=FREE)

    folder = None

    def __init__(self, settings: Settings) -> None:
        check_address(settings.base_url, settings.api_key_env)
        self._settings = settings

    def identity(self) -> dict[str, str]:
        """Return the name that the server knows the model by."""
        return {"model": self._settings.model}

    def open(self, weights: object) -> OpenAICompatible:
        """Connect to the server; `weights` must be None."""
        if weights is not None:
            raise ValueError(f"a server cannot be given weights, found {weights}")
        return OpenAICompatible(**self._settings.model_dump(exclude={"backend"}))
