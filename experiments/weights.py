"""Which weights an experiment measures: the folder, the digest by which results are told apart, the temperature."""

import hashlib
from pathlib import Path

from soar.config import Config
from soar.lm.embedded import SHIPPED
from soar.method import open_backend

TEMPERATURE = 0.6
"""At which programs are sampled; chosen on the training tasks that the corpus left out (`docs/model_card.md`)."""


def digest(weights: Path = SHIPPED) -> str:
    """Return the first digits of the SHA-256 of a folder's weights, by which results are told apart."""
    return hashlib.sha256((weights / "model.safetensors").read_bytes()).hexdigest()[:12]


def theta0(config: Config) -> Path:
    """Return the folder of the model that a configuration names."""
    return getattr(open_backend(config), "folder", SHIPPED)
