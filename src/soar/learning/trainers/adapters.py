"""Rewrites an adapter for engines that scale every adapter by alpha / rank, whatever its configuration says.

Knows PEFT's files. Ours are trained with alpha / sqrt(rank) (RS-LoRA, Kalajdzievski 2023, arXiv 2312.03732); an engine
without RS-LoRA applies them sqrt(rank) times too weakly: 16 times at the paper's rank of 256.
"""

import json
from pathlib import Path

from soar.errors import DataError

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def rewrite_adapter(adapter: Path, out: Path) -> None:
    """Write to the folder `out` an adapter that, scaled by alpha / rank, acts as `adapter` does; `DataError` if that is
    not one that PEFT wrote."""
    from safetensors.torch import load_file, save_file

    try:
        config = json.loads((adapter / CONFIG).read_text(encoding="utf-8"))
        weights = load_file(adapter / WEIGHTS)
        factor = config["r"] ** 0.5 if config["use_rslora"] else 1.0
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{adapter} holds no PEFT adapter ({error}): name the folder adapter/ of a model") from None
    scaled = {name: each.float() * (factor if "lora_B" in name else 1) for name, each in weights.items()}
    out.mkdir(parents=True, exist_ok=True)
    save_file({name: each.contiguous() for name, each in scaled.items()}, out / WEIGHTS, {"format": "pt"})
    (out / CONFIG).write_text(json.dumps({**config, "use_rslora": False}, indent=1), encoding="utf-8")
