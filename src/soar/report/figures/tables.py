"""Tables of scores like the paper's: ways to spend a search (Table 1), and runs that differ in their settings (Tables 2
to 5 and 7). Knows searches and their scores; draws nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from soar.report.figures.anytime import MEASURES, Search, at
from soar.report.figures.figure import Figure, cell
from soar.report.figures.point import Drawn, Means, Place, Point, long_form, means, point

WAYS = ("one-shot", "sampling", "refining", "soar")
WAYS_SAY = (
    "score_mean in percent of the tasks whose answers are known: the mean share of test outputs that one of two voted"
    " answers has right. one-shot: the first program of each task in a stage's first search; sampling: the samples of"
    " that search; refining: its samples and refinements; soar: the stage's last search, after learning. sampling has"
    " fewer programs than the others if a search refines.",
)
SETTINGS_SAY = (
    "What each stage's last search reached, in percent of the tasks whose answers are known. settings: those in which"
    " the runs differ.",
)


def ways_table(searches: Sequence[Search]) -> Figure:
    """Return the table of ways to spend a search, a row per line of runs and stage."""
    points = [each for search in searches for each in _ways_points(search, searches)]
    found = means(points)
    rows = [
        [line, stage, *(cell(found.get(Place(line, stage, 0, way))) for way in WAYS)]
        for line, stage in _lines_and_stages(found)
    ]
    title = "One program, sampling, refining, learning"
    return Figure("ways", title, "Table 1", WAYS_SAY, ["runs", "stage", *WAYS], rows, long_form(points))


def _ways_points(search: Search, searches: Sequence[Search]) -> Iterator[Point]:
    """Yield what one search says of the ways: the first of a stage of the first three, a later last one of learning."""
    stage, iteration = search.key
    others = [each.key[1] for each in searches if each.run == search.run and each.key[0] == stage]
    reached: dict[str, list[float]] = {}
    if iteration == 0:
        reached["one-shot"] = [at(track, 1).share for track in search.tracks]
        reached["refining"] = [track[-1].share for track in search.tracks]
        reached["sampling"] = [
            at(track, count).share if count else 0.0 for track, count in zip(search.tracks, search.sampled, strict=True)
        ]
    elif iteration == max(others):
        reached["soar"] = [track[-1].share for track in search.tracks]
    for way, shares in reached.items():
        yield point(search.run, (stage, 0), way, 100 * sum(shares) / len(shares))


def settings_table(searches: Sequence[Search], settings: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Return the table of what each line's last search reached, a row per line and stage. `settings` are the
    configurations of the lines, by line."""
    last: dict[tuple[Drawn, str], Search] = {}
    for search in searches:
        last[search.run, search.key[0]] = search
    points = [each for (_, stage), search in last.items() for each in _last_points(search, stage)]
    found, differing = means(points), _differing(settings)
    rows = [
        [line, differing[line], stage, *(cell(found.get(Place(line, stage, 0, name))) for name in MEASURES)]
        for line, stage in _lines_and_stages(found)
    ]
    headings = ["runs", "settings", "stage", *MEASURES]
    title = "Runs that differ in their settings"
    return Figure("settings", title, "Tables 2 to 5 and 7", SETTINGS_SAY, headings, rows, long_form(points))


def _last_points(search: Search, stage: str) -> Iterator[Point]:
    ends = [track[-1] for track in search.tracks]
    shares = {
        "score_mean": [each.share for each in ends],
        "solved": [each.solved for each in ends],
        "oracle": [each.oracle for each in ends],
    }
    for name in MEASURES:
        yield point(search.run, (stage, 0), name, 100 * sum(shares[name]) / len(ends))


def _lines_and_stages(found: Means) -> list[tuple[str, str]]:
    return list(dict.fromkeys((place.line, place.stage) for place in found))


def _differing(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return for each line, as text, its values of the settings that are not alike in all lines."""
    flat = {line: dict(_leaves(config)) for line, config in settings.items()}
    names = sorted({name for leaves in flat.values() for name in leaves})
    unlike = [name for name in names if len({repr(leaves.get(name)) for leaves in flat.values()}) > 1]
    return {
        line: ", ".join(f"{name} = {leaves[name]}" for name in unlike if name in leaves)
        for line, leaves in flat.items()
    }


def _leaves(config: Any, name: str = "") -> Iterable[tuple[str, Any]]:
    """Yield the settings of a configuration as ``section.key`` with their values."""
    if isinstance(config, Mapping):
        for key, inner in config.items():
            yield from _leaves(inner, f"{name}.{key}" if name else key)
    elif isinstance(config, list) and any(isinstance(inner, Mapping) for inner in config):
        for place, inner in enumerate(config):
            yield from _leaves(inner, f"{name}.{place}")
    else:
        yield name, config
