"""Any causal language model that transformers loads, in this process: its settings, and how it is opened."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from soar.settings import LOCATION, Positive, Section, require

if TYPE_CHECKING:
    from soar.lm.transformers.engine import Transformers


class Backend:
    """A pretrained model in this process, on a GPU or the CPU (``lm.backend = "transformers"``)."""

    class Settings(Section):
        """`model` is a folder, a .gguf file, or a name in the Hugging Face cache; nothing is downloaded.

        `dtype` "auto": bfloat16 on a GPU, float32 on a CPU. `context` caps the tokens of a prompt and its completion,
        `batch` the samples decoded side by side. With `exact` false a GPU decodes several requests together: faster
        if requests are small, but then a completion depends, by rounding, on what else is in flight.
        """

        model: str = Field(json_schema_extra=LOCATION)
        dtype: Literal["auto", "bfloat16", "float32"] = "auto"
        device: str = "auto"
        context: Positive | None = None
        batch: Positive = 64
        exact: bool = True

    reads = ("chat", "text")

    def __init__(self, settings: Settings) -> None:
        require('lm.backend = "transformers"', "train", "torch", "transformers", "tokenizers", "safetensors")
        self._settings = settings

    @cached_property
    def folder(self) -> Path:
        """The model's folder; a .gguf file is converted on first use."""
        from soar.lm.transformers.source import folder_of

        return folder_of(self._settings.model)

    def identity(self) -> dict[str, str]:
        """Return the model's name, and a hash of its weight files (`soar.lm.transformers.source.fingerprint`)."""
        from soar.lm.transformers.source import fingerprint

        return {"model": self._settings.model, "weights_sha256": fingerprint(self._settings.model)}

    def open(self, weights: Path | None) -> "Transformers":
        """Load the model, or finetuned weights in its place."""
        from soar.lm.transformers.engine import Transformers

        return Transformers(weights or self.folder, **self._settings.model_dump(exclude={"backend", "model"}))
