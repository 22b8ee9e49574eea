"""What ``lm.model`` names: a folder, a GGUF file, or a name in the user's Hugging Face cache. Never the network.

Whatever it names becomes a folder that transformers loads. Knows files; knows nothing of what is in a model.
"""

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

from soar.errors import ConfigError, EndpointError
from soar.files import is_published, publish, sha256

EDGE_BYTES = 1 << 20
"""How many bytes at the start and the end of each weight file are hashed: all of them would take minutes."""


def folder_of(model: str) -> Path:
    """Return the folder of a model; a GGUF file is converted into one in the user's cache, once. `ConfigError` says
    where it looked."""
    path = Path(model).expanduser()
    if path.suffix == ".gguf":
        return _converted(path)
    if path.is_dir():
        if not (path / "config.json").is_file():
            adapter = (path / "adapter_config.json").is_file()
            what = "an adapter, not a whole model: name the folder of merged weights" if adapter else "no config.json"
            raise ConfigError(f"lm.model: {path} holds {what}")
        return path
    return _cached(model)


def fingerprint(model: str) -> str:
    """Return a hash that identifies a model's weights: of the names and sizes of its weight files, the first and last
    MiB of each, and its whole configuration."""
    path = Path(model).expanduser()
    files = [path] if path.suffix == ".gguf" else _weights(folder_of(model))
    digest = hashlib.sha256()
    for file in files:
        size = file.stat().st_size
        digest.update(f"{file.name}\0{size}\0".encode())
        with file.open("rb") as content:
            digest.update(content.read(EDGE_BYTES if file.suffix != ".json" else -1))
            content.seek(max(0, size - EDGE_BYTES))
            digest.update(content.read())
    return digest.hexdigest()


def _weights(folder: Path) -> list[Path]:
    found = sorted(file for kind in ("*.safetensors", "*.bin") for file in folder.glob(kind))
    return [folder / "config.json", *found]


def _cached(name: str) -> Path:
    """Return the folder of a name in the user's Hugging Face cache."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (OSError, ValueError) as error:  # a missing model is an OSError, an invalid name a ValueError
        raise ConfigError(
            f"lm.model = {name!r} is neither a folder, nor a .gguf file, nor in the Hugging Face cache"
            f" ({type(error).__name__}); download it first (hf download {name}) or name a folder"
        ) from None


def _converted(file: Path) -> Path:
    """Return the folder of a converted GGUF file, which is named by the hash of its content."""
    from soar.settings import require

    require("a .gguf file", "train", "gguf", "torch", "transformers")
    if not file.is_file():
        raise ConfigError(f"lm.model: there is no file {file}")
    name = sha256(file)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "soar" / "gguf"
    out = cache / name
    if not is_published(out):
        # Named by process: two processes may convert the same file at once.
        aside = cache / f"{name}.{os.getpid()}.tmp"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        try:
            _convert(file, aside)
            publish(aside, out, {"gguf_sha256": name})
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return out


def _convert(file: Path, out: Path) -> None:
    """Write a GGUF file's model and tokenizer in transformers' format, in 32-bit floats."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from soar.lm.transformers.load import quiet

    named: dict[str, Any] = {"gguf_file": file.name, "local_files_only": True}
    with quiet():
        try:
            model: Any = AutoModelForCausalLM.from_pretrained(file.parent, **named)
            tokenizer: Any = AutoTokenizer.from_pretrained(file.parent, **named)
        except (OSError, ValueError, KeyError, IndexError, NotImplementedError) as error:
            raise EndpointError(f"{file} cannot be loaded: {error}") from None
        # The weights are no longer quantized; a saved configuration that says they are would be believed.
        del model.config.quantization_config
        model.hf_quantizer = None
        model.save_pretrained(out)
        tokenizer.save_pretrained(out)
