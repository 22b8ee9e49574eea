"""What matters in the embedded model: short trainings that differ from the shipped recipe in one thing each.

``python -m experiments.ablation --corpus CORPUS --minutes 10`` trains each variant for as long, measures the loss on
exercises that were never learnt from and what samples solve of the 100 training tasks that the corpus left out, and
appends a line to ``experiments/results/ablation.jsonl``. Variants that have their line are skipped, one that was
interrupted goes on. ``--device cuda --batch-tokens 32768`` trains on a GPU; ``--report`` only prints. Time is what a
variant has: keep the machine free of other work; "again" is the recipe once more with another seed, and says how much a
difference has to be.

Knows variants; how a model is trained, or asked, is not its business.
"""

import argparse
import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from experiments.embedded import sample
from experiments.solved import BUDGETS, RESULTS, chances, counts, read_rows
from experiments.solved import measure as solve_all
from soar.domains.arc.compact import Compact
from soar.domains.arc.domain import Arc
from soar.domains.arc.grid_text import grid_lexemes
from soar.domains.arc.grids import Grid
from soar.lm.embedded.engine import Embedded
from soar.pretrain.arc.recipe import recipe
from soar.pretrain.arc.scenes import held_out
from soar.pretrain.encode import shard_paths
from soar.pretrain.train import Settings, train
from soar.protocols import Detail
from soar.types import Example, Task

SAMPLES = 64

DRAWING = {"drawing": "distinct"}
"""How programs are drawn, as rows say it: the first k of them count, as in ``experiments/embedded.py``."""
FEW_SHARDS = 4


class Plain(Compact):
    """Outputs as they are, not relative to inputs."""

    def _output(self, example: Example) -> list[str]:
        return grid_lexemes(cast(Grid, example.output))


class Pairs(Compact):
    """At most two pairs, the smallest."""

    def details(self, task: Task) -> Sequence[Detail]:
        few = [detail for detail in super().details(task) if (detail.pairs or len(task.train)) <= 2]
        return few if len(task.train) <= 2 else [Detail(pairs=2), *few]


class Short(Compact):
    """Half as long a task, so fewer pairs of large grids."""

    max_task_lexemes = 240


@dataclass(frozen=True)
class Variant:
    """One difference from the recipe: settings of the training, the rendering, how many shards there are."""

    settings: dict[str, Any] = field(default_factory=dict)
    rendering: Compact = field(default_factory=Compact)
    shards: int | None = None


VARIANTS = {
    "recipe": Variant(),
    "again": Variant({"seed": 1}),
    "narrow: width 96, gates 240": Variant({"width": 96, "mlp": 240}),
    "wide: width 192, gates 512": Variant({"width": 192, "mlp": 512}),
    "flat: 4 layers": Variant({"layers": 4}),
    "deep: 8 layers": Variant({"layers": 8}),
    "heads of 64": Variant({"head_size": 64}),
    "two pairs": Variant(rendering=Pairs()),
    "short: tasks of 240 lexemes": Variant(rendering=Short()),
    "plain outputs": Variant(rendering=Plain()),
    f"few data: {FEW_SHARDS} shards": Variant(shards=FEW_SHARDS),
    "AdamW alone": Variant({"muon_lr": 0.0}),
}


def corpus_of(corpus: Path, shards: int | None, folder: Path) -> Path:
    """Return a folder with the first `shards` of a corpus, or the corpus itself."""
    if shards is None:
        return corpus
    folder.mkdir(parents=True, exist_ok=True)
    for path in shard_paths(corpus)[:shards]:
        if not (folder / path.name).exists():
            (folder / path.name).symlink_to(path.resolve())
    return folder


def solved(weights: Path, rendering: Compact, rows: Path) -> dict[str, float]:
    """Return how many of the tasks left out are expected to be solved by some numbers of samples; `rows` keeps the
    tasks that are done."""
    every = Arc().load("arc1-training")
    left_out = held_out(every)
    tasks = [task for task in every if task.id in left_out]

    async def run() -> None:
        lm = Embedded(weights)

        async def make(task: Task, first: int, stop: int) -> list[str | None]:
            return await sample(task, stop, 0, lm, first, rendering=rendering)

        await solve_all(rows, DRAWING, tasks, SAMPLES, make, None)
        await lm.close()

    asyncio.run(run())
    found = counts(read_rows(rows), DRAWING)
    return {f"solved at {k}": round(float(chances(found, k).sum()), 1) for k in BUDGETS if k <= SAMPLES}


def measure(name: str, variant: Variant, base: Settings) -> dict[str, Any]:
    """Train a variant, or go on with it, and return its line."""
    out = base.out / name.partition(":")[0].replace(" ", "-")
    corpus = corpus_of(base.corpus, variant.shards, out / "corpus")
    if not is_over(out, base.minutes or 0.0):
        train(replace(base, corpus=corpus, out=out, **variant.settings), recipe(variant.rendering))
    counted = {key: last_line(out)[key] for key in ("step", "tokens", "held_out")}
    scores = solved(out / "model", variant.rendering, out / "solved.jsonl")
    return {"variant": name, "minutes": base.minutes, "on": base.device, "threads": base.threads, **counted, **scores}


def is_over(out: Path, minutes: float) -> bool:
    """Return whether a variant has been trained to its end, here or on another machine."""
    return (out / "log.jsonl").exists() and "held_out" in (last := last_line(out)) and last["seconds"] >= 60 * minutes


def last_line(out: Path) -> dict[str, Any]:
    """Return the last line of a training's log."""
    return json.loads((out / "log.jsonl").read_text().splitlines()[-1])


def of_length(rows: Sequence[dict[str, Any]], minutes: float, device: str) -> dict[str, dict[str, Any]]:
    """Return the lines of the trainings of one length on one kind of device, by variant."""
    return {row["variant"]: row for row in rows if (row["minutes"], row["on"]) == (minutes, device)}


def show(rows: Sequence[dict[str, Any]], minutes: float, device: str) -> None:
    """Print the table of the trainings of one length."""
    done = of_length(rows, minutes, device)
    print(f"{minutes:g} minutes each ({device}); tasks solved of 100 left out of the corpus, at 1, 8, 64 samples")
    print(f"{'variant':30}{'M tokens':>10}{'nats/token':>12}{'at 1':>8}{'at 8':>8}{'at 64':>8}")
    for name in VARIANTS:
        if row := done.get(name):
            scores = "".join(f"{row[f'solved at {k}']:8.1f}" for k in BUDGETS if k <= SAMPLES)
            print(f"{name:30}{row['tokens'] / 1e6:10.2f}{row['held_out']:12.3f}{scores}")
        else:
            print(f"{name:30}   missing")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long each variant is trained")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch-tokens", type=int, default=Settings.batch_tokens)
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), help="by the first word of their names")
    parser.add_argument("--runs", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--out", type=Path, default=RESULTS / "ablation.jsonl")
    parser.add_argument("--report", action="store_true", help="only report what is there")
    options = parser.parse_args()
    if not options.report:
        if options.corpus is None:
            parser.error("--corpus is missing: make one by python -m soar.pretrain.arc.generate")
        base = Settings(
            options.corpus,
            options.runs / f"{options.device}-{options.minutes:g}",
            minutes=options.minutes,
            muon_lr=4e-3,
            threads=options.threads,
            device=options.device,
            batch_tokens=options.batch_tokens,
        )
        done = of_length(read_rows(options.out), options.minutes, options.device)
        for name, variant in VARIANTS.items():
            if name not in done and (name in options.variants or name.split()[0].rstrip(":") in options.variants):
                row = measure(name, variant, base)
                with options.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
    show(read_rows(options.out), options.minutes, options.device)


if __name__ == "__main__":
    main()
