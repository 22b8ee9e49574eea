"""From a task's programs to its training examples: filter, deduplicate, curate, relabel, render (§3.3)."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TypeAlias

from soar.ensemble import filtered
from soar.learning.curate import Curator, Pairing, hindsight_pairs, lineage
from soar.learning.dedup import Deduplicate
from soar.learning.examples import Row, refinement_example, sampling_example
from soar.learning.pseudo_labels import pseudo_labelled
from soar.learning.settings import LearningSettings
from soar.protocols import Filter, Heuristic, Rendering
from soar.scoring import right_pairs, solves, verdicts
from soar.seeds import rng
from soar.types import Output, Program, Task, Value


@dataclass(frozen=True, slots=True)
class Teaching:
    """How examples are chosen and written: the settings, and the parts that they name.

    `closeness` chooses hindsight parents; with None they are those that the search showed.
    """

    settings: LearningSettings
    rendering: Rendering
    filters: Mapping[str, Filter]
    deduplicate: Deduplicate
    curator: Curator
    pairing: Pairing
    closeness: Heuristic | None = None


Pairs: TypeAlias = tuple[tuple[Value, Output | None], ...]
"""Inputs with their outputs, the expected ones or a program's."""


def shown_pairs(task: Task, program: Program | None = None) -> Pairs:
    """Return a task's training pairs, or their inputs with a program's outputs."""
    outputs = [example.output for example in task.train] if program is None else program.train
    return tuple(zip((example.input for example in task.train), outputs, strict=True))


def examples_of(
    teaching: Teaching, task: Task, programs: Sequence[Program], seed: int, asked: Set[Pairs] = frozenset()
) -> list[Row]:
    """Return the examples of one task, sampling first. `asked` are the `shown_pairs` of all tasks of the stage.

    A task without answers yields no pairs of a wrong parent and its right child (§3.4), only hindsight pairs. With
    `pseudo_labels`, the outputs that win the vote become its answers if a program right on all training pairs votes.
    """
    how, rendering = teaching.settings, teaching.rendering
    fit, _ = filtered(task.without_answers(), programs, teaching.filters)
    shown = task
    if how.pseudo_labels and not task.answered:
        task = pseudo_labelled(task, fit)
    distinct = teaching.deduplicate(task, fit)
    chosen = teaching.curator(task, distinct, how.samples_per_task, rng(seed, "curate", task.id))
    solving = {p.key for p in distinct if shown_pairs(task, p) in asked} if how.across_tasks else set[str]()
    shuffle = rng(seed, "pair-order", task.id)
    rows: list[Row] = []
    for program, chosen_by in _with_reasons(how, chosen, distinct, solving):
        true = program.key in solving or (task.answered and solves(task, program))
        why = f"{chosen_by}; {_right(shown, task, program)}"
        copies = how.true_copies if true else 1
        rows += [{**sampling_example(rendering, task, program, shuffle), "why": why} for _ in range(copies)]
    draw = rng(seed, "hindsight", task.id)
    pairs = hindsight_pairs(task, fit, distinct, how.hindsight_pairs_per_task, draw, teaching.closeness)
    made = [(parent, child, "hindsight") for parent, child in pairs]
    if task.answered:
        pairs = teaching.pairing(task, lineage(task, fit), how.refinements_per_task, rng(seed, "pair", task.id))
        made += [(parent, child, f"{how.pairing}, {n} of {len(pairs)}") for n, (parent, child) in enumerate(pairs, 1)]
    for parent, child, chosen_by in made:
        why = f"{chosen_by}; of a parent with {_right(shown, task, parent)}"
        rows.append({**refinement_example(rendering, task, parent, child, shuffle), "why": why})
    return rows


def _with_reasons(
    how: LearningSettings, chosen: Sequence[Program], distinct: Sequence[Program], solving: Set[str]
) -> list[tuple[Program, str]]:
    """Return the programs to teach, each with the reason: the curator's choice in its order, then those that solve
    another task."""
    found = [(program, f"{how.curator}, {n} of {len(chosen)}") for n, program in enumerate(chosen, 1)]
    others = solving - {program.key for program in chosen}
    return found + [(program, "solves another task") for program in distinct if program.key in others]


def _right(shown: Task, task: Task, program: Program) -> str:
    """Say on how many pairs a program is right, among those whose output the stage knows; and if a vote stands in for
    the others (`task`), whether it agrees with that."""
    known = sum(example.output is not None for example in (*shown.train, *shown.test))
    said = f"{right_pairs(shown, program)} of {known} pairs right"
    if task is shown:
        return said
    agrees = all(verdicts(task.test, program.test))
    return f"{said}; {'agrees with' if agrees else 'differs from'} the vote taken for the answer"
