"""From selected programs to training examples: a prompt as in the search, and the completion to be learned (§3.3).

No prompt contains test outputs. Each example shuffles the training pairs, and the parent's outputs with them.
"""

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from numpy.random import Generator

from soar.files import write_atomically
from soar.learning.relabel import relabel
from soar.protocols import Rendering
from soar.scoring import accuracy
from soar.types import Message, Program, Prompt, Task

Row = Mapping[str, object]
"""``{"prompt", "completion": str or list of messages, "kind": "sample" | "refine" | "replay", "task", "program"}``, and
``"why"``, for people: why the program was chosen."""


def sampling_example(rendering: Rendering, task: Task, program: Program, rng: Generator) -> Row:
    """Return the example that teaches writing `program` from scratch for the task that it solves."""
    solved = _permuted(relabel(task, program).without_answers(), rng.permutation(len(task.train)).tolist())
    prompt = rendering.sampling(solved, None, rendering.details(solved)[0])
    return _row("sample", prompt, rendering.completion(program.code), task, program)


def refinement_example(rendering: Rendering, task: Task, parent: Program, child: Program, rng: Generator) -> Row:
    """Return the example that teaches writing `child` for the task that it solves, given `parent` and its outputs. If
    `child` is a true solution that is the task itself, otherwise another task with the same inputs."""
    order = rng.permutation(len(task.train)).tolist()
    shown = _permuted(relabel(task, child).without_answers(), order)
    outputs = tuple(parent.train[i] for i in order)
    judged = replace(parent, train=outputs, accuracy=accuracy(shown, outputs))
    prompt = rendering.refinement(shown, (judged,), rendering.details(shown)[0])
    return _row("refine", prompt, rendering.completion(child.code), task, child)


def _permuted(task: Task, order: Sequence[int]) -> Task:
    return replace(task, train=tuple(task.train[i] for i in order))


def _row(kind: str, prompt: Prompt, completion: str, task: Task, program: Program) -> Row:
    answer = completion if isinstance(prompt, str) else (Message("assistant", completion),)
    return {
        "prompt": _plain(prompt),
        "completion": _plain(answer),
        "kind": kind,
        "task": task.id,
        "program": program.key,
    }


def _plain(prompt: Prompt) -> object:
    return prompt if isinstance(prompt, str) else [asdict(message) for message in prompt]


REPLAY = "replay.jsonl.gz"
"""The file beside a model's weights that holds rows of the data it was trained on."""


def replay_examples(folder: Path, count: int, rng: Generator) -> list[Row]:
    """Return `count` rows of the data that the model in `folder` was trained on; they keep a small model from
    forgetting."""
    if count == 0:
        return []
    lines = gzip.decompress((folder / REPLAY).read_bytes()).splitlines()
    chosen = rng.permutation(len(lines))[:count]
    added: Row = {"kind": "replay", "task": None, "program": None, "why": "replay"}
    return [{**json.loads(lines[i]), **added} for i in sorted(chosen)]


def every_row(rows: list[Row]) -> list[Row]:
    """Keep all rows."""
    return rows


def shortest_per_prompt(rows: list[Row]) -> list[Row]:
    """Keep, of the rows with the same prompt, the first with the shortest completion, along with the other rows of its
    program."""
    best: dict[str, list[Row]] = {}
    for row in rows:
        kept = best.setdefault(json.dumps(row["prompt"]), [row])
        if _length(row) < _length(kept[0]):
            kept[:] = [row]
        elif row is not kept[0] and row["program"] == kept[0]["program"]:
            kept.append(row)
    return [row for kept in best.values() for row in kept]


def _length(row: Row) -> int:
    return len(json.dumps(row["completion"]))


def write_examples(path: Path, rows: Sequence[Row]) -> None:
    """Write rows as JSONL, all or nothing."""
    write_atomically(path, "".join(json.dumps(row) + "\n" for row in rows))
