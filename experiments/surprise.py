"""How surprised is a model by the programs of a search, once a task is relabelled to what they do?

``python -m experiments.surprise RUN_DIR`` takes refinements of a run's first search that did something else than their
parent and prints the mean negative log-likelihood per program, in nats, of the same programs

    from scratch       given the relabelled task alone
    own parent         given the task and the parent that the program was written from
    another parent     given the task and a parent that the search has shown for something else
    closest parent     given the task and, of some programs of the search, the one that comes closest to solving it

and of the shipped model's corpus, by samples and refinements. Where a prompt says more and the model is more surprised,
there is something to learn from the search; where it is as little surprised as by its corpus, there is not.
``--weights`` asks a finetuned model. Knows archives, prompts and transformers; knows nothing of how a search goes.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator

from experiments.weights import digest
from soar.archive.reader import ArchiveReader
from soar.domains.arc.compact import Compact
from soar.domains.arc.domain import Arc
from soar.domains.marks import PARENT
from soar.heuristics import closeness
from soar.learning.curate import closest_parent
from soar.learning.examples import Row, refinement_example, replay_examples, sampling_example, write_examples
from soar.learning.trainers.tokens import IGNORED, Tokens, order, read_tokens
from soar.lm.embedded import SHIPPED
from soar.run import RunDirectory
from soar.seeds import rng
from soar.types import Program, Task

KINDS = ("from scratch", "own parent", "another parent", "closest parent", "corpus, samples", "corpus, refinements")


def steps_of(programs: Sequence[Program]) -> list[tuple[Program, Program]]:
    """Return the refinements of a task that ran and did something else than their parent, with that parent."""
    known = {program.key: program for program in programs}
    pairs = [(known[key], child) for child in programs for key in child.parents if key in known]
    return [(parent, child) for parent, child in pairs if child.ran and parent.outputs != child.outputs]


def rows_of(task: Task, programs: Sequence[Program], count: int, chance: Generator) -> Iterator[tuple[str, Row]]:
    """Yield up to `count` programs of a task in each of the four ways; none where there is only one parent."""
    steps, rendering, near = steps_of(programs), Compact(), partial(closeness, similarity=Arc().similarity)
    for place in chance.permutation(len(steps))[:count]:
        parent, child = steps[place]
        others = [other for other, _ in steps if other.outputs not in (parent.outputs, child.outputs)]
        if not others:
            continue
        other = others[chance.integers(len(others))]
        yield "from scratch", sampling_example(rendering, task, child, chance)
        yield "own parent", refinement_example(rendering, task, parent, child, chance)
        yield "another parent", refinement_example(rendering, task, other, child, chance)
        if closest := closest_parent(task, programs, child, chance, near):
            yield "closest parent", refinement_example(rendering, task, closest, child, chance)


def rows_of_run(run: RunDirectory, count: int) -> Iterator[tuple[str, Row]]:
    """Yield the rows of a run's first search, over all its ARC tasks."""
    reader = ArchiveReader(run.archive)
    try:
        stage = reader.iterations()[0].stage
        searched = searched_tasks(reader, stage)
        for task in (*Arc().load("arc1-training"), *Arc().load("arc1-evaluation")):
            if task.id in searched:
                programs = reader.programs(task.id, stage, 0)
                yield from rows_of(task.without_answers(), programs, count, rng(0, "surprise", task.id))
    finally:
        reader.close()


def searched_tasks(reader: ArchiveReader, stage: str) -> set[str]:
    """Return the ids of the tasks that a stage has searched."""
    return {row[0] for row in reader.query("SELECT DISTINCT task_id FROM completions WHERE stage = ?", (stage,))}


def rows_of_corpus(count: int) -> Iterator[tuple[str, Row]]:
    """Yield up to `count` rows that the shipped model was made from."""
    for row in replay_examples(SHIPPED, count, rng(0, "surprise")):
        yield ("corpus, refinements" if PARENT in str(row["prompt"]) else "corpus, samples"), row


def scorer(weights: Path) -> Callable[[Sequence[Row]], list[float]]:
    """Return a function that gives each row's negative log-likelihood, in nats, of rows that are not too long."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(weights, local_files_only=True)
    model: Any = AutoModelForCausalLM.from_pretrained(weights, local_files_only=True).eval()

    def score(rows: Sequence[Row]) -> list[float]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rows.jsonl"
            write_examples(path, rows)
            examples, _ = read_tokens(path, tokenizer, model.config.max_position_embeddings)
        places = order([len(each.ids) for each in examples], batch_size=16, epochs=1, rng=rng(0, "score"))
        batches = [places[at : at + 16] for at in range(0, len(places), 16)]
        return [nats for batch in batches for nats in losses(model, [examples[place] for place in batch])]

    return score


def losses(model: Any, batch: Sequence[Tokens], temperature: float = 1.0) -> list[float]:
    """Return the negative log-likelihood of each example's completion, its tokens drawn at a temperature."""
    import torch
    from torch.nn import functional

    width = max(len(each.ids) for each in batch)
    ids = torch.tensor([[*each.ids, *[0] * (width - len(each.ids))] for each in batch])
    labels = torch.tensor([[*each.labels, *[IGNORED] * (width - len(each.ids))] for each in batch])
    with torch.inference_mode():
        scores = model(input_ids=ids, use_cache=False).logits[:, :-1].float()
    every = functional.cross_entropy(scores.transpose(1, 2) / temperature, labels[:, 1:], reduction="none")
    return every.sum(dim=1).tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="the directory of a run on ARC tasks by the embedded model")
    parser.add_argument("--weights", type=Path, default=SHIPPED)
    parser.add_argument("--per-task", type=int, default=3)
    parser.add_argument("--json", type=Path, help="append the line to this file")
    options = parser.parse_args()
    rows = [*rows_of_run(RunDirectory(options.run), options.per_task), *rows_of_corpus(1000)]
    score = scorer(options.weights)
    line: dict[str, Any] = {"searched by": digest(), "model": digest(options.weights)}
    for kind in KINDS:
        found = score([row for each, row in rows if each == kind])
        line[kind] = {"programs": len(found), "nats": round(float(np.mean(found)), 2)}
        print(f"{kind:20} {line[kind]['nats']:6.2f} nats per program, {len(found)} programs")
    if options.json:
        with options.json.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
