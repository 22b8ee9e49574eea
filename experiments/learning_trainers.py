"""Trainers of the learning experiment's controls, for `finetune.trainer`: one that learns nothing, one that learns from
the corpus alone. Neither knows of the experiment.
"""

import asyncio
import json
import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from experiments.learning_cells import corpus_path
from soar.domains.arc.compact import Compact
from soar.domains.arc.domain import Arc
from soar.execution import open_sandbox
from soar.files import publish
from soar.learning.examples import Row, write_examples
from soar.learning.trainers.scripted import Scripted
from soar.learning.trainers.trl import Trl
from soar.pretrain.arc.generate import CPU_SECONDS, make_shard
from soar.pretrain.arc.leaks import real_pairs
from soar.pretrain.arc.recipe import texts
from soar.pretrain.arc.scenes import sources
from soar.protocols import OnLog

SHARD = 256
"""Exercises made between two reports, at which the training may be stopped."""


class Unchanged(Scripted):
    """Publishes the base model as it is: the search that follows is one more search by θ0."""

    def finetune(self, rows: Path, base: Path, out: Path, seed: int, on_log: OnLog) -> None:
        del rows, seed, on_log
        aside = out.with_name(out.name + ".tmp")
        shutil.rmtree(aside, ignore_errors=True)
        shutil.copytree(base, aside)
        publish(aside, out, {"unchanged": True})


class Corpus(Trl):
    """Finetunes on as many examples as there are in the rows, but on new ones of the corpus in place of the search's.

    Examples that are too long to be learnt from are not counted, so that there are as many steps. The replayed ones
    stay: they are of the corpus.
    """

    def finetune(self, rows: Path, base: Path, out: Path, seed: int, on_log: OnLog) -> None:
        path = corpus_path(rows)
        if not path.exists():
            fits = _fits(base, self.settings.max_length)
            found = [json.loads(line) for line in rows.read_text(encoding="utf-8").splitlines()]
            own = [row for row in found if row["kind"] != "replay"]
            drawn = asyncio.run(corpus_rows(sum(map(fits, own)), seed, fits, on_log))
            write_examples(path, [*drawn, *(row for row in found if row["kind"] == "replay")])
        super().finetune(path, base, out, seed, on_log)


async def corpus_rows(number: int, seed: int, fits: Callable[[Row], bool], on_log: OnLog) -> list[Row]:
    """Return that many examples of the corpus that fit, made anew; the same for the same seed."""
    arc = Arc()
    training, evaluation = arc.load("arc1-training"), arc.load("arc1-evaluation")
    real, grids = real_pairs([*training, *evaluation]), sources(training, evaluation)
    rows: list[Row] = []
    # The programs are our own: confined as far as this machine allows is enough.
    async with open_sandbox(cpu_seconds=CPU_SECONDS, level="weak", codec="arc") as sandbox:
        for shard in count():
            if len(rows) == number:
                break
            size = min(SHARD, number - len(rows))
            exercises, _ = await make_shard(seed, shard, size, grids=grids, real=real, sandbox=sandbox)
            made = [_row(*texts(exercise, Compact())) for exercise in exercises]
            rows += [row for row in made if fits(row)]
            on_log({"examples of the corpus": len(rows), "of": number})
    return rows


def _row(prompt: str, completion: str) -> Row:
    return {"prompt": prompt, "completion": completion, "kind": "corpus", "task": None, "program": None}


def _fits(base: Path, max_length: int) -> Callable[[Row], bool]:
    """Return a function that says whether a row has at most that many tokens, its end included."""
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(base, local_files_only=True)

    def fits(row: Row) -> bool:
        parts = (row["prompt"], row["completion"])
        return sum(len(tokenizer(part, add_special_tokens=False)["input_ids"]) for part in parts) < max_length

    return fits
