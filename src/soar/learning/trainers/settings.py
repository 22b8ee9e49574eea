"""The paper's settings of finetuning, which every trainer that is built in takes (App. D.4)."""

from typing import Literal

from pydantic import Field

from soar.settings import Fraction, Positive, Section


class FinetuneSettings(Section):
    """How θ0 is finetuned (App. D.4). `warmup` and `weight_decay` as fractions; `max_length` in tokens."""

    method: Literal["lora", "full"] = "lora"
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
    checkpoint_steps: Positive = 200
