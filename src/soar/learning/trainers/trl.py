"""Finetuning with TRL: starts a job, follows it, and starts it again with a smaller micro-batch if memory runs out.

Knows jobs and checkpoints; `soar.learning.trainers.training` does the job, in a process of its own.
"""

import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from soar.errors import ConfigError, DataError, StoreError
from soar.files import is_published, sha256
from soar.learning.trainers.memory import estimate, read_shape
from soar.learning.trainers.precision import has_fast_bf16
from soar.learning.trainers.process import JOB, Job, OutOfMemory, run
from soar.learning.trainers.settings import FinetuneSettings
from soar.protocols import OnLog
from soar.settings import require

TRAINING = "soar.learning.trainers.training"


class Trl:
    """Finetunes with TRL: LoRA as in the paper, LoRA over a base in 4 bits, or all weights."""

    Settings = FinetuneSettings
    module = TRAINING
    """The main module of a job's processes."""

    def __init__(self, settings: FinetuneSettings) -> None:
        self.settings = settings
        self.python = sys.executable
        self._check(settings)

    def _check(self, settings: FinetuneSettings) -> None:
        """Refuse what this trainer cannot do, before the search spends anything."""
        require('finetune.trainer = "trl"', "train", "torch", "transformers", "trl", "peft", "datasets", "accelerate")
        if settings.method == "qlora" or settings.optimizer == "adamw_8bit":
            require('finetune.method = "qlora" or finetune.optimizer = "adamw_8bit"', "qlora", "bitsandbytes")
        _check_gpus(settings)
        if settings.batch_size * settings.accumulation % settings.processes:
            raise ConfigError(
                f"finetune.batch_size x finetune.accumulation = {settings.batch_size * settings.accumulation} examples"
                f" cannot be divided among finetune.processes = {settings.processes}: make it a multiple"
            )

    def finetune(self, rows: Path, base: Path, out: Path, seed: int, on_log: OnLog) -> None:
        """Finetune the model in `base` on the rows and publish a folder that loads like it in `out`.

        After an interruption or a kill it resumes from the newest whole checkpoint, with the same result. Out of
        memory, it takes fewer examples at once; a step still has as many. Raises `DataError` if no row fits
        `max_length`, the loss stops being finite, or not even one example at once fits in memory.
        """
        job = new_job(rows, base, out, seed, self.settings)
        on_log(expected_memory(job))
        while True:
            job = replace(job, resume=newest_checkpoint(job.work, job.data))
            try:
                run(job, on_log, self.module, self.python)
                break
            except OutOfMemory:
                job = replace(job, micro=smaller(job))
                on_log({"out of memory, micro-batch reduced to": job.micro})
        shutil.rmtree(job.work, ignore_errors=True)


def _check_gpus(settings: FinetuneSettings) -> None:
    """Refuse more processes than GPUs, what cannot be sharded, and GPUs without the compiler that their kernels need;
    `ConfigError`. Loads torch only where it has to."""
    sharded = settings.processes > 1 and settings.sharding == "fsdp"
    if sharded and (settings.method == "qlora" or settings.optimizer == "adamw_8bit"):
        named = 'method = "qlora"' if settings.method == "qlora" else 'optimizer = "adamw_8bit"'
        raise ConfigError(
            f'finetune.{named} cannot be sharded: bitsandbytes takes whole weights; set finetune.sharding = "ddp", or'
            ' finetune.method = "lora" and finetune.optimizer = "adamw"'
        )
    compiler = os.environ.get("CC") or next(filter(shutil.which, ("cc", "gcc", "clang")), None)
    if settings.processes == 1 and compiler:
        return
    import torch

    gpus = torch.cuda.device_count()
    if 0 < gpus < settings.processes:
        raise ConfigError(f"finetune.processes = {settings.processes}, but this machine has {gpus} GPUs: one each")
    if gpus and not compiler:
        raise ConfigError(
            "finetuning on a GPU needs a C compiler, with which Triton builds its kernels, and found none: install gcc"
            " (apt install gcc), or name one in CC"
        )


def new_job(rows: Path, base: Path, out: Path, seed: int, settings: FinetuneSettings) -> Job:
    """Return the job of one finetuning, with the micro-batch that fitted in an earlier session."""
    kept = settings.model_dump(mode="json", exclude={"keep", "python"})
    data = {"data_sha256": sha256(rows), "settings": kept, "seed": seed}
    share = settings.batch_size * settings.accumulation // settings.processes
    job = Job(rows, base, out, seed, settings, micro=_divisor(share, settings.batch_size), data=data)
    try:
        before = json.loads((job.work / JOB).read_text(encoding="utf-8"))
        return replace(job, micro=int(before["micro"])) if before["data"] == data else job
    except (OSError, ValueError, KeyError, TypeError):
        return job


def expected_memory(job: Job) -> dict[str, float]:
    """Return the estimated GiB of a job's process; nothing if the model's files do not give its size."""
    import torch

    gpu, settings = torch.cuda.is_available(), job.settings
    bf16 = settings.dtype == "bfloat16" and has_fast_bf16("cuda" if gpu else "cpu")
    try:
        shape = read_shape(job.base)
    except DataError:
        return {}
    how: dict[str, Any] = {"rank": settings.rank, "batch_size": job.micro, "length": settings.max_length}
    memory = estimate(shape, method=settings.method, bf16=bf16, gpu=gpu, **how)
    # Significant digits, not decimal places: a small model may need less than a thousandth, and 0 is not "at most".
    return {"estimated GiB of memory, at most": float(f"{memory.total / 2**30:.3g}")}


def smaller(job: Job) -> int:
    """Return a smaller micro-batch than that of `job`, which did not fit; `DataError` if that was 1."""
    if job.micro == 1:
        raise DataError(
            f"finetuning runs out of memory with one example of up to finetune.max_length = {job.settings.max_length}"
            ' tokens at once: lower it, set finetune.method = "qlora", or shard the model over more GPUs'
            ' (finetune.processes, finetune.sharding = "fsdp")'
        )
    share = job.settings.batch_size * job.settings.accumulation // job.settings.processes
    return _divisor(share, job.micro // 2)


def _divisor(number: int, most: int) -> int:
    """Return the largest divisor of a number that is at most `most`."""
    return next(each for each in range(min(most, number), 0, -1) if number % each == 0)


def newest_checkpoint(work: Path, data: Mapping[str, object]) -> str | None:
    """Return the newest whole checkpoint that comes from this data, None if there is none.

    Any newer one is removed: the trainer itself would silently resume from a damaged one.
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
