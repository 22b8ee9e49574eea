"""Where answers are hidden, is what wins the vote right more often than whatever is right on the training pairs?

``python -m experiments.pseudo_labels EXPERIMENT.toml RUNS --arm frozen`` reads the searches that an arm of
`soar experiment learning` has left in ``RUNS`` as if the test outputs were hidden, as in test-time training, and counts
of the tasks with a program of their own that is right on all training pairs

    tasks        how many there are
    behaviours   what those programs do, each counted once, and how many of these are right on the test outputs too:
                 without pseudo-labels each may be taught as a solution
    voted        for how many tasks the test outputs that most of them give are right: the pseudo-labels

It reads what was found and searches nothing. Knows archives and votes; nothing of how a model is then finetuned.
"""

import argparse
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from experiments.sequence_reach import tasks_of
from soar.archive.reader import ArchiveReader
from soar.ensemble import filtered
from soar.errors import SoarError
from soar.experiments.settings import BASE, Experiment, load_experiment
from soar.learning.pseudo_labels import pseudo_labelled
from soar.method import open_domain, open_filters
from soar.protocols import Filter
from soar.run import RunDirectory, Step, steps
from soar.scoring import solves
from soar.types import Program, Task


@dataclass(frozen=True, slots=True)
class Labels:
    """What may be taught as a solution where answers are hidden, and how much of it is one."""

    tasks: int = 0
    behaviours: int = 0
    right_behaviours: int = 0
    right_labels: int = 0

    def __add__(self, other: "Labels") -> "Labels":
        return Labels(
            self.tasks + other.tasks,
            self.behaviours + other.behaviours,
            self.right_behaviours + other.right_behaviours,
            self.right_labels + other.right_labels,
        )


def labels(task: Task, programs: Sequence[Program]) -> Labels:
    """Return what the programs of a task, those that may teach, come to; the task comes with its answers."""
    hidden = task.without_answers()
    found = {program.behaviour: program for program in programs if solves(hidden, program)}
    if not found:
        return Labels()
    right = sum(solves(task, program) for program in found.values())
    return Labels(1, len(found), right, int(pseudo_labelled(hidden, programs) == task))


def of_search(reader: ArchiveReader, step: Step, tasks: Iterable[Task], filters: dict[str, Filter]) -> Labels:
    """Return what one search comes to, all tasks together."""
    likely, total = reader.right_in_training(), Labels()
    for task in tasks:
        if task.id in likely:
            programs, _ = filtered(task.without_answers(), reader.programs(task.id, *step.key), filters)
            total += labels(task, programs)
    return total


def rows(experiment: Experiment, runs: Path, arm: str) -> Iterable[tuple[int, int, Labels]]:
    """Yield seed, search and what it comes to, for every search of an arm that is there."""
    for seed in experiment.settings.seeds:
        run = RunDirectory(runs / experiment.digest_of(arm) / f"seed-{seed}" / arm)
        if run.archive.exists():
            config = experiment.config(arm, seed)
            filters, tasks = open_filters(config, open_domain(config.tasks.domain)), tasks_of(experiment, seed)
            with closing(ArchiveReader(run.archive)) as reader:
                done = {(row.stage, row.iteration) for row in reader.iterations() if row.finished}
                for step in steps(config.plan()):
                    if step.key in done:
                        yield seed, step.number, of_search(reader, step, tasks, filters)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, help="the experiment's file")
    parser.add_argument("runs", type=Path, help="the folder of its runs")
    parser.add_argument("--arm", default=BASE)
    options = parser.parse_args()
    try:
        found = list(rows(load_experiment(options.config), options.runs, options.arm))
    except SoarError as error:
        raise SystemExit(f"{error}") from None
    if not found:
        raise SystemExit(f"no finished search of arm {options.arm!r} of {options.config} in {options.runs}")
    table = Table("seed", "search", "tasks", "behaviours", "right", "voted, right", box=SIMPLE_HEAD)
    total = Labels()
    for seed, search, each in found:
        total += each
        table.add_row(str(seed), str(search), *_cells(each))
    table.add_row("all", "", *_cells(total))
    Console().print(table)


def _cells(found: Labels) -> tuple[str, ...]:
    return str(found.tasks), str(found.behaviours), str(found.right_behaviours), str(found.right_labels)


if __name__ == "__main__":
    main()
