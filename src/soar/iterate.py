"""The loop (§3.4, Alg. 3): learn θi from the searches before, always from θ0; search with it; answer.

Knows the order of things and little of how they are done. It may be interrupted anywhere: calling it again goes on,
because each part asks the archive or the disk what is already there.
"""

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from soar.archive.reader import ArchiveReader
from soar.archive.writer import ArchiveWriter
from soar.config import Config, StageConfig, resolve
from soar.domains.protocol import Domain
from soar.ensemble import VOTERS, Ballot, votable
from soar.errors import Interrupted
from soar.files import is_published, write_atomically
from soar.heuristics import HEURISTICS, closeness
from soar.learning.examples import Row, replay_examples, write_examples
from soar.learning.finetune import TRAINERS
from soar.learning.select import examples_of
from soar.lm.open import default_weights, open_language_model
from soar.prompts.protocol import Rendering
from soar.report.metrics import is_right
from soar.report.submission import submission
from soar.run import RunDirectory, Step, steps
from soar.sandbox.protocol import Sandbox
from soar.search import SearchContext, search
from soar.search.selectors import SELECTORS, rex
from soar.seeds import rng, seed_of
from soar.types import Task


@dataclass(frozen=True)
class Run:
    """An open run: its settings and directory, the tasks of each stage (with answers), what is held open meanwhile.

    `notify` gets a line of progress now and then; `stop` is set when training should end soon.
    """

    config: Config
    directory: RunDirectory
    domain: Domain
    rendering: Rendering
    tasks: Mapping[str, list[Task]]
    writer: ArchiveWriter
    reader: ArchiveReader
    sandbox: Sandbox
    notify: Callable[[str], None]
    stop: threading.Event = field(default_factory=threading.Event)


async def iterate(run: Run) -> None:
    """Do all searches of a run that are not done yet."""
    done = {(stage, iteration) for stage, iteration, _, _, finished in run.reader.iterations() if finished}
    for step in steps(run.config):
        if (step.stage.name, step.iteration) not in done:
            await iteration(run, step)


async def iteration(run: Run, step: Step) -> None:
    """One iteration: learn θi (from the second on), search with it, answer."""
    await run.writer.execute(
        "INSERT INTO iterations (stage, iteration) VALUES (?, ?) ON CONFLICT DO NOTHING", _key(step)
    )
    weights = theta0(run, step.stage)
    if step.iteration > 0:
        weights = run.directory.adapter(step.number)
        await timed(run, step, "finetune_seconds", learn(run, step, theta0(run, step.stage), weights))
    await timed(run, step, "seconds", search_with(run, step, weights))
    answers = {task.id: answer(run, step, task) for task in run.tasks[step.stage.name]}
    text = json.dumps(submission(run.tasks[step.stage.name], answers))
    write_atomically(run.directory.answers(step.number), text)
    await run.writer.execute("UPDATE iterations SET finished = 1 WHERE stage = ? AND iteration = ?", _key(step))


def theta0(run: Run, stage: StageConfig) -> Path | None:
    """Return the weights a stage begins from and finetunes: the last of its base stage, None for the model itself."""
    if stage.base == "model":
        return None
    last = [step for step in steps(run.config) if step.stage.name == stage.base][-1]
    return run.directory.adapter(last.number) if last.iteration > 0 else theta0(run, last.stage)


async def search_with(run: Run, step: Step, weights: Path | None) -> None:
    """Search all tasks of a step (§3.2); the programs are in the archive afterwards.

    The operators that are not learnt are served by the configured model.
    """
    config = run.config
    selector = resolve(config.search.selector, SELECTORS, "selector")
    serving = {phase: weights if phase in config.learning.operators else None for phase in ("sample", "refine")}
    models = {each: open_language_model(config.lm, each) for each in set(serving.values())}
    context = SearchContext(
        stage=step.stage.name,
        iteration=step.iteration,
        seed=config.seed,
        budget=config.search,
        sampling=config.sampling,
        selector=partial(rex, c=config.search.rex_c) if selector is rex else selector,
        heuristic=partial(resolve(config.search.heuristic, HEURISTICS, "heuristic"), run.domain),
        sampler=models[serving["sample"]],
        refiner=models[serving["refine"]],
        sandbox=run.sandbox,
        domain=run.domain,
        rendering=run.rendering,
        writer=run.writer,
        reader=run.reader,
        few_shot=solved_examples(run, step) if config.prompt.few_shot else (),
    )
    try:
        await search(context, run.tasks[step.stage.name])
    finally:
        for lm in models.values():
            counts = lm.requests()
            await lm.close()
            await run.writer.execute(
                "INSERT INTO requests (issued, retried, failed) VALUES (?, ?, ?)",
                (counts["issued"], counts["retried"], counts["failed"]),
            )


def solved_examples(run: Run, step: Step) -> tuple[tuple[Task, str], ...]:
    """Return tasks with known answers, each with the first program of earlier iterations that is right on all of it.

    Only stages before this one, or earlier iterations of it, with known answers count (App. D.5: ARC-train only).
    """
    found: dict[str, tuple[Task, str]] = {}
    for earlier in steps(run.config)[: step.number]:
        if earlier.stage.answers == "hidden":
            continue
        for task in run.tasks[earlier.stage.name]:
            programs = run.reader.programs(task.id, earlier.stage.name, earlier.iteration)
            right = (program for program in programs if is_right(task, program))
            if task.id not in found and (program := next(right, None)):
                found[task.id] = (task.without_answers(), program.code)
    return tuple(found.values())


def answer(run: Run, step: Step, task: Task) -> list[Ballot]:
    """Return the ballots of one task, heaviest first: the first two are its answers (§3.2)."""
    programs = run.reader.programs(task.id, step.stage.name, step.iteration)
    voters = votable(task, programs, run.config.answer.filters)
    return resolve(run.config.answer.voter, VOTERS, "voter")(voters)


async def learn(run: Run, step: Step, base: Path | None, out: Path) -> None:
    """Publish the weights of θi in `out`: θ0 finetuned on what the searches before found (§3.3), once and whole."""
    if is_published(out):
        return
    data = run.directory.data(step.number)
    rows = [row for task in run.tasks[step.stage.name] for row in lessons(run, step, task)]
    seed = seed_of(run.config.seed, "finetune", step.stage.name, step.iteration) & 0x7FFFFFFF
    replayed = replay_examples(default_weights(run.config.lm), run.config.learning.replay, rng(seed, "replay"))
    write_examples(data, [*rows, *replayed])
    run.notify(f"finetuning on {len(rows)} examples of its own and {len(replayed)} replayed")
    trainer = resolve(run.config.finetune.trainer, TRAINERS, "trainer")
    origin = base or default_weights(run.config.lm)
    await asyncio.to_thread(trainer, data, origin, out, run.config.finetune, seed, partial(_on_log, run))


def lessons(run: Run, step: Step, task: Task) -> list[Row]:
    """Return the examples of one task for the model of a step, from its stage's last search or from all of them."""
    before = None if run.config.learning.history == "all" else step.iteration - 1
    return examples_of(
        task if step.stage.answers == "known" else task.without_answers(),
        run.reader.programs(task.id, step.stage.name, before),
        run.rendering,
        run.config.learning,
        filters=run.config.answer.filters,
        seed=seed_of(run.config.seed, "learn", step.stage.name, step.iteration),
        closeness=partial(closeness, run.domain),
    )


def _on_log(run: Run, entry: Mapping[str, float]) -> None:
    """Pass on a trainer's log entry; end the training when the run is asked to stop."""
    if run.stop.is_set():
        raise Interrupted("stopped during finetuning; the same command goes on from the last checkpoint")
    run.notify("  ".join(f"{name} {value:.4g}" for name, value in entry.items()))


async def timed(run: Run, step: Step, column: str, work: Awaitable[None]) -> None:
    """Await `work` and add the seconds it took to the iteration's row, also when it is interrupted."""
    begun = time.monotonic()
    try:
        await work
    finally:
        sql = f"UPDATE iterations SET {column} = {column} + ? WHERE stage = ? AND iteration = ?"
        await run.writer.execute(sql, (time.monotonic() - begun, *_key(step)))


def _key(step: Step) -> tuple[str, int]:
    return step.stage.name, step.iteration
