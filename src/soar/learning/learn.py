"""Learning θi, always from θ0, on what the searches before found (§3.3): lessons of every task, then finetuning.

Knows the archive and the order of things. Sees a task's answers only if it is given them.
"""

import asyncio
import shutil
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from numpy.random import Generator

from soar.archive.reader import ArchiveReader
from soar.files import is_published
from soar.learning.examples import Row, write_examples
from soar.learning.select import Pairs, shown_pairs
from soar.protocols import OnLog
from soar.seeds import rng, seed_of
from soar.types import Program, Task


@dataclass(frozen=True, slots=True)
class LearningMethod:
    """How every model of a run is learnt.

    `from_all` searches of the stage, or from the last one. `examples` makes rows of finetuning data of a task's
    programs and a seed, given the shown pairs of all tasks; `kept` says which of all tasks' rows stay, `replay` draws
    some of the data that θ0 was made from, `finetune` publishes θi. `keep`: of how many models the whole weights stay
    on the disk, None for all.
    """

    seed: int
    from_all: bool
    examples: Callable[[Task, Sequence[Program], int, Set[Pairs]], list[Row]]
    kept: Callable[[list[Row]], list[Row]]
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
    asked = {shown_pairs(task) for task in tasks}
    found: list[Row] = []
    for task in tasks:
        found += method.examples(task, reader.programs(task.id, stage, since), seed, asked)
        await asyncio.sleep(0)  # of thousands of tasks this takes minutes: a signal is heard meanwhile
    training = seed_of(method.seed, "finetune", *place) & 0x7FFFFFFF
    replayed, rows = method.replay(rng(training, "replay")), method.kept(found)
    write_examples(data, [*rows, *replayed])
    on_log({"examples of its own": len(rows), "replayed": len(replayed)})
    await asyncio.to_thread(method.finetune, data, theta0, out, training, on_log)
