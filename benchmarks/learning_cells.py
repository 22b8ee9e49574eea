"""A cell of the learning experiment: what names it, its line of JSON, and how a finished search becomes one.

Reads the archive of a run and the answers of its tasks; does not know how cells are run or compared.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.solved import read_rows
from soar.archive.reader import ArchiveReader
from soar.config import Config, resolve
from soar.ensemble import VOTERS, score, votable
from soar.report.metrics import is_right
from soar.run import RunDirectory, Step, steps
from soar.types import Program, Task

Row = Mapping[str, Any]

BASE = "base"
"""The arm that is the first search alone, with the shipped weights; other arms begin with its archive."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What cells must have in common to be compared: digests of the shipped weights and of the settings' file, the
    budget of a search per task, and on how many tasks."""

    model: str
    settings: str
    samples: int
    refinements: int
    tasks: int


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """One search (experiment "train" or "ttt"), or one measurement of weights on unsearched tasks ("transfer")."""

    experiment: str
    arm: str
    seed: int
    iteration: int

    def __str__(self) -> str:
        return f"{self.experiment}/{self.arm}/seed {self.seed}/iteration {self.iteration}"


def read_cells(path: Path, setups: Mapping[str, Setup]) -> dict[Cell, Row]:
    """Return the rows of a file by cell, those of other setups left out; `setups` is by experiment."""
    found: dict[Cell, Row] = {}
    for row in read_rows(path):
        setup = setups.get(row["experiment"])
        if setup is not None and asdict(setup).items() <= row.items():
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
        return [iteration for _, iteration, _, _, done in reader.iterations() if done]
    finally:
        reader.close()


def search_result(directory: RunDirectory, config: Config, tasks: Sequence[Task], iteration: int) -> Row:
    """Return what one search of a one-stage run reached; the tasks come with their answers.

    ``right`` has an entry ``[right completions, those among samples]`` for each task with any; each task had
    ``completions`` of which ``sampled`` were samples. ``voted``: a task's two voted answers hold the right one.
    """
    step = steps(config)[iteration]
    reader = ArchiveReader(directory.archive)
    try:
        right, voted = _scores(reader, step, config, tasks)
        times = {found[1]: found[2:4] for found in reader.iterations()}
        where = "FROM completions WHERE stage = ? AND iteration = ?"
        distinct = reader.query(f"SELECT COUNT(DISTINCT task_id || code_hash) {where}", (step.stage.name, iteration))
        return {
            "completions": config.search.samples + config.search.refinements,
            "sampled": config.search.samples,
            "right": right,
            "voted": voted,
            "distinct": distinct[0][0],
            **_learnt(reader, directory, step, tasks),
            "seconds": round(times[iteration][0], 1),
            "finetune_seconds": round(times[iteration][1], 1),
        }
    finally:
        reader.close()


def _scores(
    reader: ArchiveReader, step: Step, config: Config, tasks: Sequence[Task]
) -> tuple[dict[str, list[int]], list[str]]:
    """Return the numbers of right completions by task, and the tasks that the vote solves."""
    voter = resolve(config.answer.voter, VOTERS, "voter")
    right: dict[str, list[int]] = {}
    voted: list[str] = []
    for task in tasks:
        programs = reader.programs(task.id, step.stage.name, step.iteration)
        counts = count_right(task, programs)
        if counts[0]:
            right[task.id] = counts
        if score(task, voter(votable(task.without_answers(), programs, config.answer.filters))).solved:
            voted.append(task.id)
    return right, voted


def count_right(task: Task, programs: Iterable[Program]) -> list[int]:
    """Return how many programs are right on all training pairs and all test outputs, and how many of these samples."""
    phases = [program.origin.phase for program in programs if is_right(task, program)]
    return [len(phases), phases.count("sample")]


def _learnt(reader: ArchiveReader, directory: RunDirectory, step: Step, tasks: Sequence[Task]) -> Row:
    """Return how many examples the weights were finetuned on, replayed ones aside, and how many are of programs of the
    run's own that are right on all pairs."""
    if step.iteration == 0:
        return {"examples": 0, "examples_right": 0}
    own = [row for row in _examples(directory, step) if row["kind"] != "replay"]
    wanted = {row["program"] for row in own}
    before = (p for task in tasks for p in _right(reader, step, task))
    right = {program.key for program in before} & wanted
    return {"examples": len(own), "examples_right": sum(row["program"] in right for row in own)}


def _examples(directory: RunDirectory, step: Step) -> Iterator[Row]:
    """Yield the rows that a model was made from: those of the corpus where a trainer put them beside its search's."""
    selected = directory.data(step.number)
    corpus = corpus_path(selected)
    with (corpus if corpus.exists() else selected).open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _right(reader: ArchiveReader, step: Step, task: Task) -> list[Program]:
    programs = reader.programs(task.id, step.stage.name, step.iteration - 1)
    return [program for program in programs if is_right(task, program)]


def corpus_path(rows: Path) -> Path:
    """Return where the examples of the corpus lie that are learnt from in place of `rows`."""
    return rows.with_name("corpus.jsonl")
