"""What a 7B model costs on one GPU: finetuning and sampling, against plain TRL and transformers' ``generate``.

``make bench-gpu``. The model has the shape of Qwen2.5-7B (``--shape 1.5b``: of Qwen2.5-1.5B) and random weights, so
nothing is fetched: speed and memory do not depend on what weights say, except that a trained model is surer of its
next token (`SPREAD`). Finetuning: tokens per second, model FLOPs utilisation (6 × weights × tokens, plus attention,
over what the GPU can do in bfloat16) and the most memory, at the paper's rank of 256, ours and plain TRL's with the
same numbers, and what our formula says beforehand. Sampling: one decoding step, then `benchmarks.sampling` at n = 50.
Without a GPU it measures nothing, unless ``--shape tiny`` tries it on a CPU.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from benchmarks import sampling
from soar.files import MANIFEST
from soar.learning.trainers.settings import FinetuneSettings
from soar.learning.trainers.trl import Trl
from soar.lm.transformers.load import load
from soar.lm.transformers.shared import SharedPrefix

SHAPES = {
    "7b": {
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "vocab_size": 152064,
        "max_position_embeddings": 32768,
    },
    "1.5b": {
        "hidden_size": 1536,
        "intermediate_size": 8960,
        "num_hidden_layers": 28,
        "num_attention_heads": 12,
        "num_key_value_heads": 2,
        "vocab_size": 151936,
        "max_position_embeddings": 32768,
    },
    "tiny": {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 512,
        "max_position_embeddings": 4096,
    },
}
PEAK = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12, "RTX 4090": 165e12}
"""What GPUs can do in bfloat16 without sparsity, FLOP/s, from their data sheets."""

SPREAD = 8.0
"""The standard deviation of the logits. Untrained weights give 0.8, by which ten thousands of tokens are nearly as
probable as the best; a trained model has a few, and drawing costs what the number of such tokens makes it cost."""


def save_model(folder: Path, shape: dict[str, int]) -> None:
    """Write a Qwen2 of random weights in bfloat16, and a tokenizer of bytes."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    letters = ["<eos>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.BPE({token: number for number, token in enumerate(letters)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>", pad_token="<eos>").save_pretrained(folder)
    torch.manual_seed(0)
    settings: dict[str, Any] = {"tie_word_embeddings": False, "eos_token_id": 0, "bos_token_id": None, **shape}
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model: Any = Qwen2ForCausalLM(Qwen2Config(**settings, dtype="bfloat16"))
    with torch.no_grad():
        model.lm_head.weight.mul_(SPREAD / (model.config.initializer_range * shape["hidden_size"] ** 0.5))
    model.bfloat16().save_pretrained(folder)


def write_rows(path: Path, count: int, length: int) -> None:
    """Write examples whose prompts and completions are two thirds and one third of so many tokens."""
    rows = [
        {"prompt": f"{n:04d}" + "a" * (2 * length // 3 - 4), "completion": "b" * (length // 3)} for n in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def finetuned(folder: Path, rows: Path, settings: FinetuneSettings, out: Path) -> list[float]:
    """Finetune with ours and return when each step was done, seconds."""
    times: list[float] = []

    def on_log(entry: Mapping[str, object]) -> None:
        if "step" in entry:
            times.append(time.monotonic())
        else:
            print(f"finetuning, ours: {entry}", flush=True)

    Trl(settings).finetune(rows, folder, out, 0, on_log)
    return times


def plain_trl(folder: Path, rows: Path, settings: FinetuneSettings, out: Path) -> list[float]:
    """Finetune as TRL's manual says, with the same numbers, and return when each step was done."""
    from datasets import load_dataset
    from peft import LoraConfig
    from transformers import TrainerCallback
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    times: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *_: Any, **more: Any) -> None:
            del more
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            times.append(time.monotonic())

    gpu = torch.cuda.is_available()
    trainer = SFTTrainer(
        model=str(folder),
        args=SFTConfig(
            output_dir=str(out),
            per_device_train_batch_size=settings.batch_size,
            gradient_accumulation_steps=settings.accumulation,
            max_steps=settings.max_steps or -1,
            learning_rate=settings.lr,
            max_length=settings.max_length,
            bf16=gpu,
            use_cpu=not gpu,
            gradient_checkpointing=gpu,
            model_init_kwargs={"dtype": "bfloat16"},
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=load_dataset("json", data_files=str(rows), split="train"),
        peft_config=LoraConfig(
            r=settings.rank, lora_alpha=settings.alpha, use_rslora=True, target_modules="all-linear"
        ),
        callbacks=[Clock()],
    )
    trainer.train()
    return times


def flops_per_token(shape: dict[str, int], length: int) -> float:
    """Return the FLOPs of learning from one token: 6 per weight of a matrix, and attention's own; LoRA computes no
    gradient of the base's weights, 4 instead of 6, which is not counted in its favour."""
    hidden, kv = (
        shape["hidden_size"],
        shape["hidden_size"] // shape["num_attention_heads"] * shape["num_key_value_heads"],
    )
    layer = 2 * hidden * hidden + 2 * hidden * kv + 3 * hidden * shape["intermediate_size"]
    weights = shape["num_hidden_layers"] * layer + hidden * shape["vocab_size"]
    return 6.0 * weights + 6.0 * shape["num_hidden_layers"] * hidden * length


def say(name: str, times: list[float], tokens: int, shape: dict[str, int], length: int) -> None:
    """Print how fast a finetuning was, the first step left out."""
    rate = tokens * (len(times) - 1) / (times[-1] - times[0])
    kind = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    peak = next((value for known, value in PEAK.items() if known in kind), None)
    used = f"{rate * flops_per_token(shape, length) / peak:.0%} MFU" if peak else "MFU unknown"
    print(f"finetuning, {name}: {rate:.0f} tokens/s, {used} ({kind})", flush=True)


def compare_finetuning(folder: Path, shape: dict[str, int], options: argparse.Namespace) -> None:
    """Finetune the model in `folder` in both ways, and print how fast each was and the most memory it took."""
    rows = folder / "rows.jsonl"
    write_rows(rows, options.steps * options.accumulation, options.length)
    settings = FinetuneSettings(
        rank=options.rank,
        batch_size=1,
        accumulation=options.accumulation,
        epochs=1.0,
        max_length=options.length + 8,
        max_steps=options.steps,
    )
    ways: dict[str, Callable[..., list[float]]] = {"ours": finetuned, "plain TRL": plain_trl}
    for name, way in ways.items():
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()  # of this process, where plain TRL trains
        times = way(folder / "model", rows, settings, folder / name.replace(" ", "-"))
        say(name, times, options.accumulation * options.length, shape, options.length)
    ours = json.loads((folder / "ours" / MANIFEST).read_text())["most_gpu_bytes"]
    theirs = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None
    for name, used in (("ours", ours), ("plain TRL", theirs)):
        print(f"most memory, {name}: {f'{used / 2**30:.1f} GiB' if used else 'not measured'}", flush=True)


@torch.inference_mode()
def time_steps(folder: Path, rounds: int = 20) -> None:
    """Print how long a decoding step of few and many samples of one prompt takes, without drawing tokens."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = SharedPrefix(load(folder, device, "bfloat16"), kept_tokens=0)
    prefix = model.read((*range(5, 200),) * 4)
    for samples in (8, 50, 200):
        group, times = model.begin(prefix, samples), []
        for _ in range(rounds):
            begun = time.perf_counter()
            model.step([group], [7] * samples).argmax().item()  # waits for the GPU
            times.append(time.perf_counter() - begun)
        print(f"step of {samples} samples: {statistics.median(times) * 1000:.1f} ms", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Finetuning and sampling with a 7B-shaped model on a GPU.")
    parser.add_argument("--shape", choices=SHAPES, default="7b")
    parser.add_argument("--length", type=int, default=4096, help="tokens of an example")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--accumulation", type=int, default=8, help="examples of a step")
    parser.add_argument("--rank", type=int, default=256)
    parser.add_argument("--only", choices=["finetuning", "steps", "sampling"], help="leave the others out")
    options = parser.parse_args()
    if not torch.cuda.is_available() and options.shape != "tiny":
        sys.exit("bench-gpu needs a GPU, and torch finds none here: nothing was measured")
    shape = SHAPES[options.shape]
    with tempfile.TemporaryDirectory() as folder:
        save_model(Path(folder, "model"), shape)
        if options.only in (None, "finetuning"):
            compare_finetuning(Path(folder), shape, options)
        if options.only in (None, "steps"):
            time_steps(Path(folder, "model"))
        if options.only in (None, "sampling"):
            model, out = str(Path(folder, "model")), str(Path(folder, "sampling.jsonl"))
            sampling.main(["--model", model, "--samples", "50", "--rounds", "2", "--out", out])


if __name__ == "__main__":
    main()
