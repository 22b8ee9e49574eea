"""Groups runs into the lines of a figure: runs of one line have configurations that differ only in seed and prices.
Knows what a run was started with; reads no program.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from soar.errors import ConfigError
from soar.report.figures.point import Drawn
from soar.report.view import RunView
from soar.run import RunDirectory
from soar.types import canonical_json


def drawn(views: Sequence[RunView]) -> list[Drawn]:
    """Return each run with its seed and its line, which is named after its first run.

    `ConfigError` if two runs have the same configuration and the same seed: they do not count as two seeds.
    """
    names = run_names(views)
    first: dict[str, str] = {}
    seeds: defaultdict[str, dict[int, str]] = defaultdict(dict)
    found = []
    for view, name in zip(views, names, strict=True):
        settings = RunDirectory(view.path).config()
        seed = settings.pop("seed", 0)
        line = first.setdefault(canonical_json(_without_prices(settings)), name)
        if seed in seeds[line]:
            raise ConfigError(
                f"the runs {seeds[line][seed]} and {name} have the same configuration and seed {seed}: they do not"
                " count as two seeds; name only one of them"
            )
        seeds[line][seed] = name
        found.append(Drawn(name, seed, line))
    return found


def _without_prices(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration without prices, which may change while a run goes on, and of which no figure tells."""
    budget = {name: value for name, value in settings.get("budget", {}).items() if not name.startswith("price_")}
    return {**settings, "budget": budget}


def settings_of(views: Sequence[RunView], runs: Sequence[Drawn]) -> dict[str, dict[str, Any]]:
    """Return the configuration of each line of runs, without the seed."""
    found = {run.line: RunDirectory(view.path).config() for view, run in zip(views, runs, strict=True)}
    return {line: {name: value for name, value in config.items() if name != "seed"} for line, config in found.items()}


def run_names(views: Sequence[RunView]) -> list[str]:
    """Return the names of runs: those of their directories if these differ, else their paths."""
    short = [view.name for view in views]
    return [name if short.count(name) == 1 else str(view.path) for name, view in zip(short, views, strict=True)]


def other_tasks(views: Sequence[RunView], runs: Sequence[Drawn]) -> list[str]:
    """Return the lines whose runs are not all on the same tasks: the seed may draw them (``tasks.count``)."""
    sets: defaultdict[str, set[tuple[tuple[str, ...], ...]]] = defaultdict(set)
    for view, run in zip(views, runs, strict=True):
        sets[run.line].add(tuple(tuple(task.id for task in tasks) for tasks in view.tasks.values()))
    return [line for line, found in sets.items() if len(found) > 1]
