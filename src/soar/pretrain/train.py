"""Trains a small model from scratch on a corpus, for a given time or number of steps, on CPU or CUDA.

Command: ``python -m soar.pretrain.train arc --corpus DIR --out DIR --minutes N`` (or ``sequences``); run the same
command again to resume from the last checkpoint. It writes ``OUT/model``, a folder that transformers and the embedded
backend load, and the log ``OUT/log.jsonl``. New shards are used as they appear; none is used
twice before all are used once."""

import argparse
import ctypes
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from soar.errors import DataError
from soar.learning.trainers.precision import attend_in_float32, has_fast_bf16
from soar.pretrain.batches import Batch, Source, batches, encode_ahead, held_out_batches
from soar.pretrain.encode import PROGRAM, read_lines, shard_paths
from soar.pretrain.model import grown_model, new_model
from soar.pretrain.muon import Muon
from soar.pretrain.recipe import RECIPES, Recipe, open_recipe

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

log = logging.getLogger(__name__)

TOKENIZER_SHARDS = 8
"""How many of the shards that exist at the start the tokenizer is learnt from."""


@dataclass(frozen=True)
class Settings:
    """How to train. Training ends after `minutes` or `steps`; over its last share, `decay`, the learning rate falls to
    0. `muon_lr` 0 leaves the matrices to AdamW. `begin` is the folder of a model whose weights, and so whose width,
    training starts from; layers that it lacks are added. If `encoders` is more than 1, that many processes first turn
    the existing corpus into tokens: one process keeps up with training on a CPU, but not on a GPU."""

    corpus: Path
    out: Path
    begin: Path | None = None
    minutes: float | None = 60.0
    steps: int | None = None
    seed: int = 0
    lr: float = 2e-3
    muon_lr: float = 0.0
    warmup: int = 100
    decay: float = 0.4
    weight_decay: float = 0.05
    batch_tokens: int = 5120
    longest: int = 640
    held_out: int = 500
    checkpoint_minutes: float = 2.0
    device: str = "cpu"
    threads: int = 1
    encoders: int = 1
    width: int = 128
    layers: int = 6
    head_size: int = 32
    mlp: int = 320


@dataclass(frozen=True)
class Progress:
    """How far training has got: what resuming needs besides the weights and the optimizers' state.

    `seconds` is the training time, with making batches, without measuring and saving. `shards` are those started so
    far; of the last one, `batches` are done.
    """

    step: int = 0
    seconds: float = 0.0
    tokens: int = 0
    shards: tuple[str, ...] = ()
    batches: int = 0


def train(settings: Settings, recipe: Recipe) -> None:
    """Train, or resume, until the time or the steps are over; the log's last line holds the last measurement."""
    if settings.device == "cpu":
        torch.set_num_threads(settings.threads)
        keep_freed_memory()
    settings.out.mkdir(parents=True, exist_ok=True)
    tokenizer = open_tokenizer(settings, recipe)
    torch.manual_seed(settings.seed)
    model: Any = first_model(tokenizer, settings, recipe)
    model.to(settings.device)
    if settings.device == "cpu":
        attend_in_float32(model)
    optimizers = new_optimizers(model, settings)
    progress = load_checkpoint(settings.out, model, optimizers)
    source = Source(
        settings.corpus,
        settings.out / "encoded",
        tokenizer,
        recipe,
        settings.seed,
        settings.batch_tokens,
        settings.longest,
        settings.held_out,
    )
    if settings.encoders > 1:
        encode_ahead(source, settings.encoders)
    held_out = held_out_batches(source)
    saved = begun = time.monotonic()
    losses: list[float] = []
    for shards, done, batch in batches(source, progress.shards, progress.batches):
        fraction = done_fraction(settings, progress)
        if fraction >= 1:
            break
        losses = [*losses[-49:], update(model, optimizers, batch, rate(settings, progress.step, fraction))]
        seconds, tokens = progress.seconds + time.monotonic() - begun, progress.tokens + batch.tokens
        progress = Progress(progress.step + 1, seconds, tokens, shards, done)
        if progress.step % 50 == 0:
            note(settings, progress, loss=float(np.mean(losses)))
        if time.monotonic() - saved > 60 * settings.checkpoint_minutes:
            save(settings, tokenizer, model, optimizers, progress)
            note(settings, progress, held_out=evaluate(model, held_out))
            saved = time.monotonic()
        begun = time.monotonic()
    save(settings, tokenizer, model, optimizers, progress)
    note(settings, progress, held_out=evaluate(model, held_out))


def keep_freed_memory() -> None:
    """Ask glibc to keep freed memory: returning large blocks and faulting them in again costs more than the
    arithmetic on them."""
    try:
        libc = ctypes.CDLL(None)
        # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_TOP_PAD
        for option, value in ((-3, 1 << 25), (-1, (1 << 31) - 1), (-2, 1 << 26)):
            libc.mallopt(option, value)
    except (OSError, AttributeError):
        log.debug("the C library has no mallopt: freed memory is not kept")


def open_tokenizer(settings: Settings, recipe: Recipe) -> "PreTrainedTokenizerBase":
    """Return the tokenizer of an earlier session, else one learnt from the first shards' programs."""
    from transformers import AutoTokenizer

    folder = settings.out / "tokenizer"
    if not folder.exists():
        first = shard_paths(settings.corpus)[:TOKENIZER_SHARDS]
        bodies = [recipe.texts(line)[1] for path in first for line in read_lines(path)]
        recipe.tokenizer(bodies).save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder, local_files_only=True)


def first_model(tokenizer: "PreTrainedTokenizerBase", settings: Settings, recipe: Recipe) -> Any:
    """Return the model that training starts from."""
    if settings.begin is not None:
        return grown_model(settings.begin, tokenizer, settings.layers)
    shape = {name: getattr(settings, name) for name in ("width", "layers", "head_size", "mlp")}
    return new_model(tokenizer, recipe, **shape)


def new_optimizers(model: Any, settings: Settings) -> list[torch.optim.Optimizer]:
    """Return AdamW for embeddings and norms (norms without decay), and Muon, or AdamW, for the layers' matrices."""
    named = dict(model.named_parameters())
    matrices = [p for name, p in named.items() if p.dim() == 2 and "layers" in name]
    embeddings = [p for name, p in named.items() if p.dim() == 2 and "layers" not in name]
    norms = [p for p in named.values() if p.dim() == 1]
    decay = settings.weight_decay
    groups = [{"params": embeddings, "weight_decay": decay}, {"params": norms, "weight_decay": 0.0}]
    if settings.muon_lr == 0:
        groups.append({"params": matrices, "weight_decay": decay})
    adamw = torch.optim.AdamW(groups, lr=settings.lr, betas=(0.9, 0.98), fused=True)
    for group in adamw.param_groups:
        group["peak"] = settings.lr
    if settings.muon_lr == 0:
        return [adamw]
    muon = Muon(matrices, lr=settings.muon_lr, weight_decay=decay)
    muon.param_groups[0]["peak"] = settings.muon_lr
    return [adamw, muon]


def done_fraction(settings: Settings, progress: Progress) -> float:
    """Return the share of the training that is done, by steps if they are given, else by time."""
    if settings.steps is not None:
        return progress.step / settings.steps
    return progress.seconds / (60 * (settings.minutes or 60.0))


def rate(settings: Settings, step: int, fraction: float) -> float:
    """Return the share of the highest learning rate: linear up, level, linear down to 0 over the last stretch.

    While it is level, training can be extended, or a copy of it ended early.
    """
    return min(1.0, (step + 1) / settings.warmup, (1 - fraction) / settings.decay)


def update(model: Any, optimizers: Sequence[torch.optim.Optimizer], batch: Batch, share: float) -> float:
    """Take one step at a share of each group's highest rate and return the loss per program token, in nats."""
    total, program = losses_of(model, batch)
    model.zero_grad(set_to_none=True)
    total.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    if not torch.isfinite(norm):
        raise DataError("the gradient is not finite: lower --lr, or look for a damaged shard")
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = share * group["peak"]
        optimizer.step()
    return float(program)


def losses_of(model: Any, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the weighted mean loss and the mean over program tokens. Rows are padded at the end, so causal attention
    needs no mask; logits are computed only where a token counts, found on the CPU so that a GPU need not wait."""
    device = model.device
    places = batch.weights[:, 1:].flatten().nonzero().squeeze(1)
    weights = batch.weights[:, 1:].flatten()[places].to(device)
    targets = batch.ids[:, 1:].flatten()[places].to(device)
    with torch.autocast(device.type, torch.bfloat16, enabled=has_fast_bf16(device.type)):
        hidden = model.model(input_ids=batch.ids[:, :-1].to(device), use_cache=False).last_hidden_state
        scores = model.lm_head(hidden.flatten(0, 1)[places.to(device)]).float()
    losses = functional.cross_entropy(scores, targets, reduction="none")
    of_program = (weights == PROGRAM).float()
    program = (losses.detach() * of_program).sum() / of_program.sum()
    return (losses * weights).sum() / weights.sum(), program


@torch.no_grad()
def evaluate(model: Any, held_out: Sequence[Batch]) -> float:
    """Return the mean loss per program token over the held-out rows, in nats."""
    return float(np.mean([float(losses_of(model, batch)[1]) for batch in held_out]))


def save(
    settings: Settings,
    tokenizer: "PreTrainedTokenizerBase",
    model: Any,
    optimizers: Sequence[torch.optim.Optimizer],
    progress: Progress,
) -> None:
    """Write the checkpoint, whole or not at all, and the model as a folder that others can load."""
    state = {
        "model": model.state_dict(),
        "optimizers": [o.state_dict() for o in optimizers],
        "progress": asdict(progress),
    }
    aside = settings.out / "checkpoint.part"
    torch.save(state, aside)
    aside.rename(settings.out / "checkpoint.pt")
    model.save_pretrained(settings.out / "model")
    tokenizer.save_pretrained(settings.out / "model")


def load_checkpoint(out: Path, model: Any, optimizers: Sequence[torch.optim.Optimizer]) -> Progress:
    """Restore weights and optimizers from the last checkpoint and return its progress; a fresh start if there is
    none."""
    path = out / "checkpoint.pt"
    if not path.exists():
        return Progress()
    state = torch.load(path, map_location=model.device, weights_only=True)
    model.load_state_dict(state["model"])
    for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    return Progress(**{**state["progress"], "shards": tuple(state["progress"]["shards"])})


def note(settings: Settings, progress: Progress, **measured: float) -> None:
    """Append a line to the log."""
    line = {
        "step": progress.step,
        "seconds": round(progress.seconds, 1),
        "tokens": progress.tokens,
        "shards": len(progress.shards),
        **{name: round(value, 4) for name, value in measured.items()},
    }
    with (settings.out / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("domain", choices=RECIPES)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=60.0)
    length.add_argument("--steps", type=int)
    for name in (
        "seed",
        "warmup",
        "batch_tokens",
        "longest",
        "held_out",
        "threads",
        "encoders",
        "width",
        "layers",
        "head_size",
        "mlp",
    ):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=getattr(Settings, name))
    for name in ("lr", "muon_lr", "decay", "weight_decay", "checkpoint_minutes"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=getattr(Settings, name))
    parser.add_argument("--begin", type=Path, help="folder of a model to start from; its width is kept")
    parser.add_argument("--device", default="cpu")
    options = vars(parser.parse_args())
    train(recipe=open_recipe(options.pop("domain")), settings=Settings(**options))


if __name__ == "__main__":
    main()
