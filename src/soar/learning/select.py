"""From a task's programs to its rows of finetuning data: filter, deduplicate, curate, relabel, render (§3.3)."""

from collections.abc import Sequence

from soar.config import LearningConfig, resolve
from soar.ensemble import votable
from soar.learning.curate import CURATORS, PAIRINGS, Closeness, answers_known, hindsight_pairs, is_correct, lineage
from soar.learning.dedup import DEDUPLICATIONS
from soar.learning.examples import Row, refinement_example, sampling_example
from soar.learning.pseudo_labels import pseudo_labelled
from soar.prompts.protocol import Rendering
from soar.seeds import rng
from soar.types import Program, Task


def examples_of(
    task: Task,
    programs: Sequence[Program],
    rendering: Rendering,
    learning: LearningConfig,
    *,
    filters: Sequence[str],
    seed: int,
    closeness: Closeness | None = None,
) -> list[Row]:
    """Return the examples of one task, sampling first; `closeness` is what parents by hindsight are chosen by.

    A task without answers gives no pairs of a wrong parent and its right child (§3.4); those by hindsight it gives.
    With `learning.pseudo_labels` it is a task with answers, those that won the vote, if it has a program to vote.
    """
    fit = votable(task.without_answers(), programs, filters)
    if learning.pseudo_labels and not answers_known(task):
        task = pseudo_labelled(task, fit)
    distinct = resolve(learning.deduplicate, DEDUPLICATIONS, "deduplication")(task, fit)
    curator = resolve(learning.curator, CURATORS, "curator")
    chosen = curator(task, distinct, learning.samples_per_task, rng(seed, "curate", task.id))
    shuffle = rng(seed, "pair-order", task.id)
    rows = []
    for program in chosen:
        copies = learning.true_copies if answers_known(task) and is_correct(task, program) else 1
        rows += [sampling_example(rendering, task, program, shuffle) for _ in range(copies)]
    near, draw = closeness if learning.hindsight_parents == "closest" else None, rng(seed, "hindsight", task.id)
    pairs = hindsight_pairs(task, fit, distinct, learning.hindsight_pairs_per_task, draw, near)
    if answers_known(task):
        pairing = resolve(learning.pairing, PAIRINGS, "pairing")
        pairs += pairing(task, lineage(task, fit), learning.refinements_per_task, rng(seed, "pair", task.id))
    return rows + [refinement_example(rendering, task, parent, child, shuffle) for parent, child in pairs]
