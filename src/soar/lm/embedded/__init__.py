"""The small model that ships with the package, or one like it: what a configuration says of it."""

from pathlib import Path
from typing import TYPE_CHECKING

from soar.errors import ConfigError
from soar.files import sha256
from soar.settings import Section, require

if TYPE_CHECKING:
    from soar.lm.embedded.engine import Embedded

SHIPPED = Path(__file__).parent / "weights"
"""The folder of the model that comes with the package."""


class Backend:
    """A model in this process, on the CPU (``lm.backend = "embedded"``)."""

    class Settings(Section):
        """`model` is a folder, None the shipped one."""

        model: str | None = None

    reads = ("text",)
    rendering = "compact"
    distinct = True

    def __init__(self, settings: Settings) -> None:
        require('lm.backend = "embedded"', None, "numba", "safetensors", "threadpoolctl", "tokenizers")
        self._name = settings.model
        self.folder = Path(settings.model) if settings.model else SHIPPED
        if not (self.folder / "config.json").is_file():
            raise ConfigError(f"lm.model = {settings.model!r}: expected a folder with a model, there is no config.json")

    def identity(self) -> dict[str, str]:
        """Return the model's name, and the hash of its weights."""
        weights = self.folder / "model.safetensors"
        found = {"model": self._name or "as shipped"}
        return {**found, "weights_sha256": sha256(weights)} if weights.is_file() else found

    def open(self, weights: Path | None) -> "Embedded":
        """Load the model, or finetuned weights in its place."""
        from soar.lm.embedded.engine import Embedded

        return Embedded(weights or self.folder)
