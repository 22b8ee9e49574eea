"""The small models that ship with the package, or one like them: their settings, and how they are opened."""

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from soar.errors import ConfigError
from soar.files import sha256
from soar.settings import LOCATION, Section, require

if TYPE_CHECKING:
    from soar.lm.embedded.engine import Embedded

SHIPPED = Path(__file__).parent / "weights"
"""The folder of the shipped model for ARC."""

NAMED = {"sequences": SHIPPED / "sequences"}
"""The folders of the other shipped models, each by the name of its domain."""


class Backend:
    """A model in this process, on the CPU (``lm.backend = "embedded"``)."""

    class Settings(Section):
        """`model` is the name of a shipped model or a folder; None is the shipped model for ARC."""

        model: str | None = Field(default=None, json_schema_extra=LOCATION)

    reads = ("text",)
    rendering = "compact"
    distinct = True

    def __init__(self, settings: Settings) -> None:
        require('lm.backend = "embedded"', None, "numba", "safetensors", "threadpoolctl", "tokenizers")
        self._name = name = settings.model
        self.folder = SHIPPED if name is None else NAMED.get(name, Path(name))
        self.domain = "arc" if name is None else name if name in NAMED else None
        if not (self.folder / "config.json").is_file():
            raise ConfigError(
                f"lm.model = {name!r} holds no config.json: expected {', '.join(NAMED)} or a folder with a model"
            )

    def identity(self) -> dict[str, str]:
        """Return the model's name, and the hash of its weights."""
        weights = self.folder / "model.safetensors"
        found = {"model": self._name or "as shipped"}
        return {**found, "weights_sha256": sha256(weights)} if weights.is_file() else found

    def open(self, weights: Path | None) -> "Embedded":
        """Load the model, or finetuned weights in its place."""
        from soar.lm.embedded.engine import Embedded

        return Embedded(weights or self.folder)
