"""Finetuning by TRL's SFTTrainer: always from θ0, on the completion's tokens only (App. D.4).

Knows rows of prompt and completion, a folder with the base model, and where the result goes; does not know the search.
Weights are published whole, with hashes, and never with a value that is not finite.
"""

import math
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from soar.errors import DataError, Interrupted, StoreError
from soar.files import is_published, publish, seal, sha256
from soar.learning.trainers.precision import attend_in_float32, has_fast_bf16
from soar.learning.trainers.settings import FinetuneSettings
from soar.learning.trainers.tokens import IGNORED, order, read_tokens
from soar.protocols import OnLog
from soar.seeds import rng, seed_of
from soar.settings import require

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
"""All attention and MLP projections, as in the released code."""

LOGS = 20
"""How often a training reports, whatever its length."""


class Trl:
    """Finetunes with TRL; LoRA as in the paper, or all weights."""

    Settings = FinetuneSettings

    def __init__(self, settings: FinetuneSettings) -> None:
        require('finetune.trainer = "trl"', "train", "torch", "transformers", "trl", "peft", "datasets", "accelerate")
        self.settings = settings

    def finetune(self, rows: Path, base: Path, out: Path, seed: int, on_log: OnLog) -> None:
        """Finetune the model in `base` on the rows and publish a folder that loads like it in `out`.

        LoRA is merged into the weights, which every engine reads alike; the adapter by itself lies in ``adapter/``.
        Interrupted or killed, it goes on from the newest checkpoint that is whole, with the same result. Raises
        `DataError` when no row fits `max_length` or the loss stops being finite.
        """
        import torch

        settings = self.settings
        data = {"data_sha256": sha256(rows), "settings": settings.model_dump(mode="json"), "seed": seed}
        work = out.with_name(out.name + ".work")
        with _quiet(), _all_threads():
            trainer, counts = _trainer(rows, base, work, settings, seed)
            on_log(counts)
            watch = _watch(on_log, data)
            trainer.add_callback(watch)
            trainer.train(resume_from_checkpoint=newest_checkpoint(work, data))
            if watch.interrupted:
                raise watch.interrupted
            aside = out.with_name(out.name + ".tmp")
            shutil.rmtree(aside, ignore_errors=True)
            _save(trainer, aside, settings.method, _base_dtype(base))
            about = {**data, **counts, "computed_in": str(torch.bfloat16 if trainer.args.bf16 else torch.float32)}
            publish(aside, out, about)
        shutil.rmtree(work, ignore_errors=True)


def newest_checkpoint(work: Path, data: Mapping[str, object]) -> str | None:
    """Return the newest checkpoint that is whole and was made from this data, None if there is none.

    Others are removed: the trainer itself would take up a damaged one without a word.
    """
    found = sorted(work.glob("checkpoint-*"), key=lambda folder: int(folder.name.rpartition("-")[2]), reverse=True)
    for folder in found:
        try:
            if is_published(folder, data):
                return str(folder)
        except StoreError:
            pass
        shutil.rmtree(folder)
    return None


def _trainer(
    rows_path: Path, base: Path, work: Path, settings: FinetuneSettings, seed: int
) -> tuple[Any, dict[str, int]]:
    """Return the trainer of one finetuning, and how many examples it takes and leaves out as too long."""
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback

    tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
    examples, dropped = read_tokens(rows_path, tokenizer, settings.max_length)
    sequence = order(
        [len(tokens.ids) for tokens in examples],
        batch_size=settings.batch_size,
        epochs=settings.epochs,
        rng=rng(seed, "order"),
    )
    columns = {"input_ids": [list(e.ids) for e in examples], "labels": [e.labels for e in examples]}
    torch.manual_seed(seed_of(seed, "initial"))
    bf16 = settings.dtype == "bfloat16" and has_fast_bf16("cuda" if torch.cuda.is_available() else "cpu")
    whole = settings.method == "full" or not bf16
    dtype = torch.float32 if whole else torch.bfloat16
    model = AutoModelForCausalLM.from_pretrained(base, dtype=dtype, local_files_only=True)
    if bad := _not_finite(model):
        raise DataError(f"the weights in {base} hold values that are not finite, in {bad}: put back a copy of them")
    if not torch.cuda.is_available():
        attend_in_float32(model)
    trainer = _trainer_class()(
        model=model,
        args=_arguments(work, settings, seed, rows=len(sequence), bf16=bf16),
        train_dataset=Dataset.from_dict(columns).select(sequence),
        processing_class=tokenizer,
        peft_config=_lora(settings) if settings.method == "lora" else None,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer, {"examples": len(examples), "too_long": dropped}


def _trainer_class() -> Any:
    """Return TRL's SFTTrainer; without a GPU, with the same loss computed only where it is asked for.

    TRL itself scores every position there, the prompt's too: a quarter of a small model's time.
    """
    import torch
    from torch.nn import functional
    from trl.trainer.sft_trainer import SFTTrainer

    class CompletionTrainer(SFTTrainer):
        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            del return_outputs
            labels = inputs["labels"][:, 1:]
            asked = labels != IGNORED
            columns = asked.any(dim=0).nonzero().flatten()
            # Rows are padded behind, where causal attention does not look: no mask is needed.
            logits = model(input_ids=inputs["input_ids"], logits_to_keep=columns, use_cache=False).logits
            chosen = asked[:, columns]
            loss = functional.cross_entropy(logits[chosen].float(), labels[:, columns][chosen], reduction="sum")
            return loss / (asked.sum() if num_items_in_batch is None else num_items_in_batch)

    return SFTTrainer if torch.cuda.is_available() else CompletionTrainer


def _arguments(work: Path, settings: FinetuneSettings, seed: int, *, rows: int, bf16: bool) -> Any:
    """Return TRL's settings. The rows come in the order of learning, all epochs in one."""
    import torch
    from trl.trainer.sft_config import SFTConfig

    gpu = torch.cuda.is_available()
    steps = settings.max_steps or math.ceil(rows / (settings.batch_size * settings.accumulation))
    return SFTConfig(
        output_dir=str(work),
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.accumulation,
        num_train_epochs=1,
        max_steps=settings.max_steps or -1,
        train_sampling_strategy="sequential",
        learning_rate=settings.lr,
        warmup_steps=settings.warmup,
        lr_scheduler_type=settings.schedule,
        weight_decay=settings.weight_decay,
        max_length=None,
        completion_only_loss=True,
        pad_to_multiple_of=16,
        bf16=bf16,
        use_cpu=not gpu,
        activation_checkpointing=gpu,
        dataloader_pin_memory=gpu,
        logging_steps=max(1, steps // LOGS),
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        report_to="none",
        save_strategy="steps",
        save_steps=settings.checkpoint_steps,
        save_total_limit=2,
        seed=seed & 0x7FFFFFFF,
    )


def _lora(settings: FinetuneSettings) -> Any:
    from peft import LoraConfig

    return LoraConfig(
        r=settings.rank, lora_alpha=settings.alpha, use_rslora=True, lora_dropout=0.0, target_modules=TARGETS
    )


def _watch(on_log: OnLog, data: Mapping[str, object]) -> Any:
    """Return a callback that passes log entries on, seals checkpoints, and ends the training when the loss is not
    finite or `on_log` raises `Interrupted`: then after a checkpoint, with the exception in its ``interrupted``."""
    from transformers import TrainerCallback

    class Watch(TrainerCallback):
        interrupted: Interrupted | None = None

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **more: Any) -> None:
            del args, more
            numbers = {name: float(logs[name]) for name in ("loss", "grad_norm") if name in (logs or {})}
            if not all(math.isfinite(number) for number in numbers.values()):
                raise DataError(f"finetuning diverged ({numbers}): nothing was published; lower finetune.lr")
            if not numbers:
                return
            try:
                on_log({"step": state.global_step, "of": state.max_steps, **numbers})
            except Interrupted as stop:
                self.interrupted = stop
                control.should_save = control.should_training_stop = True

        def on_save(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            del control, more
            seal(Path(args.output_dir) / f"checkpoint-{state.global_step}", data)

    return Watch()


def _save(trainer: Any, folder: Path, method: str, dtype: Any) -> None:
    """Write the finetuned model in the base's number format, and its tokenizer; `StoreError` if not finite.

    The adapter is looked at by itself: merged, its values may vanish. So is the model in the base's format, which may
    be too small for what was learnt in another.
    """
    model = trainer.accelerator.unwrap_model(trainer.model)
    _refuse_not_finite(model)
    if method == "lora":
        model.save_pretrained(folder / "adapter")
        model = model.merge_and_unload()
    model = model.to(dtype)
    _refuse_not_finite(model)
    model.save_pretrained(folder)
    trainer.processing_class.save_pretrained(folder)


def _refuse_not_finite(model: Any) -> None:
    if bad := _not_finite(model):
        raise StoreError(
            f"finetuning ended with values that are not finite, in {bad}: not published; lower finetune.lr"
        )


def _not_finite(model: Any) -> str:
    """Return the names of a model's tensors that hold a value that is not finite, the first three."""
    names = [name for name, tensor in model.state_dict().items() if not bool(tensor.isfinite().all())]
    return ", ".join(names[:3])


def _base_dtype(base: Path) -> Any:
    import torch
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(base, local_files_only=True).dtype or torch.float32


@contextmanager
def _all_threads() -> Iterator[None]:
    """Compute on every core meanwhile, unless the environment sets the number of threads."""
    import torch

    before = torch.get_num_threads()
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(os.cpu_count() or 1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the libraries' progress bars and their warnings to each other off the terminal, and everyone off the
    network, meanwhile."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import datasets
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled(), datasets.are_progress_bars_disabled()
    logging.disable_progress_bar()
    datasets.disable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        if shown[0]:
            logging.enable_progress_bar()
        if not shown[1]:
            datasets.enable_progress_bars()
