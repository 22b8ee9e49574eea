"""Finetuning by TRL's SFTTrainer: always from θ0, on the completion's tokens only (App. D.4).

Knows a job: rows of prompt and completion, a folder with the base model, and where the result goes. Does not know the
search or the caller. Publishes weights whole, with hashes, and never with a value that is not finite. As the main
module it runs one process of a job (`soar.learning.trainers.process`).
"""

import gc
import importlib.util
import math
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from soar.cores import available_cores
from soar.errors import DataError, Interrupted
from soar.files import publish, seal
from soar.learning.trainers.precision import attend_in_float32, has_fast_bf16
from soar.learning.trainers.process import Job, take_part
from soar.learning.trainers.saving import not_finite, save
from soar.learning.trainers.settings import FinetuneSettings
from soar.learning.trainers.tokens import IGNORED, Tokens, order, read_prompts, read_tokens
from soar.lm.notes import Probe
from soar.lm.transformers.load import out_of_memory, quiet
from soar.lm.transformers.probe import note_probes
from soar.protocols import OnLog
from soar.seeds import rng, seed_of

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
"""All attention and MLP projections, as in the released code."""

PROBES, PROBE_TOKENS = 3, 1024
"""The number of examples whose probabilities are noted with the weights, and their maximum length: enough to tell
weights apart, cheap beside a training."""


class Learner(NamedTuple):
    """A model to train; the adapter that TRL must add to it, None if there is none or it is already on; and whether TRL
    should recompute activations to save memory."""

    model: Any
    adapter: Any = None
    checkpointing: bool = True


Load: TypeAlias = Callable[[Job, bool], Learner]
"""Loads the base of a job, given whether to compute in bfloat16."""


def train(job: Job, on_log: OnLog, load: Load | None = None) -> None:
    """Do one job: finetune the model in `base` on the rows and publish a folder that loads like it in `out`.

    LoRA is merged into the weights, which every engine reads alike; ``adapter/`` holds the adapter by itself. Each of
    several processes calls this; only the first writes. Raises `DataError` if no row fits `max_length` or the loss
    stops being finite, and the `Interrupted` that `on_log` raises, after a checkpoint.
    """
    import torch

    with _quiet(), _all_threads(job.settings.processes):
        trainer, counts, examples = _trainer(job, load)
        first = trainer.is_world_process_zero()
        if first:
            on_log(counts)
        watch = _watch(on_log, job.data)
        trainer.add_callback(watch)
        trainer.train(resume_from_checkpoint=job.resume)
        if watch.interrupted:
            raise watch.interrupted
        aside = job.out.with_name(job.out.name + ".tmp")
        if first:
            shutil.rmtree(aside, ignore_errors=True)
        trainer.accelerator.wait_for_everyone()
        how = {
            "micro_batch": job.micro,
            "computed_in": str(torch.bfloat16 if trainer.args.bf16 else torch.float32),
            "most_gpu_bytes": torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None,
        }
        save(trainer, aside, job.base, job.settings.method)
        trainer.accelerator.wait_for_everyone()
        del trainer, watch
        if first:
            gc.collect()  # frees the trained model before `note_probes` loads two
            if torch.cuda.is_available():
                torch.cuda.empty_cache()  # or what was freed would still count as taken
            prompts = read_prompts(job.rows, examples)
            probes = [Probe(prompt, each.ids, each.masked) for prompt, each in zip(prompts, examples, strict=True)]
            note_probes(aside, job.base, None if job.settings.method == "full" else job.settings.rank, probes)
            publish(aside, job.out, {**job.data, **counts, **how})


def _trainer(job: Job, load: Load | None = None) -> tuple[Any, dict[str, int], list[Tokens]]:
    """Return the trainer of one finetuning, for the model that `load` loads (default `with_transformers`); the counts
    of examples taken and left out; and a few examples."""
    import torch
    from datasets import Dataset
    from transformers import AutoTokenizer, PrinterCallback

    settings = job.settings
    tokenizer = AutoTokenizer.from_pretrained(job.base, local_files_only=True)
    examples, dropped = read_tokens(job.rows, tokenizer, settings.max_length)
    sequence = order(
        [len(tokens.ids) for tokens in examples],
        batch_size=settings.batch_size,
        epochs=settings.epochs,
        rng=rng(job.seed, "order"),
    )
    columns = {"input_ids": [list(e.ids) for e in examples], "labels": [e.labels for e in examples]}
    torch.manual_seed(seed_of(job.seed, "initial"))
    bf16 = settings.dtype == "bfloat16" and has_fast_bf16("cuda" if torch.cuda.is_available() else "cpu")
    if settings.processes > 1 and settings.sharding == "fsdp" and not torch.cuda.is_available():
        _enable_fsdp_on_cpu()
    learner = (load or with_transformers)(job, bf16)
    if bad := not_finite(learner.model.state_dict()):
        raise DataError(f"the weights in {job.base} hold values that are not finite in {bad}: restore them from a copy")
    trainer = _trainer_class()(
        model=learner.model,
        args=_arguments(job, bf16=bf16, checkpointing=learner.checkpointing),
        train_dataset=Dataset.from_dict(columns).select(sequence),
        processing_class=tokenizer,
        peft_config=learner.adapter,
    )
    trainer.remove_callback(PrinterCallback)
    counts = {
        "examples": len(examples),
        "too_long": dropped,
        "tokens": sum(len(examples[place].ids) for place in sequence),
        "processes": trainer.accelerator.num_processes,
    }
    return trainer, counts, _probe_examples(examples)


def _enable_fsdp_on_cpu() -> None:
    """Make accelerate shard a model among processes on a CPU too: torch can, accelerate does so only on accelerators.
    Slow; for trying out what a run on GPUs would do."""
    from accelerate.state import AcceleratorState
    from accelerate.utils import DistributedType

    begin: Any = AcceleratorState.__init__

    def shared(self: Any, *given: Any, fsdp_plugin: Any = None, **more: Any) -> None:
        begin(self, *given, fsdp_plugin=fsdp_plugin, **more)
        if fsdp_plugin is not None:
            self.distributed_type, self.fsdp_plugin = DistributedType.FSDP, fsdp_plugin

    AcceleratorState.__init__ = shared  # type: ignore[method-assign]


def _probe_examples(examples: list[Tokens]) -> list[Tokens]:
    """Return a few short examples, spread over all of them."""
    short = [each for each in examples if len(each.ids) <= PROBE_TOKENS]
    return short[:: max(1, len(short) // PROBES)][:PROBES]


def with_transformers(job: Job, bf16: bool) -> Learner:
    """Load the base: in 32-bit floats if all weights are trained, else in the computation's format or in 4 bits."""
    import torch
    from transformers import AutoModelForCausalLM

    settings = job.settings
    more: dict[str, Any] = {"dtype": torch.bfloat16 if bf16 and settings.method != "full" else torch.float32}
    if settings.method == "qlora":
        more |= {"quantization_config": _four_bits(more["dtype"]), "device_map": _one_device()}
    model = AutoModelForCausalLM.from_pretrained(job.base, local_files_only=True, **more)
    if not torch.cuda.is_available():
        attend_in_float32(model)
    return Learner(model, None if settings.method == "full" else _lora(settings))


def _four_bits(computed_in: Any) -> Any:
    """Return how QLoRA stores the base (Dettmers et al. 2023, arXiv 2305.14314): NF4, with its constants quantized
    too."""
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=computed_in,
    )


def _one_device() -> dict[str, Any]:
    """Return the device map of a process: the whole model on its own device."""
    import torch

    return {"": int(os.environ.get("LOCAL_RANK", "0")) if torch.cuda.is_available() else "cpu"}


def _trainer_class() -> Any:
    """Return TRL's SFTTrainer; without a GPU, one with the same loss that scores only the positions it needs.

    TRL scores every position there, the prompt's too, which takes a quarter of a small model's time.
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
            # Rows are padded at the end, where causal attention does not look, so no mask is needed.
            logits = model(input_ids=inputs["input_ids"], logits_to_keep=columns, use_cache=False).logits
            chosen = asked[:, columns]
            loss = functional.cross_entropy(logits[chosen].float(), labels[:, columns][chosen], reduction="sum")
            if num_items_in_batch is None:
                return loss / asked.sum()
            # `num_items_in_batch` counts all processes, whose gradients are averaged, not summed.
            return loss * self.accelerator.num_processes / num_items_in_batch

    return SFTTrainer if torch.cuda.is_available() else CompletionTrainer


def _arguments(job: Job, *, bf16: bool, checkpointing: bool) -> Any:
    """Return TRL's settings. The rows come in training order, all epochs as one."""
    import torch
    from trl.trainer.sft_config import SFTConfig

    settings, gpu = job.settings, torch.cuda.is_available()
    together = settings.batch_size * settings.accumulation
    sharded = settings.processes > 1 and settings.sharding == "fsdp"
    return SFTConfig(
        output_dir=str(job.work),
        per_device_train_batch_size=job.micro,
        gradient_accumulation_steps=together // (job.micro * settings.processes),
        num_train_epochs=1,
        max_steps=settings.max_steps or -1,
        train_sampling_strategy="sequential",
        learning_rate=settings.lr,
        warmup_steps=settings.warmup,
        lr_scheduler_type=settings.schedule,
        weight_decay=settings.weight_decay,
        optim=_optimizer(settings.optimizer, gpu, sharded),
        max_length=None,  # longer examples are left out already, and none is cut
        completion_only_loss=True,
        pad_to_multiple_of=16 if gpu else 4,  # a larger multiple gains nothing on a CPU
        bf16=bf16,
        use_cpu=not gpu,
        **{_checkpointing(SFTConfig): gpu and checkpointing and not sharded},
        **(_fsdp(gpu) if sharded else {}),
        ddp_find_unused_parameters=False,
        dataloader_pin_memory=gpu,
        logging_steps=1,  # a stop is noticed when an entry is logged
        logging_nan_inf_filter=False,  # or a loss that is not finite would be logged as the mean of the others
        disable_tqdm=True,
        report_to="none",
        save_strategy="steps",
        save_steps=settings.checkpoint_steps,
        save_total_limit=2,  # a fallback if a kill leaves the newest incomplete
        seed=job.seed & 0x7FFFFFFF,  # also seeds NumPy, which takes at most 32 bits
    )


def _checkpointing(config: Any) -> str:
    """Return TRL's name for recomputing activations: TRL 1.16 renamed the option, and Unsloth needs older versions."""
    new = "activation_checkpointing"
    return new if new in config.__dataclass_fields__ else "gradient_checkpointing"


def _optimizer(named: str, gpu: bool, sharded: bool) -> str:
    """Return TRL's name of the optimizer. That in 8 bits cannot work on shards; the fused one needs no copies."""
    may = named == "auto" and gpu and not sharded
    if named == "adamw_8bit" or (may and importlib.util.find_spec("bitsandbytes") is not None):
        return "adamw_8bit"
    return "adamw_torch_fused" if gpu else "adamw_torch"


def _fsdp(gpu: bool) -> dict[str, Any]:
    """Return how a model is sharded: FSDP2, layer by layer."""
    config = {
        "version": 2,
        "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
        "reshard_after_forward": True,
        "state_dict_type": "SHARDED_STATE_DICT",
        "activation_checkpointing": gpu,
    }
    return {"fsdp": True, "fsdp_config": config}


def _lora(settings: FinetuneSettings) -> Any:
    from peft import LoraConfig

    return LoraConfig(
        r=settings.rank, lora_alpha=settings.alpha, use_rslora=True, lora_dropout=0.0, target_modules=TARGETS
    )


def _watch(on_log: OnLog, data: Mapping[str, object]) -> Any:
    """Return a callback that passes log entries on and seals checkpoints. It raises `DataError` if the loss is not
    finite; if `on_log` raises `Interrupted`, it stops the training after a checkpoint and keeps the exception in its
    ``interrupted``. The first process decides for all."""
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list
    from transformers import TrainerCallback

    processes = PartialState()

    class Watch(TrainerCallback):
        interrupted: Interrupted | None = None

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **more: Any) -> None:
            del args, more
            numbers = {name: float(logs[name]) for name in ("loss", "grad_norm") if name in (logs or {})}
            if not all(math.isfinite(number) for number in numbers.values()):
                raise DataError(f"finetuning diverged ({numbers}); nothing was published. Lower finetune.lr")
            if not numbers:
                return
            stop: list[Interrupted | None] = [None]
            if processes.is_main_process:
                try:
                    on_log({"step": state.global_step, "of": state.max_steps, **numbers})
                except Interrupted as request:
                    stop = [request]
            if processes.num_processes > 1:
                broadcast_object_list(stop)
            if stop[0]:
                self.interrupted = stop[0]
                control.should_save = control.should_training_stop = True

        def on_save(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            del control, more
            processes.wait_for_everyone()  # each process writes a part
            if processes.is_main_process:
                seal(Path(args.output_dir) / f"checkpoint-{state.global_step}", data)

    return Watch()


@contextmanager
def _all_threads(processes: int) -> Iterator[None]:
    """Compute on this process's share of all cores inside the block, unless the environment sets the threads."""
    import torch

    before = torch.get_num_threads()
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, available_cores() // processes))
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _quiet() -> Iterator[None]:
    """Inside the block, keep the libraries' progress bars and their warnings to each other off the terminal, and keep
    them off the network."""
    import datasets

    shown = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        with quiet(), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        if shown:
            datasets.enable_progress_bars()


if __name__ == "__main__":
    sys.exit(take_part(train, out_of_memory))
