"""Learning θi, always from θ0, on what the searches before found (§3.3): lessons of every task, then finetuning.

Knows the archive and the order of things. Sees a task's answers only if it is given them.
"""

import asyncio
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from numpy.random import Generator

from soar.archive.reader import ArchiveReader
from soar.files import is_published
from soar.learning.examples import Row, write_examples
from soar.protocols import OnLog
from soar.seeds import rng, seed_of
from soar.types import Program, Task


@dataclass(frozen=True, slots=True)
class LearningMethod:
    """How every model of a run is learnt.

    `from_all` searches of the stage, or from the last one. `examples` makes rows of finetuning data of a task's
    programs, `together` says which of all tasks' rows stay, `replay` draws some of the data that θ0 was made from,
    `finetune` publishes θi. `keep`: of how many models the whole weights stay on the disk, None for all.
    """

    seed: int
    from_all: bool
    examples: Callable[[Task, Sequence[Program], int], list[Row]]
    together: Callable[[Sequence[Row], Sequence[Task], Generator], list[Row]]
    replay: Callable[[Generator], list[Row]]
    finetune: Callable[[Path, Path, Path, int, OnLog], None]
    keep: int | None = None


async def learn(
    method: LearningMethod,
    place: tuple[str, int],
    theta0: Path,
    tasks: Sequence[Task],
    reader: ArchiveReader,
    *,
    data: Path,
    out: Path,
    on_log: OnLog,
) -> None:
    """Publish in the folder `out` the weights that a search at `place`, stage and iteration, uses; once and whole.

    The rows that they are made from are written to `data`. Called again after an interruption it goes on.
    """
    if is_published(out):
        for left in (".work", ".tmp"):  # of a kill between publishing and clearing up: checkpoints of gigabytes
            shutil.rmtree(out.with_name(out.name + left), ignore_errors=True)
        return
    (stage, iteration), seed = place, seed_of(method.seed, "learn", *place)
    since = None if method.from_all else iteration - 1
    found = [method.examples(task, reader.programs(task.id, stage, since), seed) for task in tasks]
    training = seed_of(method.seed, "finetune", *place) & 0x7FFFFFFF
    replayed = method.replay(rng(training, "replay"))
    rows = method.together([row for rows in found for row in rows], tasks, rng(training, "together"))
    write_examples(data, [*rows, *replayed])
    on_log({"examples of its own": len(rows), "replayed": len(replayed)})
    await asyncio.to_thread(method.finetune, data, theta0, out, training, on_log)
