"""The corpus that the embedded model learns from: programs of the grammar with what they do on a scene's grids.

A row is an exercise: inputs, outputs, the program, and for refinement a parent, the program with one thing wrong.
A shard depends on nothing but its seed, number and size, so one that exists is not made again. Knows nothing about
prompts and models.
"""

import gzip
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from soar.pretrain.arc.leaks import Grid
from soar.pretrain.encode import write_lines
from soar.scoring import accuracy
from soar.types import Example, Origin, Program, Task, content_hash


@dataclass(frozen=True, slots=True)
class Exercise:
    """A program with what it does: `outputs` follow `inputs`, the last pair plays the test pair.

    `parent` is a program that runs but does something else, `parent_outputs` what it does, in the same order.
    `source` names the task whose grids these are, or ``made``; `idioms` what the program was made of.
    """

    inputs: tuple[Grid, ...]
    outputs: tuple[Grid, ...]
    code: str
    idioms: tuple[str, ...]
    source: str = ""
    parent: str | None = None
    parent_outputs: tuple[Grid, ...] | None = None

    @property
    def behaviour(self) -> str:
        """The hash of inputs and outputs: equal for exercises that teach the same."""
        return content_hash(self.inputs, self.outputs)

    def task(self) -> Task:
        """Return the task that the program solves by construction; its test output is not hidden."""
        pairs = tuple(Example(*pair) for pair in zip(self.inputs, self.outputs, strict=True))
        return Task(f"exercise-{self.behaviour[:12]}", pairs[:-1], pairs[-1:])

    def parent_program(self) -> Program | None:
        """Return the parent as search would know it, None if there is none."""
        if self.parent is None or self.parent_outputs is None:
            return None
        task = self.task()
        train, test = self.parent_outputs[:-1], self.parent_outputs[-1:]
        origin = Origin("corpus", 0, task.id, "sample", 0, 0, 0)
        return Program(origin, self.parent, train, test, accuracy(task, train))


def to_line(exercise: Exercise) -> str:
    """Return one line of JSON; a grid is its rows of digits, joined by ``/``."""
    row = {
        "inputs": list(map(_text, exercise.inputs)),
        "outputs": list(map(_text, exercise.outputs)),
        "code": exercise.code,
        "idioms": exercise.idioms,
        "source": exercise.source,
        "parent": exercise.parent,
        "parent_outputs": None if exercise.parent_outputs is None else list(map(_text, exercise.parent_outputs)),
    }
    return json.dumps(row, separators=(",", ":"))


def from_line(line: str) -> Exercise:
    """Return the exercise of a line, the inverse of `to_line`."""
    row = json.loads(line)
    return Exercise(
        inputs=tuple(map(_grid, row["inputs"])),
        outputs=tuple(map(_grid, row["outputs"])),
        code=row["code"],
        idioms=tuple(row["idioms"]),
        source=row["source"],
        parent=row["parent"],
        parent_outputs=None if row["parent_outputs"] is None else tuple(map(_grid, row["parent_outputs"])),
    )


def read_exercises(folder: Path) -> Iterator[Exercise]:
    """Yield the exercises of all complete shards in a folder, in the order of their names, each behaviour once."""
    seen: set[str] = set()
    for path in sorted(folder.glob("shard-*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="ascii") as file:
            for line in file:
                exercise = from_line(line)
                if (behaviour := exercise.behaviour) not in seen:
                    seen.add(behaviour)
                    yield exercise


def write_shard(path: Path, exercises: Iterable[Exercise]) -> None:
    """Write a shard, whole or not at all."""
    write_lines(path, map(to_line, exercises))


def _text(grid: Grid) -> str:
    return "/".join("".join(map(str, row)) for row in grid)


def _grid(text: str) -> Grid:
    return cast(Grid, tuple(tuple(map(int, row)) for row in text.split("/")))


def shard_path(folder: Path, seed: int, shard: int) -> Path:
    """Return the path of a shard."""
    return folder / f"shard-{seed}-{shard:05d}.jsonl.gz"


def shards_of(examples: int, size: int) -> Sequence[int]:
    """Return the numbers of the shards that hold at least `examples` exercises, `size` to a shard."""
    return range(-(-examples // size))
