"""Loads a model's folder: onto which device, in which number format, and how much memory is left.

Knows transformers and devices; knows nothing of sampling.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch

from soar.errors import ConfigError, EndpointError

Dtype: TypeAlias = Literal["auto", "bfloat16", "float32"]

OUT_OF_MEMORY = ("can't allocate memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""How messages of errors of no class of their own say that memory ran out."""


def device_of(name: str) -> torch.device:
    """Return a device by name ("auto": a GPU if there is one); `ConfigError` if it is not available."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        first = str(error).splitlines()[0]
        raise ConfigError(f'lm.device = "{name}" is not available ({first}): choose "cpu", "cuda" or "auto"') from None
    return device


def load(folder: Path, device: torch.device, dtype: Dtype) -> Any:
    """Load a model. "auto" is bfloat16 on a GPU and float32 on a CPU: most CPUs compute bfloat16 ten times more
    slowly."""
    from transformers import AutoModelForCausalLM

    chosen = ("float32" if device.type == "cpu" else "bfloat16") if dtype == "auto" else dtype
    with quiet():
        try:
            model: Any = AutoModelForCausalLM.from_pretrained(
                folder, dtype=getattr(torch, chosen), local_files_only=True
            )
        except (OSError, ValueError, KeyError) as error:
            raise EndpointError(f"the model in {folder} cannot be loaded: {error}") from None
        try:
            return model.eval().to(device)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            raise EndpointError(
                f"the model in {folder} takes {model.get_memory_footprint() / 2**30:.3g} GiB in {chosen}, more than is"
                f" free on {device} ({free_bytes(device) / 2**30:.3g} GiB): choose a smaller model, or a server that"
                " spreads it over several GPUs (lm.backend)"
            ) from None


def context_of(model: Any, most: int | None) -> int:
    """Return how many tokens a prompt and its completion may have together."""
    own = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    known = [each for each in (own, most) if each]
    if not known:
        raise ConfigError("the model does not say how long its context is: set lm.context")
    return min(known)


def free_bytes(device: torch.device) -> int:
    """Return how much memory of a device is free."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


@contextmanager
def quiet() -> Iterator[None]:
    """Hide progress bars meanwhile, and keep Hugging Face libraries off the network."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that memory ran out, on a GPU (in torch's allocator or in a library's own) or in
    torch's CPU allocator."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in OUT_OF_MEMORY)
