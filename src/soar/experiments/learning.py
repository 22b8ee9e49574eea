"""The commands ``soar experiment``: do what is missing, then say what was found. *learning* asks whether learning
helps; the others are the paper's comparisons.
"""

import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from soar.errors import ConfigError, Interrupted
from soar.experiments.arms import Study, do
from soar.experiments.cells import read_cells
from soar.experiments.compare import load_comparison
from soar.experiments.compare_report import WIDTH, tabled
from soar.experiments.compare_report import show as show_comparison
from soar.experiments.compare_report import write as write_comparison
from soar.experiments.figure import learning_figure
from soar.experiments.report import Shown, show
from soar.experiments.settings import BASE, Experiment, groups, load_experiment
from soar.method import open_domain
from soar.report.figures.draw import draw, matplotlib_or_error
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
    figure: Path | None = None,
) -> int:
    """Do what is missing of an experiment, all of it or some seeds and arms, for so many minutes at most; print what
    there is, and draw it into a folder. Return the exit code: 75 where it was stopped."""
    experiment = load_experiment(path)
    seeds = _chosen(experiment, seeds, arms)
    if figure is not None:
        matplotlib_or_error()
    code = 0 if report else carry_out(experiment, runs, out, seeds, arms, minutes)
    shown = _shown(experiment, out, seeds)
    show(shown, Console())
    if figure is not None and (made := learning_figure(shown, path.stem)).panels:
        figure.mkdir(parents=True, exist_ok=True)
        draw(made, figure)
    return code


def comparison(
    name: str,
    path: Path,
    *,
    runs: Path,
    out: Path,
    seeds: Sequence[int] = (),
    arms: Sequence[str] = (),
    minutes: float | None = None,
    report: bool = False,
    write: Path | None = None,
    overrides: Sequence[str] = (),
) -> int:
    """Do what is missing of one of the paper's comparisons, on the settings and tasks of a file with `overrides`
    (``section.key=value``); print its table, and write it to a folder as Markdown and CSV, a figure's picture too.
    Return the exit code: 75 where it was stopped."""
    compared = load_comparison(name, path, overrides)
    if write is not None and compared.drawn:
        matplotlib_or_error()
    only = [word for seed in seeds for word in ("--seed", seed)]
    seeds = _chosen(compared.experiment, seeds, arms)
    code = 0 if report else carry_out(compared.experiment, runs, out, seeds, arms, minutes)
    made = tabled(compared, read_cells(out, compared.experiment.digest_of), seeds)
    # As wide as it needs: cut off, a figure would be another one.
    show_comparison(compared.title, made, Console(width=max(Console().width, WIDTH)))
    if write is not None:
        settings = [word for override in overrides for word in ("--set", override)]
        asked = ["soar", "experiment", name, path, *settings, *only, "--report", "--out", out, "--write", write]
        write_comparison(compared, made, write, shlex.join(map(str, asked)))
    return code


def carry_out(
    experiment: Experiment, runs: Path, out: Path, seeds: Sequence[int], arms: Sequence[str], minutes: float | None
) -> int:
    """Do the cells that are missing, of some arms or all, for so many minutes at most; return the exit code, that of
    the first arm that failed or was left to another process."""
    until = time.monotonic() + 60 * minutes if minutes is not None else float("inf")
    try:
        left = do(Study(experiment, runs, out, until, _say), seeds, list(arms or experiment.settings.arms))
    except Interrupted as stop:
        _say(str(stop))
        return Interrupted.exit_code
    return left[0].exit_code if left else 0


def _chosen(experiment: Experiment, seeds: Sequence[int], arms: Sequence[str]) -> list[int]:
    """Return the seeds that are meant; `ConfigError` where an experiment has no arms, or not those that are named."""
    settings = experiment.settings
    if not settings.arms:
        raise ConfigError(f"{experiment.path} declares no arms: a section [experiment.arms.NAME] for each is needed")
    if unknown := [arm for arm in arms if arm not in settings.arms]:
        raise ConfigError(f"no arm {unknown[0]!r} in {experiment.path}: it has {', '.join(settings.arms)}")
    if others := [seed for seed in seeds if seed not in settings.seeds]:
        raise ConfigError(
            f"no seed {others[0]} in {experiment.path}: it has {', '.join(map(str, settings.seeds))} (experiment.seeds)"
        )
    return list(seeds or settings.seeds)


def _shown(experiment: Experiment, out: Path, seeds: Sequence[int]) -> Shown:
    config, field = experiment.config(BASE, seeds[0]), experiment.settings.group
    source = source_of(config.tasks_of(config.stages[0].name), open_domain(config.tasks.domain))
    alike = groups(Path(source), field) if field else {}
    tasks = {seed: experiment.ids(experiment.settings.tasks, seed) for seed in seeds}
    return Shown(experiment, read_cells(out, experiment.digest_of), seeds, tasks, alike)


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
