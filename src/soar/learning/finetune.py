"""Finetuning by TRL's SFTTrainer: always from θ0, on the completion's tokens only (App. D.4).

Knows rows of prompt and completion, a folder with the base model, and where the result goes; does not know the search.
Weights are published whole, with hashes, and never with a value that is not finite.
"""

import json
import math
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from soar.config import FinetuneConfig
from soar.errors import DataError, StoreError
from soar.files import publish, sha256

OnLog: TypeAlias = Callable[[Mapping[str, float]], None]
Trainer: TypeAlias = Callable[[Path, Path, Path, FinetuneConfig, int, OnLog], None]

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
"""All attention and MLP projections, as in the released code."""


def trl(rows_path: Path, base: Path, out: Path, settings: FinetuneConfig, seed: int, on_log: OnLog) -> None:
    """Finetune the model in `base` on the rows and publish a folder that loads like it in `out`.

    LoRA is merged into the weights, which every engine reads alike. Interrupted, it goes on from the newest checkpoint
    that is whole. Raises `DataError` when no row fits `max_length` or the loss stops being finite.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.trainer_utils import get_last_checkpoint
    from trl.trainer.sft_trainer import SFTTrainer

    tokenizer = AutoTokenizer.from_pretrained(base)
    dataset, dropped = tokenized(rows_path, tokenizer, settings.max_length)
    on_log({"examples": len(dataset), "too_long": dropped})
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32 if settings.method == "full" else "auto")
    work = out.with_name(out.name + ".work")
    trainer = SFTTrainer(
        model=model,
        args=_arguments(work, settings, seed, len(dataset)),
        train_dataset=dataset,
        processing_class=tokenizer,
        peft_config=_lora(settings) if settings.method == "lora" else None,
        callbacks=[_watch(on_log)],
    )
    resume = get_last_checkpoint(str(work)) if work.is_dir() else None
    trainer.train(resume_from_checkpoint=_whole(resume))
    trained: Any = trainer.model
    merged = trained.merge_and_unload() if settings.method == "lora" else trained
    _refuse_non_finite(merged)
    aside = out.with_name(out.name + ".tmp")
    shutil.rmtree(aside, ignore_errors=True)
    merged.save_pretrained(aside)
    tokenizer.save_pretrained(aside)
    publish(aside, out, {"data_sha256": sha256(rows_path), "examples": len(dataset), "too_long": dropped, "seed": seed})
    shutil.rmtree(work, ignore_errors=True)


def scripted(rows_path: Path, base: Path, out: Path, settings: FinetuneConfig, seed: int, on_log: OnLog) -> None:
    """Publish weights that are nothing but the digest of the data: for runs of the scripted model."""
    del base, settings
    aside = out.with_name(out.name + ".tmp")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    on_log({"examples": sum(1 for _ in rows_path.open())})
    publish(aside, out, {"data_sha256": sha256(rows_path), "seed": seed})


TRAINERS: dict[str, Trainer] = {"trl": trl, "scripted": scripted}


def tokenized(rows_path: Path, tokenizer: Any, max_length: int) -> tuple[Any, int]:
    """Return the dataset of ``input_ids`` and ``completion_mask``, and how many rows were too long for it."""
    from datasets import Dataset

    rows = [_tokens(json.loads(line), tokenizer) for line in rows_path.read_text(encoding="utf-8").splitlines()]
    fit = [(prompt, completion) for prompt, completion in rows if len(prompt) + len(completion) <= max_length]
    if not fit:
        raise DataError(
            f"{rows_path}: none of {len(rows)} examples fits finetune.max_length = {max_length} tokens; the search gave"
            " nothing to learn from, or the limit is too small"
        )
    columns = {
        "input_ids": [prompt + completion for prompt, completion in fit],
        "completion_mask": [[0] * len(prompt) + [1] * len(completion) for prompt, completion in fit],
    }
    return Dataset.from_dict(columns), len(rows) - len(fit)


def _tokens(row: Mapping[str, Any], tokenizer: Any) -> tuple[list[int], list[int]]:
    """Return the token ids of a row's prompt and completion, as inference sees and ends them."""
    if isinstance(row["prompt"], str):
        prompt = tokenizer(row["prompt"], add_special_tokens=False)["input_ids"]
        return prompt, [*tokenizer(row["completion"], add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    chat = tokenizer.apply_chat_template
    prompt = chat(row["prompt"], add_generation_prompt=True, return_dict=False)
    whole = chat([*row["prompt"], *row["completion"]], return_dict=False)
    if whole[: len(prompt)] != prompt:
        raise DataError(
            "the model's chat template changes the prompt once it is answered; it cannot be finetuned on chat"
        )
    return prompt, whole[len(prompt) :]


def _arguments(work: Path, settings: FinetuneConfig, seed: int, rows: int) -> Any:
    import torch
    from trl.trainer.sft_config import SFTConfig

    gpu = torch.cuda.is_available()
    steps = settings.max_steps or math.ceil(rows / (settings.batch_size * settings.accumulation) * settings.epochs)
    return SFTConfig(
        output_dir=str(work),
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.accumulation,
        num_train_epochs=settings.epochs,
        max_steps=settings.max_steps or -1,
        learning_rate=settings.lr,
        warmup_steps=settings.warmup,
        lr_scheduler_type=settings.schedule,
        weight_decay=settings.weight_decay,
        max_length=None,
        completion_only_loss=True,
        train_sampling_strategy="group_by_length",
        pad_to_multiple_of=16,
        bf16=settings.dtype == "bfloat16",
        use_cpu=not gpu,
        gradient_checkpointing=gpu,
        dataloader_pin_memory=gpu,
        logging_steps=max(1, steps // 20),
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        report_to="none",
        save_strategy="steps",
        save_steps=max(1, settings.checkpoint_steps),
        save_total_limit=2,
        seed=seed,
    )


def _lora(settings: FinetuneConfig) -> Any:
    from peft import LoraConfig

    return LoraConfig(
        r=settings.rank, lora_alpha=settings.alpha, use_rslora=True, lora_dropout=0.0, target_modules=TARGETS
    )


def _watch(on_log: OnLog) -> Any:
    """Return a callback that passes log entries on and ends the training when the loss is not finite."""
    from transformers import TrainerCallback

    class Watch(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **more: Any) -> None:
            del args, state, control, more
            entry = {name: logs[name] for name in ("epoch", "loss", "grad_norm") if name in (logs or {})}
            if not all(math.isfinite(value) for value in entry.values()):
                raise DataError(f"finetuning diverged ({entry}): nothing was published; lower finetune.lr")
            on_log(entry)

    return Watch()


def _whole(checkpoint: str | None) -> str | None:
    """Return the checkpoint if the trainer finished writing it, None to begin anew."""
    wanted = ("trainer_state.json", "optimizer.pt", "scheduler.pt", "rng_state.pth")
    return checkpoint if checkpoint and all((Path(checkpoint) / name).is_file() for name in wanted) else None


def _refuse_non_finite(model: Any) -> None:
    bad = [name for name, tensor in model.state_dict().items() if not bool(tensor.isfinite().all())]
    if bad:
        raise StoreError(
            f"finetuning ended with values that are not finite in {', '.join(bad[:3])}: nothing was published"
        )
