"""A cell of the learning experiment: what names it, its line of JSON, and how a finished search becomes one.

Reads the archive of a run and the answers of its tasks; does not know how cells are run or compared.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from experiments.solved import read_rows
from soar.archive.reader import ArchiveReader
from soar.config import Config
from soar.domains.arc.domain import Arc
from soar.domains.complete import ATTEMPTS
from soar.run import RunDirectory, Step, steps
from soar.scoring import solves, verdicts
from soar.types import Program, Task

Row = Mapping[str, Any]

BASE = "base"
"""The arm that is the first search alone, with the shipped weights; other arms begin with its archive."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What cells must have in common to be compared: digests of the shipped weights and of the settings they depend
    on, the budget of a search per task, and on how many tasks."""

    model: str
    settings: str
    samples: int
    refinements: int
    tasks: int


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """One search: of the experiment's tasks ("train" or "ttt"), or of those never learnt from ("transfer")."""

    experiment: str
    arm: str
    seed: int
    iteration: int


def read_cells(path: Path, experiments: Sequence[str], setup_of: Callable[[str], Setup]) -> dict[Cell, Row]:
    """Return the rows of a file by cell, those of other experiments and setups left out; an arm has its setup."""
    found: dict[Cell, Row] = {}
    for row in read_rows(path):
        if row["experiment"] in experiments and asdict(setup_of(row["arm"])).items() <= row.items():
            found.setdefault(Cell(row["experiment"], row["arm"], row["seed"], row["iteration"]), row)
    return found


def append_cell(path: Path, cell: Cell, setup: Setup, result: Row) -> None:
    """Append a cell's line, in one write: a kill leaves it whole or leaves nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps({**asdict(cell), **asdict(setup), **result}, separators=(",", ":")) + "\n"
    with path.open("ab", buffering=0) as file:
        file.write(line.encode())


def finished(directory: RunDirectory) -> list[int]:
    """Return the iterations of a one-stage run that are done; none where there is no run."""
    if not directory.archive.exists():
        return []
    reader = ArchiveReader(directory.archive)
    try:
        return [row.iteration for row in reader.iterations() if row.finished]
    finally:
        reader.close()


def search_result(directory: RunDirectory, config: Config, tasks: Sequence[Task], iteration: int) -> Row:
    """Return what one search of a one-stage run reached; the tasks come with their answers.

    ``right`` has an entry ``[right completions, place of the first among the samples or None]`` for each task with any;
    each task had ``completions``. ``voted``: tasks with a right one of two answers.
    """
    step = steps(config.plan())[iteration]
    reader = ArchiveReader(directory.archive)
    try:
        right = right_programs(reader, step, tasks)
        spent = next(row for row in reader.iterations() if row.iteration == iteration)
        where = "FROM completions WHERE stage = ? AND iteration = ?"
        distinct = reader.query(f"SELECT COUNT(DISTINCT task_id || code_hash) {where}", (step.stage.name, iteration))
        return {
            "completions": config.search.samples + config.search.refinements,
            "right": counted(right, config),
            "voted": _voted(directory, step, tasks),
            "distinct": distinct[0][0],
            **_learnt(reader, directory, step, tasks),
            "seconds": round(spent.seconds, 1),
            "finetune_seconds": round(spent.finetune_seconds, 1),
        }
    finally:
        reader.close()


def right_programs(reader: ArchiveReader, step: Step, tasks: Sequence[Task]) -> dict[str, list[Program]]:
    """Return the programs of a search that are right on all training pairs and all test outputs, of tasks with any."""
    solved = {row[0] for row in reader.query("SELECT DISTINCT task_id FROM executions WHERE accuracy = 1")}
    where = (step.stage.name, step.iteration)
    found = {task.id: _right(task, reader.programs(task.id, *where)) for task in tasks if task.id in solved}
    return {task: programs for task, programs in found.items() if programs}


def counted(right: Mapping[str, Sequence[Program]], config: Config) -> dict[str, list[int | None]]:
    """Return for each task how many programs are right, and the place of the first among its samples or None."""
    return {task: [len(found), _place(found, config)] for task, found in right.items()}


def _right(task: Task, programs: Iterable[Program]) -> list[Program]:
    return [program for program in programs if solves(task, program)]


def _place(programs: Iterable[Program], config: Config) -> int | None:
    """Return the place of the first of the programs among a task's samples, None if all are refinements."""
    origins = [program.origin for program in programs if program.origin.phase == "sample"]
    places = [origin.step * config.search.samples_per_request + origin.index for origin in origins]
    return min(places, default=None)


def _voted(directory: RunDirectory, step: Step, tasks: Sequence[Task]) -> list[str]:
    """Return the tasks for which one of the two answers that a search gave is right."""
    answers = json.loads(directory.answers(step.number).read_text(encoding="utf-8"))
    return [task.id for task in tasks if any(_is_answer(task, answers[task.id], name) for name in ATTEMPTS)]


def _is_answer(task: Task, answers: Sequence[Mapping[str, object]], attempt: str) -> bool:
    return all(verdicts(task.test, tuple(Arc().parse(answer[attempt]) for answer in answers)))


def _learnt(reader: ArchiveReader, directory: RunDirectory, step: Step, tasks: Sequence[Task]) -> Row:
    """Return how many examples the weights were finetuned on, replayed ones aside, and how many are of programs of the
    searches before that are right on all pairs."""
    if step.iteration == 0:
        return {"examples": 0, "examples_right": 0}
    taught = [row["program"] for row in _examples(directory, step) if row["kind"] != "replay"]
    before = [right_programs(reader, replace(step, iteration=i), tasks) for i in range(step.iteration)]
    right = {program.key for each in before for programs in each.values() for program in programs}
    return {"examples": len(taught), "examples_right": sum(key in right for key in taught)}


def _examples(directory: RunDirectory, step: Step) -> Iterator[Row]:
    """Yield the rows that a model was made from: those of the corpus where a trainer put them beside its search's."""
    selected = directory.data(step.number)
    corpus = corpus_path(selected)
    with (corpus if corpus.exists() else selected).open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def corpus_path(rows: Path) -> Path:
    """Return where the examples of the corpus lie that are learnt from in place of `rows`."""
    return rows.with_name("corpus.jsonl")
