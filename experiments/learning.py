"""Does learning help? Searches with models that learnt from their own search, and the same searches with controls.

``python -m experiments.learning --experiment train --seeds 0 1 2 --arms soar frozen corpus --minutes 50`` does the
cells that are missing in ``experiments/results/learning.jsonl`` and appends a line for each; stopped or killed
anywhere, the same command resumes. ``--report`` only prints. A cell is one search of one arm and seed, or ("transfer")
a smaller one with its weights on training tasks that it never learns from. Arms:

    soar       learns as configured: from the right programs of its own search
    frozen     learns nothing: as many searches with the shipped weights
    corpus     learns from as many new examples of the corpus
    hindsight  learns from wrong programs too, as answers to the task that they solve: the paper's choice of programs
    voted      where answers are hidden: learns as configured, taking for right the answer that wins the vote
    sampling   one search, all of its budget samples

All but the last share their seed's first search ("base"): it is done once, and its archive is what an arm begins with.
"""

import argparse
import asyncio
import signal
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from experiments.learning_cells import (
    BASE,
    Cell,
    Row,
    Setup,
    append_cell,
    counted,
    finished,
    read_cells,
    right_programs,
    search_result,
)
from experiments.learning_report import SIZES, Shown, show_search, show_transfer
from experiments.weights import digest, theta0
from soar import session
from soar.config import Config, StageSettings, load_config, validated
from soar.domains.arc.domain import Arc
from soar.domains.task_set import select
from soar.errors import Interrupted
from soar.experiments.arms import begin_with
from soar.files import is_published, write_atomically
from soar.pretrain.arc.scenes import held_out
from soar.run import RunDirectory
from soar.search import search
from soar.types import Task, content_hash

ARMS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    BASE: {},
    "soar": {},
    "frozen": {
        "learning": {"samples_per_task": 0, "refinements_per_task": 0, "hindsight_pairs_per_task": 0, "replay": 0},
        "finetune": {"trainer": "experiments.learning_trainers:Unchanged"},
    },
    "corpus": {"finetune": {"trainer": "experiments.learning_trainers:Corpus"}},
    "hindsight": {"learning": {"curator": "greedy-diverse"}},
    "voted": {"learning": {"pseudo_labels": True}},
    "sampling": {},
}
"""What an arm sets otherwise than the settings' file, by section."""

PRIMARY = ("soar", "frozen", "corpus")
"""The arms that the first measure needs: done first, for all seeds."""

TRANSFERRED = (BASE, "soar", "corpus", "hindsight")
"""The arms whose weights also search the tasks that are never learnt from."""

UNTAUGHT = (BASE, "frozen", "sampling")
"""The arms that learn nothing: what they found stays true when the settings of learning are changed."""

TEACHING = ("learning", "finetune")
"""The sections of the settings that only arms that learn depend on."""

TRANSFER = 64
"""Samples, and refinements, per task that is never learnt from."""

LOOK_SECONDS = 15.0
"""How often a run is looked at for a search that is finished."""

EXPERIMENTS = ("train", "ttt")


@dataclass(frozen=True)
class Study:
    """One experiment: its settings (those of its one stage), its tasks with answers, where everything goes; `setup` is
    that of arms that learn, `untaught` that of the others."""

    name: str
    config: Config
    setup: Setup
    untaught: Setup
    tasks: Sequence[Task]
    unsearched: Sequence[Task]
    folder: Path
    out: Path

    @property
    def stage(self) -> StageSettings:
        return self.config.stages[0]

    def setup_of(self, arm: str) -> Setup:
        return self.untaught if arm in UNTAUGHT else self.setup

    def arms(self, asked: Sequence[str]) -> list[str]:
        """Return the arms of those asked for that differ here: *voted* is *soar* where answers are known."""
        return [arm for arm in asked if arm != "voted" or self.stage.answers == "hidden"]

    def run(self, seed: int, arm: str) -> RunDirectory:
        named = arm if arm in UNTAUGHT else f"{arm}-{self.setup.settings}"
        return RunDirectory(self.folder / f"seed-{seed}" / named)

    def done(self) -> dict[Cell, Row]:
        return read_cells(self.out, (self.name, "transfer"), self.setup_of)

    def append(self, cell: Cell, result: Row) -> None:
        append_cell(self.out, cell, self.setup_of(cell.arm), result)

    def searches(self, seed: int, arm: str) -> list[Cell]:
        """Return the searches that an arm does itself."""
        own = [0] if arm in (BASE, "sampling") else range(1, self.stage.iterations)
        return [Cell(self.name, arm, seed, iteration) for iteration in own]

    def transfers(self, seed: int, arm: str) -> list[Cell]:
        """Return the searches of tasks that an arm never learns from; none where answers are hidden."""
        own = self.searches(seed, arm) if self.name == "train" and arm in TRANSFERRED else []
        return [Cell("transfer", arm, seed, cell.iteration) for cell in own]

    def missing(self, cells: Sequence[Cell]) -> list[Cell]:
        done = self.done()
        return [cell for cell in cells if cell not in done]


def open_study(name: str, options: argparse.Namespace) -> Study:
    """Return an experiment as the command line wants it; its folder holds the ids of its tasks afterwards."""
    overrides = [f"search.{key}={value}" for key in ("samples", "refinements") if (value := getattr(options, key))]
    config = load_config(options.config, overrides)
    stage = next(stage for stage in config.stages if stage.name == name)
    every, unused = Arc().load(config.tasks_of(name).source or "arc1-training"), held_out(Arc().load("arc1-training"))
    tasks = select([task for task in every if task.id not in unused], count=options.tasks)
    unsearched = [task for task in every if task.id in unused]
    settings = tomllib.loads(options.config.read_text(encoding="utf-8"))
    searching = {section: values for section, values in settings.items() if section not in TEACHING}
    untaught = Setup(
        model=digest(theta0(config)),
        settings=content_hash(searching)[:12],
        samples=config.search.samples,
        refinements=config.search.refinements,
        tasks=len(tasks),
    )
    setup = replace(untaught, settings=content_hash(settings)[:12])
    budget = f"{setup.samples}+{setup.refinements}-{setup.tasks}"
    folder = options.runs / f"{setup.model}-{untaught.settings}-{budget}" / name
    ids = folder / "tasks.txt"
    if not options.report:
        write_atomically(ids, "".join(f"{task.id}\n" for task in tasks))
    config = config.model_copy(update={"stages": (stage.model_copy(update={"ids_file": ids}),)})
    few = select(unsearched, count=min(len(unsearched), len(tasks))) if unsearched else []
    return Study(name, config, setup, untaught, tasks, few, folder, options.out)


def arm_config(study: Study, seed: int, arm: str) -> Config:
    """Return the settings of one arm's run; those of learning are the defaults for an arm that learns nothing."""
    settings = study.config.as_dict()
    for section in TEACHING:
        taught = {} if arm in UNTAUGHT else settings[section]
        settings[section] = {**taught, **ARMS[arm].get(section, {})}
    if arm == "sampling":
        whole = study.setup.samples + study.setup.refinements
        settings["search"] |= {"samples": whole, "refinements": 0}
    if arm in (BASE, "sampling"):
        settings["stages"][0]["iterations"] = 1
    return validated({**settings, "seed": seed})


def plan(seeds: Sequence[int], arms: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield seeds and arms in the order that completes comparisons soonest, each base before what begins with it."""
    first = [arm for arm in PRIMARY if arm in arms]
    rest = [arm for arm in arms if arm not in PRIMARY]
    based: set[int] = set()
    for group in (first, rest):
        for seed in seeds:
            for arm in group:
                if seed not in based:
                    yield seed, BASE
                    based.add(seed)
                yield seed, arm


def do_arm(study: Study, seed: int, arm: str, until: float) -> None:
    """Do the cells of an arm that are missing; `Interrupted` when told to stop, or at the time `until`."""
    run = study.run(seed, arm)
    unmeasured = [cell for cell in study.missing(study.transfers(seed, arm)) if cell.iteration > 0]
    lost = any(not is_published(run.weights(cell.iteration)) for cell in unmeasured)
    if study.missing(study.searches(seed, arm)) or lost:
        do_search(study, seed, arm, until)
    for cell in study.missing(study.transfers(seed, arm)):
        if time.monotonic() > until:
            raise Interrupted("the time is up")
        weights = run.weights(cell.iteration) if cell.iteration else None
        study.append(cell, asyncio.run(transfer(study, weights, seed)))


def do_search(study: Study, seed: int, arm: str, until: float) -> None:
    """Do all searches of an arm's run that are not done yet, and append the cells that are missing."""
    run, config = study.run(seed, arm), arm_config(study, seed, arm)
    if arm not in (BASE, "sampling") and not run.path.exists():
        do_search(study, seed, BASE, until)
        asyncio.run(begin_with(study.run(seed, BASE), run, config))

    def harvest() -> None:
        there = finished(run)
        for cell in study.missing(study.searches(seed, arm)):
            if cell.iteration in there:
                study.append(cell, search_result(run, config, study.tasks, cell.iteration))

    if len(finished(run)) < config.stages[0].iterations:
        if time.monotonic() > until:
            raise Interrupted("the time is up")
        print(f"{study.name}, seed {seed}, {arm}: {run.path}", flush=True)
        asyncio.run(searched(config, run.path, harvest, until))
    harvest()


async def searched(config: Config, path: Path, harvest: Callable[[], None], until: float) -> None:
    """Do or go on with a run; meanwhile harvest now and then, and at the time `until` stop it as a signal would."""
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # until the run listens itself
    timer = loop.call_later(max(0.0, until - time.monotonic()), signal.raise_signal, signal.SIGTERM)
    harvests = asyncio.create_task(_now_and_then(harvest, over))
    try:
        await session.run(config, path, Console())
    finally:
        timer.cancel()
        over.set()
        await harvests


async def _now_and_then(harvest: Callable[[], None], over: asyncio.Event) -> None:
    while True:
        try:
            await asyncio.wait_for(over.wait(), LOOK_SECONDS)
            return
        except TimeoutError:
            await asyncio.to_thread(harvest)


async def transfer(study: Study, weights: Path | None, seed: int) -> Row:
    """Return what a search with some weights, θ0 if None, solves of the tasks that are never learnt from."""
    samples, refinements = (min(TRANSFER, each) for each in (study.setup.samples, study.setup.refinements))
    settings = study.config.as_dict()
    settings["search"] |= {"samples": samples, "refinements": refinements}
    config, tasks = validated({**settings, "seed": seed}), {study.stage.name: study.unsearched}
    begun = time.monotonic()
    with TemporaryDirectory() as folder:
        async with session.open_run(config, Path(folder, "run"), lambda _: None, print, tasks) as run:
            step = run.method.steps[0]
            await search(run.method.search, step.key, weights, study.unsearched, run.held)
            return {
                "completions": samples + refinements,
                "right": counted(right_programs(run.reader, step, study.unsearched), config),
                "seconds": round(time.monotonic() - begun, 1),
            }


def show(study: Study, options: argparse.Namespace, console: Console) -> None:
    """Print the report of an experiment."""
    found, last, samples = study.done(), study.stage.iterations - 1, study.setup.samples
    sizes, arms = [k for k in SIZES if k <= samples] or [samples], study.arms(options.arms)
    console.print(f"{study.name}: {study.setup}", soft_wrap=True, highlight=False)
    show_search(Shown(found, study.name, arms, options.seeds, last, study.setup.tasks, sizes), console)
    moved, tasks = [arm for arm in arms if arm in TRANSFERRED], len(study.unsearched)
    if study.name == "train" and moved:
        console.print(f"transfer: {tasks} training tasks that are never learnt from", highlight=False)
        show_transfer(Shown(found, "transfer", moved, options.seeds, last, tasks, sizes), console)


def main() -> int:
    arms = [arm for arm in ARMS if arm != BASE]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiment", nargs="+", choices=EXPERIMENTS, default=list(EXPERIMENTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--arms", nargs="+", choices=arms, default=arms)
    parser.add_argument(
        "--minutes", type=float, default=float("inf"), help="stop after so long; run the same command again to resume"
    )
    parser.add_argument("--samples", type=int, help="for a trial: another number per task")
    parser.add_argument("--refinements", type=int, help="for a trial: another number per task")
    parser.add_argument("--tasks", type=int, help="for a trial: only so many tasks")
    parser.add_argument("--config", type=Path, default=Path("experiments/learning.toml"))
    parser.add_argument("--runs", type=Path, default=Path("runs/learning"))
    parser.add_argument("--out", type=Path, default=Path("experiments/results/learning.jsonl"))
    parser.add_argument("--report", action="store_true", help="only report what is there")
    options = parser.parse_args()
    until = time.monotonic() + 60 * options.minutes
    studies = [open_study(name, options) for name in options.experiment]
    stopped = False
    if not options.report:
        try:
            for study in studies:
                for seed, arm in plan(options.seeds, study.arms(options.arms)):
                    do_arm(study, seed, arm, until)
        except (Interrupted, KeyboardInterrupt):
            print("stopped; run the same command again to resume", file=sys.stderr)
            stopped = True
    for study in studies:
        show(study, options, Console())
    return Interrupted.exit_code if stopped else 0


if __name__ == "__main__":
    sys.exit(main())
