"""Does a model that learnt come nearer to solutions that it was not taught?

``python -m experiments.reach RUN_DIR`` takes the weights that a run of the embedded model has learnt (``--number 1``:
for its second search; or any, ``--weights``) and, of every ARC task with a right program in ``experiments/results``
(`embedded.jsonl`, `blind.jsonl`, whichever weights or grammar wrote it), the probability that one sample is one of its
four shortest: by the shipped model and by the other. It prints the mean change of its logarithm, in nats, and how many
tasks some numbers of samples are expected to solve, for each of

    solved           the run's first search solved it: the model was taught it
    unsolved         the run's first search did not solve it
    not searched     other training tasks
    evaluation

and for tasks that were not taught by how likely the shipped model finds them. Far less noisy than counting what
searches solve, but for two things: what is known was mostly found by luck with some weights, so that a known solution
is likelier by those than solutions are; and what no one has found is not asked about. Knows archives, prompts and
transformers; knows nothing of how a search goes.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from experiments.learning_cells import right_programs
from experiments.solved import RESULTS, SETS, read_rows
from experiments.surprise import losses, searched_tasks
from soar.archive.reader import ArchiveReader
from soar.config import validated
from soar.domains.arc.compact import Compact
from soar.domains.arc.domain import Arc
from soar.learning.trainers.tokens import Tokens
from soar.lm.embedded import SHIPPED
from soar.protocols import Rendering
from soar.run import RunDirectory, steps
from soar.types import Task

GROUPS: Sequence[str] = ("solved", "unsolved", "not searched", "evaluation")
BANDS = (-np.inf, -10.0, -7.0, -5.0, -3.0, 0.0)
SAMPLES = (128, 512)
SHORTEST = 4


def known_programs(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the shortest right programs of every task that lines of results have any for."""
    found: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row.get("code"):
            found[row["task"]].add(row["code"])
    return {task: sorted(codes, key=lambda code: (len(code), code))[:SHORTEST] for task, codes in found.items()}


def groups_of(run: RunDirectory, tasks: Mapping[str, Sequence[Task]]) -> dict[str, list[Task]]:
    """Return the tasks of both ARC sets by what the run's first search made of them."""
    groups: dict[str, list[Task]] = {name: [] for name in GROUPS}
    step = steps(validated(run.config()).plan())[0]
    with closing(ArchiveReader(run.archive)) as reader:
        searched = searched_tasks(reader, step.stage.name)
        right = right_programs(reader, step, [task for each in tasks.values() for task in each if task.id in searched])
    for name, each in tasks.items():
        unseen = "evaluation" if name == "arc1-evaluation" else "not searched"
        for task in each:
            groups[unseen if task.id not in searched else "solved" if task.id in right else "unsolved"].append(task)
    return groups


def examples_of(task: Task, codes: Sequence[str], tokenizer: Any, context: int, rendering: Rendering) -> list[Tokens]:
    """Return programs as completions of the sampling prompt that fits with all of them; none where none does."""
    hidden = task.without_answers()
    ends = [tokenizer(rendering.completion(code), add_special_tokens=False)["input_ids"] for code in codes]
    for detail in rendering.details(hidden):
        prompt = tokenizer(rendering.sampling(hidden, None, detail), add_special_tokens=False)["input_ids"]
        if len(prompt) + max(map(len, ends)) < context:
            return [Tokens([*prompt, *end, tokenizer.eos_token_id], len(prompt)) for end in ends]
    return []


def log_chances(
    weights: Path,
    asked: Iterable[tuple[Task, Sequence[str]]],
    temperature: float,
    rendering: Rendering = Compact(),
) -> dict[str, float]:
    """Return for each task the logarithm of the probability that a sample is one of some programs."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(weights, local_files_only=True)
    model: Any = AutoModelForCausalLM.from_pretrained(weights, local_files_only=True).eval()
    found = {}
    for task, codes in asked:
        if examples := examples_of(task, codes, tokenizer, model.config.max_position_embeddings, rendering):
            nats = losses(model, examples, temperature)
            found[task.id] = float(np.logaddexp.reduce(-np.array(nats)))
    return found


def expected(logs: NDArray[np.float64], samples: int) -> float:
    """Return how many tasks are expected to be solved by samples drawn one by one, given their log-chances."""
    return float((1 - np.exp(-samples * np.exp(logs))).sum())


def show(name: str, before: NDArray[np.float64], after: NDArray[np.float64]) -> list[str]:
    """Return a line of the table: tasks, the shipped model's mean, the change with its standard error, and tasks
    expected to be solved before and after."""
    if not len(before):
        return [name, "0", *[""] * (2 + len(SAMPLES))]
    change = after - before
    error = change.std(ddof=1) / len(change) ** 0.5 if len(change) > 1 else float("nan")
    solved = [f"{expected(before, n):.1f} → {expected(after, n):.1f}" for n in SAMPLES]
    return [name, str(len(before)), f"{before.mean():.2f}", f"{change.mean():+.2f} ± {error:.2f}", *solved]


def report(groups: Mapping[str, Sequence[Task]], before: Mapping[str, float], after: Mapping[str, float]) -> Table:
    """Return the table of groups, and of what was not taught by bands of the shipped model's log-chance."""
    table = Table("", "tasks", "θ0", "change", *(f"by {n}" for n in SAMPLES), box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    places = {name: [task.id for task in tasks if task.id in before] for name, tasks in groups.items()}
    for name, ids in places.items():
        table.add_row(*show(name, *(np.array([each[i] for i in ids]) for each in (before, after))))
    table.add_section()
    ids = [i for name in GROUPS[1:] for i in places[name]]
    first, second = (np.array([each[i] for i in ids]) for each in (before, after))
    for low, high in pairwise(BANDS):
        band = (low <= first) & (first < high)
        table.add_row(*show(f"{low:g} to {high:g}", first[band], second[band]))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="the directory of a run on ARC training tasks by the embedded model")
    parser.add_argument("--number", type=int, default=1, help="of which search the weights are asked")
    parser.add_argument("--weights", type=Path, help="other weights than those of the run")
    parser.add_argument("--temperature", type=float, default=0.6)
    options = parser.parse_args()
    run = RunDirectory(options.run)
    known = known_programs(row for name in ("embedded", "blind") for row in read_rows(RESULTS / f"{name}.jsonl"))
    groups = groups_of(run, {name: Arc().load(name) for name in SETS})
    asked = [(task, known[task.id]) for tasks in groups.values() for task in tasks if task.id in known]
    taught = options.weights or run.weights(options.number)
    before, after = (log_chances(weights, asked, options.temperature) for weights in (SHIPPED, taught))
    console = Console()
    console.print("Log-chance of a known program; tasks solved by so many samples, θ0 → the other")
    console.print(report(groups, before, after))
    console.print("The lower part: tasks that were not taught, by their log-chance with θ0")


if __name__ == "__main__":
    main()
