"""Reads a run once for all figures, search by search and task by task, and keeps only what the figures need. Knows the
archive's questions; draws nothing.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from soar.report.figures.anytime import Search, Track, sizes, track
from soar.report.figures.diversity import Distances, distance
from soar.report.figures.point import Drawn
from soar.report.metrics import report_of, search_results
from soar.report.view import RunView


@dataclass(frozen=True)
class Reading:
    """What figures need of a run: the records of its finished searches (those of ``soar report --json``), the number
    of unfinished searches, the number of tasks with known answers by stage, the searches with their tasks' tracks, and
    how different the programs of each task are."""

    run: Drawn
    records: Sequence[Mapping[str, Any]]
    unfinished: int
    answered: Mapping[str, int]
    searches: Sequence[Search]
    distances: Mapping[tuple[str, int], Distances]


def read(view: RunView, run: Drawn) -> Reading:
    """Read all programs of a run once. Keeps nothing of an unfinished search: its score is not final."""
    searches = search_results(view)
    tracks: defaultdict[tuple[str, int], list[Track]] = defaultdict(list)
    sampled: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    distances: defaultdict[tuple[str, int], list[tuple[bool, float]]] = defaultdict(list)
    done = {step.key: row.seconds for step, row, _ in searches if row.finished}
    for step, row, results in searches:
        for task, result in zip(view.tasks[step.stage.name], results, strict=True) if row.finished else ():
            if result.solved is None:
                continue
            programs = view.reader.programs(task.id, *step.key)
            count = sum(program.origin.phase == "sample" for program in programs)
            counts, tokens = sorted({*sizes(len(programs)), count} - {0}), view.reader.tokens(task.id, *step.key)
            tracks[step.key].append(track(task, programs, tokens, view.answering, counts))
            sampled[step.key].append(count)
            apart = distance([program.code for program in programs], *step.key, task.id)
            if apart is not None:
                distances[step.key].append((result.solved, apart))
    records = report_of(view, searches)["iterations"]
    finished = [record for record in records if record["finished"]]
    return Reading(
        run=run,
        records=finished,
        unfinished=len(records) - len(finished),
        answered={name: sum(task.answered for task in tasks) for name, tasks in view.tasks.items()},
        searches=[Search(run, key, done[key], found, sampled[key]) for key, found in tracks.items()],
        distances=distances,
    )
