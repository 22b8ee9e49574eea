"""The paper's settings of finetuning, which every trainer that is built in takes (App. D.4)."""

from typing import Literal

from pydantic import Field

from soar.settings import FREE, Fraction, Positive, Section


class FinetuneSettings(Section):
    """How θ0 is finetuned (App. D.4). `warmup` and `weight_decay` as fractions; `max_length` in tokens.

    `method`: RS-LoRA, the same over a base in 4 bits ("qlora"), or all weights. `batch_size` × `accumulation` examples
    make an optimiser step, over all `processes`; out of memory, `batch_size` is halved and `accumulation` doubled.
    `optimizer` "auto": AdamW in 8 bits on a GPU where bitsandbytes is installed. `processes` are one per GPU;
    `sharding` "fsdp" shares the model out among them, "ddp" gives each a whole one. `keep`: whole weights of how many
    models stay on the disk (None: all); adapters always stay.
    """

    method: Literal["lora", "qlora", "full"] = "lora"
    rank: Positive = 256
    alpha: Positive = 32
    lr: float = Field(default=5e-5, gt=0)
    warmup: Fraction = 0.1
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    weight_decay: Fraction = 0.05
    batch_size: Positive = 1
    accumulation: Positive = 64
    epochs: float = Field(default=3.0, gt=0)
    max_steps: Positive | None = None
    max_length: Positive = 16384
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    optimizer: Literal["auto", "adamw", "adamw_8bit"] = "auto"
    processes: Positive = Field(default=1, json_schema_extra=FREE)
    sharding: Literal["ddp", "fsdp"] = Field(default="ddp", json_schema_extra=FREE)
    keep: Positive | None = Field(default=None, json_schema_extra=FREE)
    checkpoint_steps: Positive = 200
