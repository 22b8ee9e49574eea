"""Groups runs into the lines of a figure: runs of one line have configurations that differ only in the seed and in
settings that no result depends on. Knows what a run was started with; reads no program.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from soar.errors import ConfigError
from soar.report.figures.point import Drawn
from soar.report.view import RunView
from soar.run import RunDirectory
from soar.types import canonical_json


def drawn(views: Sequence[RunView], free: Collection[str] = ()) -> list[Drawn]:
    """Return each run with its seed and its line, which is named after its first run.

    Settings named in `free`, as ``section.key``, do not make another line, except among runs of the same seed.
    `ConfigError` if two runs have the same configuration and the same seed: they do not count as two seeds.
    """
    names = run_names(views)
    settings = [RunDirectory(view.path).config() for view in views]
    numbers = [each.pop("seed", 0) for each in settings]
    first: dict[str, str] = {}
    seeds: defaultdict[str, dict[int, str]] = defaultdict(dict)
    found = []
    for name, seed, key in zip(names, numbers, _keys(settings, numbers, free), strict=True):
        line = first.setdefault(key, name)
        if seed in seeds[line]:
            raise ConfigError(
                f"the runs {seeds[line][seed]} and {name} have the same configuration and seed {seed}: they do not"
                " count as two seeds; name only one of them"
            )
        seeds[line][seed] = name
        found.append(Drawn(name, seed, line))
    return found


def _keys(settings: Sequence[Mapping[str, Any]], seeds: Sequence[int], free: Collection[str]) -> list[str]:
    """Return for each run a text that is the same for the runs of a line.

    Runs that are alike but for free settings may be meant to differ by these, as by a limit of seconds: their seeds
    tell, for a seed that is there twice is no further seed.
    """
    priceless = [_without_prices(each) for each in settings]
    strict = [canonical_json(each) for each in priceless]
    loose = [canonical_json(_without(each, free)) for each in priceless]
    there = Counter(zip(loose, seeds, strict=True))
    twice = {key for (key, _), count in there.items() if count > 1}
    return [exact if key in twice else key for key, exact in zip(loose, strict, strict=True)]


def _without(settings: Any, names: Collection[str], at: str = "") -> Any:
    """Return settings without those of these names (``section.key``, ``stages.0.key``)."""
    if isinstance(settings, Mapping):
        kept = {key: inner for key, inner in settings.items() if f"{at}{key}" not in names}
        return {key: _without(inner, names, f"{at}{key}.") for key, inner in kept.items()}
    if isinstance(settings, list):
        return [_without(inner, names, f"{at}{place}.") for place, inner in enumerate(settings)]
    return settings


def _without_prices(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration without prices, which may change while a run goes on, and of which no figure tells."""
    budget = {name: value for name, value in settings.get("budget", {}).items() if not name.startswith("price_")}
    return {**settings, "budget": budget}


def settings_of(views: Sequence[RunView], runs: Sequence[Drawn]) -> dict[str, dict[str, Any]]:
    """Return the configuration of each line of runs, as far as its runs have it in common, without the seed."""
    found: dict[str, dict[str, Any]] = {}
    for view, run in zip(views, runs, strict=True):
        config = {name: value for name, value in RunDirectory(view.path).config().items() if name != "seed"}
        found[run.line] = _common(found[run.line], config) if run.line in found else config
    return found


def _common(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings with the same value in two configurations."""
    found = {}
    for name in one.keys() & other.keys():
        if isinstance(one[name], Mapping) and isinstance(other[name], Mapping):
            found[name] = _common(one[name], other[name])
        elif one[name] == other[name]:
            found[name] = one[name]
    return found


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
