"""Makes the corpus: draws scenes and programs, runs them, keeps what teaches something, balances the idioms.

``python -m soar.pretrain.arc.generate --examples N --out DIR --seed S``. Knows the sandbox only by its protocol. One
process makes one shard; every draw is keyed by seed and shard."""

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import cast

import numpy as np

from soar.cores import available_cores
from soar.domains.arc.domain import Arc
from soar.execution import open_sandbox
from soar.pretrain.arc.corpus import Exercise, shard_path, shards_of, write_shard
from soar.pretrain.arc.grammar import IDIOMS, WEIGHTS, Grammar, Step, program
from soar.pretrain.arc.leaks import Grid, RealPairs, real_pairs
from soar.pretrain.arc.mutate import mutate, without_each
from soar.pretrain.arc.scenes import Scene, draw_scene, sources
from soar.protocols import Executor
from soar.seeds import rng as keyed
from soar.types import Failure, content_hash

BATCH = 64
"""Candidates in flight at once; the idioms' weights are balanced after each batch."""

PARENTS = 0.4
"""The share of exercises that a parent is sought for; not every mutation runs and differs."""

CPU_SECONDS = 0.3
"""How long a program may take for one grid."""

MUTATIONS = 3
"""How many mutations are tried for a parent."""


@dataclass
class Tally:
    """What became of the candidates of a shard."""

    candidates: int = 0
    kept: int = 0
    refinements: int = 0
    failed: int = 0
    dull: int = 0
    real: int = 0
    repeated: int = 0
    surplus: int = 0
    idioms: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A program on a scene, before and after it ran."""

    scene: Scene
    steps: tuple[Step, ...]
    outputs: tuple[Grid, ...] = ()
    parent: str | None = None
    parent_outputs: tuple[Grid, ...] | None = None


async def make_shard(
    seed: int,
    shard: int,
    size: int,
    *,
    grids: Mapping[str, tuple[Grid, ...]],
    real: RealPairs,
    sandbox: Executor,
    batch: int = BATCH,
) -> tuple[list[Exercise], Tally]:
    """Return `size` exercises of a shard, and what became of all candidates; `batch` candidates run at once."""
    tally, kept, seen = Tally(), [], set()
    start = 0
    while len(kept) < size:
        grammar = Grammar(balanced(tally))
        purposes = [keyed(seed, "corpus", shard, number) for number in range(start, start + batch)]
        found = await asyncio.gather(*(_candidate(grids, grammar, rng, sandbox) for rng in purposes))
        for candidate in found:
            if len(kept) == size:
                tally.candidates += 1
                tally.surplus += 1
            elif (exercise := _judge(candidate, seen, real, tally)) is not None:
                kept.append(exercise)
        start += batch
    return kept, tally


def balanced(tally: Tally) -> tuple[float, ...]:
    """Return the idioms' weights, raised where fewer were kept than the prior asks for, lowered where more."""
    prior = np.array(list(WEIGHTS.values()))
    expected = prior / prior.sum()
    kept = np.array([tally.idioms[name] for name in IDIOMS], float)
    # As if the prior had already given 20 idioms, so that the first few kept do not swing the weights.
    share = (kept + 20 * expected) / (kept.sum() + 20)
    return tuple((expected * np.clip(expected / share, 0.3, 3)).tolist())


async def _candidate(
    grids: Mapping[str, tuple[Grid, ...]], grammar: Grammar, rng: np.random.Generator, sandbox: Executor
) -> Candidate | None:
    """Return a program that runs on a scene, without idle steps, perhaps with a parent; None if it fails, without
    outputs if it is dull."""
    scene = draw_scene(dict(grids), rng)
    steps = grammar.steps(scene.palette, rng)
    outputs = await _outputs(steps, scene, sandbox)
    if outputs is None:
        return None
    if is_dull(scene.inputs, outputs):
        return Candidate(scene, steps)
    steps = await _needed(steps, outputs, scene, sandbox)
    candidate = Candidate(scene, steps, outputs)
    return await _with_parent(candidate, grammar, rng, sandbox) if rng.random() < PARENTS else candidate


async def _outputs(steps: tuple[Step, ...], scene: Scene, sandbox: Executor) -> tuple[Grid, ...] | None:
    execution = await sandbox.run(program(steps), scene.inputs)
    failed = execution.nondeterministic or any(isinstance(output, Failure) for output in execution.outputs)
    return None if failed else cast(tuple[Grid, ...], execution.outputs)


async def _needed(
    steps: tuple[Step, ...], outputs: tuple[Grid, ...], scene: Scene, sandbox: Executor
) -> tuple[Step, ...]:
    """Return the steps without those that change nothing."""
    for fewer in without_each(steps):
        if await _outputs(fewer, scene, sandbox) == outputs:
            return await _needed(fewer, outputs, scene, sandbox)
    return steps


async def _with_parent(
    candidate: Candidate, grammar: Grammar, rng: np.random.Generator, sandbox: Executor
) -> Candidate:
    """Return the candidate with a parent that runs and does something else, if a few mutations find one."""
    scene, steps = candidate.scene, candidate.steps
    for _ in range(MUTATIONS):
        wrong = mutate(steps, scene.palette, grammar, rng)
        outputs = await _outputs(wrong, scene, sandbox)
        if outputs is not None and outputs != candidate.outputs:
            return Candidate(scene, steps, candidate.outputs, program(wrong), outputs)
    return candidate


def is_dull(inputs: Sequence[Grid], outputs: Sequence[Grid]) -> bool:
    """Return whether there is nothing to learn: inputs unchanged, one output everywhere, or large plain ones."""
    unchanged = sum(a == b for a, b in zip(inputs, outputs, strict=True))
    plain = sum(len({cell for row in grid for cell in row}) == 1 and len(grid) * len(grid[0]) > 9 for grid in outputs)
    return unchanged > (len(inputs) > 3) or len(set(outputs)) == 1 or plain > 1


def _judge(candidate: Candidate | None, seen: set[str], real: RealPairs, tally: Tally) -> Exercise | None:
    """Count a candidate and return its exercise if it is to be kept."""
    tally.candidates += 1
    if candidate is None:
        tally.failed += 1
        return None
    if not candidate.outputs:
        tally.dull += 1
        return None
    inputs, outputs = candidate.scene.inputs, candidate.outputs
    behaviour = content_hash(inputs, outputs)
    if behaviour in seen:
        tally.repeated += 1
        return None
    if any(real.has(*pair) for pair in zip(inputs, outputs, strict=True)):
        tally.real += 1
        return None
    seen.add(behaviour)
    idioms = tuple(step.idiom for step in candidate.steps)
    tally.kept += 1
    tally.refinements += candidate.parent is not None
    tally.idioms.update(idioms)
    return Exercise(
        inputs,
        outputs,
        program(candidate.steps),
        idioms,
        candidate.scene.source,
        candidate.parent,
        candidate.parent_outputs,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the shards that are missing, each in a process of its own, and say how fast."""
    parser = argparse.ArgumentParser(prog="python -m soar.pretrain.arc.generate", description="Make the corpus.")
    parser.add_argument("--examples", type=int, required=True, help="how many exercises, rounded up to whole shards")
    parser.add_argument("--out", type=Path, required=True, help="folder of the shards; existing ones are kept")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shard-size", type=int, default=5000)
    parser.add_argument("--workers", type=int, default=available_cores())
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    missing = [
        shard
        for shard in shards_of(options.examples, options.shard_size)
        if not shard_path(options.out, options.seed, shard).exists()
    ]
    context = get_context("spawn")
    with context.Pool(min(options.workers, max(1, len(missing))), maxtasksperchild=1) as pool:
        jobs = [(options.out, options.seed, shard, options.shard_size) for shard in missing]
        for line in pool.imap(_make, jobs):
            sys.stdout.write(line + "\n")
            sys.stdout.flush()


def _make(job: tuple[Path, int, int, int]) -> str:
    """Make one shard and return the line to print about it."""
    folder, seed, shard, size = job
    started = time.perf_counter()
    exercises, tally = asyncio.run(_shard(seed, shard, size))
    write_shard(shard_path(folder, seed, shard), exercises)
    counts = {name: value for name, value in asdict(tally).items() if name != "idioms"}
    seconds = time.perf_counter() - started
    row = {"shard": shard, **counts, "seconds": round(seconds, 1), "per_second": round(len(exercises) / seconds, 1)}
    with (folder / "log.jsonl").open("a") as file:
        file.write(json.dumps({**row, "idioms": tally.idioms}) + "\n")
    return json.dumps(row)


async def _shard(seed: int, shard: int, size: int) -> tuple[list[Exercise], Tally]:
    arc = Arc()
    training, evaluation = arc.load("arc1-training"), arc.load("arc1-evaluation")
    real, grids = real_pairs([*training, *evaluation]), sources(training, evaluation)
    # The programs are our own: confined as far as this machine allows is enough.
    async with open_sandbox(workers=1, cpu_seconds=CPU_SECONDS, level="weak", codec="arc") as sandbox:
        return await make_shard(seed, shard, size, grids=grids, real=real, sandbox=sandbox)


if __name__ == "__main__":
    main()
