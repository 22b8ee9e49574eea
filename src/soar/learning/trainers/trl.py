"""Finetuning with TRL, begun, listened to and begun again with less at once where memory ran out.

Knows jobs and checkpoints; how a job is done is `soar.learning.trainers.training`'s, in a process of its own.
"""

import json
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
    """Finetunes with TRL: LoRA as in the paper, the same over 4 bits, or all weights."""

    Settings = FinetuneSettings
    module = TRAINING
    """The main module of the process that does a job."""

    def __init__(self, settings: FinetuneSettings) -> None:
        self.settings = settings
        self.python = sys.executable
        self._check(settings)

    def _check(self, settings: FinetuneSettings) -> None:
        """Refuse what this trainer cannot do, before anything is paid for."""
        require('finetune.trainer = "trl"', "train", "torch", "transformers", "trl", "peft", "datasets", "accelerate")
        if settings.method == "qlora" or settings.optimizer == "adamw_8bit":
            require('finetune.method = "qlora" or finetune.optimizer = "adamw_8bit"', "qlora", "bitsandbytes")
        if settings.batch_size * settings.accumulation % settings.processes:
            raise ConfigError(
                f"finetune.batch_size x finetune.accumulation = {settings.batch_size * settings.accumulation} examples"
                f" cannot be shared out among finetune.processes = {settings.processes}: make it a multiple"
            )

    def finetune(self, rows: Path, base: Path, out: Path, seed: int, on_log: OnLog) -> None:
        """Finetune the model in `base` on the rows and publish a folder that loads like it in `out`.

        Interrupted or killed, it goes on from the newest checkpoint that is whole, with the same result. Out of memory,
        fewer examples go through the model at once, and as many as before make a step. Raises `DataError` when no row
        fits `max_length`, the loss stops being finite, or not even one example at once fits the memory.
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
                on_log({"out of memory, examples at once from now on": job.micro})
        shutil.rmtree(job.work, ignore_errors=True)


def new_job(rows: Path, base: Path, out: Path, seed: int, settings: FinetuneSettings) -> Job:
    """Return the job of one finetuning, with as many examples at once as an earlier session found to fit."""
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
    """Return what a process of a job takes by formula, GiB; nothing where the model's files do not say its size."""
    import torch

    gpu, settings = torch.cuda.is_available(), job.settings
    bf16 = settings.dtype == "bfloat16" and has_fast_bf16("cuda" if gpu else "cpu")
    try:
        shape = read_shape(job.base)
    except DataError:
        return {}
    how: dict[str, Any] = {"rank": settings.rank, "batch_size": job.micro, "length": settings.max_length}
    memory = estimate(shape, method=settings.method, bf16=bf16, checkpointing=gpu, **how)
    # Digits, not places: a small model's is less than a thousandth, and nothing is not "at most".
    return {"GiB of memory by formula, at most": float(f"{memory.total / 2**30:.3g}")}


def smaller(job: Job) -> int:
    """Return how many examples to take at once where as many as in `job` did not fit; `DataError` if it was one."""
    if job.micro == 1:
        raise DataError(
            f"finetuning runs out of memory with one example of up to finetune.max_length = {job.settings.max_length}"
            ' tokens at once: lower it, take finetune.method = "qlora", or share the model out among more GPUs'
            ' (finetune.processes, finetune.sharding = "fsdp")'
        )
    share = job.settings.batch_size * job.settings.accumulation // job.settings.processes
    return _divisor(share, job.micro // 2)


def _divisor(number: int, most: int) -> int:
    """Return the largest divisor of a number that is at most `most`."""
    return next(each for each in range(min(most, number), 0, -1) if number % each == 0)


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
