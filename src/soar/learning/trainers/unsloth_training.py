"""One finetuning with Unsloth: the main module of its process, in an environment of its own.

Knows how Unsloth loads a model; `soar.learning.trainers.training` does the training. Takes from SOAR's environment only
this package, nothing installed beside it.
"""

import sys
from functools import partial
from typing import Any

import unsloth  # pyright: ignore[reportMissingImports] — first: it patches TRL and transformers on import

from soar.learning.trainers.process import Job, take_part
from soar.learning.trainers.training import TARGETS, Learner, train
from soar.lm.transformers.load import out_of_memory
from soar.seeds import seed_of


def with_unsloth(job: Job, bf16: bool) -> Learner:
    """Load the base with Unsloth, which adds the adapter itself and has its own way of saving memory."""
    import torch

    settings, load = job.settings, unsloth.FastLanguageModel
    model: Any
    model, _ = load.from_pretrained(
        str(job.base),
        max_seq_length=settings.max_length,
        dtype=torch.bfloat16 if bf16 else torch.float32,
        load_in_4bit=settings.method == "qlora",
        full_finetuning=settings.method == "full",
    )
    if settings.method != "full":
        model = load.get_peft_model(
            model,
            r=settings.rank,
            lora_alpha=settings.alpha,
            use_rslora=True,
            lora_dropout=0.0,
            bias="none",
            target_modules=TARGETS,
            use_gradient_checkpointing="unsloth",
            random_state=seed_of(job.seed, "initial") & 0x7FFFFFFF,
        )
    return Learner(model, checkpointing=False)


if __name__ == "__main__":
    sys.exit(take_part(partial(train, load=with_unsloth), out_of_memory))
