"""Does a model of sequences that learnt come nearer to programs that are right?

``python -m experiments.sequence_reach EXPERIMENT.toml RUNS --seed 0 --arm soar --search 1`` takes the runs of a seed
that `soar experiment learning` has left in ``RUNS``, and of every task for which any of them found a right program, for
whatever task it was written, the probability that one sample is one of its four shortest: by the shipped model and by
that with which an arm did a search, at the experiment's temperature or another (``--temperature``). It prints the mean
change of its logarithm, in nats, and how many tasks some numbers of samples are expected to solve, for

    taught       the first search solved it, by a program of its own
    not taught   it did not

Far less noisy than counting what searches solve, so that settings can be chosen by it; but no result by itself: what is
known was found by these very models, and what nobody has found is not asked about. Knows archives and prompts.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from experiments.reach import SAMPLES, SHORTEST, log_chances, show
from soar.archive.reader import ArchiveReader
from soar.domains.sequences.compact import Compact
from soar.domains.task_set import load, select
from soar.experiments.cells import answer_hash
from soar.experiments.settings import BASE, Experiment, load_experiment
from soar.lm.embedded import NAMED
from soar.method import open_domain
from soar.run import RunDirectory, steps
from soar.scoring import solves
from soar.task_sets import source_of
from soar.types import Task


def known_programs(runs: Iterable[RunDirectory], tasks: Sequence[Task]) -> dict[str, list[str]]:
    """Return the shortest right programs of every task for which a run has found any, for whatever task."""
    wanted = {answer_hash(task): task.id for task in tasks}
    found: dict[str, set[str]] = defaultdict(set)
    for run in runs:
        with closing(ArchiveReader(run.archive)) as reader:
            for behaviour, code in reader.query("SELECT behaviour, code FROM executions WHERE status = 'ok'"):
                if behaviour in wanted:
                    found[wanted[behaviour]].add(code)
    return {task: sorted(codes, key=lambda code: (len(code), code))[:SHORTEST] for task, codes in found.items()}


def tasks_of(experiment: Experiment, seed: int) -> list[Task]:
    """Return the tasks that a seed searches, with their answers."""
    config = experiment.config(BASE, seed)
    ids = experiment.ids(experiment.settings.tasks, seed)
    source = source_of(config.tasks_of(config.stages[0].name), open_domain(config.tasks.domain))
    return select(load(open_domain(config.tasks.domain), source, ids=ids), ids=ids)


def taught_by(base: RunDirectory, experiment: Experiment, seed: int, tasks: Sequence[Task]) -> set[str]:
    """Return the tasks that the first search solved."""
    step = steps(experiment.config(BASE, seed).plan())[0]
    with closing(ArchiveReader(base.archive)) as reader:
        own = {task.id: reader.programs(task.id, *step.key) for task in tasks}
    return {task.id for task in tasks if any(solves(task, program) for program in own[task.id])}


def report(taught: set[str], before: Mapping[str, float], after: Mapping[str, float]) -> Table:
    """Return a line for the tasks that were taught and one for the others."""
    table = Table("", "tasks", "θ0", "change", *(f"by {n}" for n in SAMPLES), box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name, ids in (("taught", before.keys() & taught), ("not taught", before.keys() - taught)):
        table.add_row(*show(name, *(np.array([each[i] for i in sorted(ids)]) for each in (before, after))))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, help="the experiment's file")
    parser.add_argument("runs", type=Path, help="the folder of its runs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--arm", default="soar")
    parser.add_argument("--search", type=int, default=1, help="with the model of which search")
    parser.add_argument("--weights", type=Path, help="other weights than those of the arm")
    parser.add_argument("--temperature", type=float, help="another than the experiment's")
    options = parser.parse_args()
    experiment = load_experiment(options.config)
    folder = options.runs / experiment.digest / f"seed-{options.seed}"
    runs = [RunDirectory(each) for each in sorted(folder.iterdir()) if RunDirectory(each).archive.exists()]
    tasks = tasks_of(experiment, options.seed)
    known = known_programs(runs, tasks)
    asked = [(task, known[task.id]) for task in tasks if task.id in known]
    learnt = options.weights or RunDirectory(folder / options.arm).weights(options.search)
    temperature = options.temperature or experiment.config(BASE, options.seed).sampling.temperature
    before, after = (log_chances(each, asked, temperature, Compact()) for each in (NAMED["sequences"], learnt))
    console = Console()
    console.print("Log-chance of a known program; tasks solved by so many samples, θ0 → the other")
    console.print(report(taught_by(RunDirectory(folder / BASE), experiment, options.seed, tasks), before, after))


if __name__ == "__main__":
    main()
