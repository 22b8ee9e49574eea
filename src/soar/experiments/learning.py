"""Does learning help? The command ``soar experiment learning``: do what is missing, then say what was found."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from soar.errors import ConfigError, Interrupted
from soar.experiments.arms import Study, do
from soar.experiments.cells import read_cells
from soar.experiments.report import Shown, show
from soar.experiments.settings import BASE, Experiment, groups, load_experiment
from soar.method import open_domain
from soar.task_sets import source_of


def learning(
    path: Path,
    *,
    runs: Path,
    out: Path,
    seeds: Sequence[int] = (),
    arms: Sequence[str] = (),
    minutes: float | None = None,
    report: bool = False,
) -> int:
    """Do what is missing of an experiment, all of it or some seeds and arms, for so many minutes at most; print what
    there is. Return the exit code: 75 where it was stopped."""
    experiment = load_experiment(path)
    seeds, arms = list(seeds or experiment.settings.seeds), list(arms or experiment.settings.arms)
    if unknown := [arm for arm in arms if arm not in experiment.settings.arms]:
        raise ConfigError(f"no arm {unknown[0]!r} in {path}: it has {', '.join(experiment.settings.arms)}")
    until = time.monotonic() + 60 * minutes if minutes is not None else float("inf")
    console, code = Console(), 0
    if not report:
        try:
            do(Study(experiment, runs, out, until, _say), seeds, arms)
        except Interrupted as stop:
            _say(str(stop))
            code = Interrupted.exit_code
    show(_shown(experiment, out, seeds), console)
    return code


def _shown(experiment: Experiment, out: Path, seeds: Sequence[int]) -> Shown:
    config, field = experiment.config(BASE, seeds[0]), experiment.settings.group
    source = source_of(config.tasks_of(config.stages[0].name), open_domain(config.tasks.domain))
    alike = groups(Path(source), field) if field else {}
    tasks = {seed: experiment.ids(experiment.settings.tasks, seed) for seed in seeds}
    return Shown(experiment, read_cells(out, experiment.digest_of), seeds, tasks, alike)


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
