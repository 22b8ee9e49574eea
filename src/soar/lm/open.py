"""Which backend a configuration names, opened. The only file that knows them all; each is imported when wanted."""

import hashlib
from pathlib import Path

from soar.config import LMConfig
from soar.lm.protocol import LanguageModel


def open_language_model(config: LMConfig, weights: Path | None = None) -> LanguageModel:
    """Open the configured model, with finetuned `weights` (a directory) in place of its own where given."""
    if config.backend == "openai":
        from soar.lm.openai import OpenAICompatible

        return OpenAICompatible(
            model=config.model or "",
            base_url=config.base_url or "",
            api_key_env=config.api_key_env,
            concurrency=config.concurrency,
            deadline_seconds=config.deadline_seconds,
            give_up_seconds=config.give_up_seconds,
        )
    if config.backend == "scripted":
        from soar.lm.scripted import Scripted

        return Scripted(config.model or "", weights=weights)
    from soar.lm.embedded import Embedded

    return Embedded(weights or (Path(config.model) if config.model else None))


def default_weights(config: LMConfig) -> Path:
    """Return the folder of the configured model itself, θ0: what finetuning begins from."""
    if config.backend == "embedded" and config.model is None:
        return Path(__file__).parent / "weights"
    return Path(config.model or "")


def fingerprint(config: LMConfig) -> dict[str, str]:
    """Return what identifies the configured model: its name, and a hash of its weights where they lie on this disk."""
    weights = default_weights(config) / "model.safetensors"
    found = {"backend": config.backend, "model": config.model or "as shipped"}
    if config.backend == "embedded" and weights.is_file():
        with weights.open("rb") as file:
            found["weights_sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
    return found
