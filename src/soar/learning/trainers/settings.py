"""The paper's finetuning settings, which every built-in trainer takes (App. D.4)."""

from typing import Literal

from pydantic import Field

from soar.settings import FREE, Fraction, Positive, Section


class FinetuneSettings(Section):
    """How θ0 is finetuned (App. D.4). `warmup` and `weight_decay` are fractions; `max_length` is in tokens.

    `method`: RS-LoRA ("lora"), RS-LoRA over a base in 4 bits ("qlora"), or all weights ("full"). `batch_size` ×
    `accumulation` examples over all `processes` make an optimiser step; out of memory, `batch_size` is halved and
    `accumulation` doubled. `optimizer` "auto": AdamW in 8 bits on a GPU if bitsandbytes is installed. `processes`: one
    per GPU; `sharding` "fsdp" splits the model among them, "ddp" gives each a whole copy. `keep`: how many models keep
    their whole weights on disk (None: all); adapters always stay.
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
