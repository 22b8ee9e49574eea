"""What learning is told by its configuration: which programs become examples, and how many (§3.3)."""

from typing import Annotated, Literal

from pydantic import Field

from soar.settings import NonNegative, Positive, Section

PAPER_EMBEDDING = "nomic-ai/CodeRankEmbed"
"""The model by whose embeddings the paper tells which programs are alike (§3.4)."""


class LearningSettings(Section):
    """Which programs become examples (§3.3); the counts are examples per task.

    `pooled_deduplicate` stands in for `deduplicate` where the searches of several stages or runs are pooled ("all
    train": the paper's is "embeddings"). `embedding` is a model of sentence-transformers, a folder or a name in the
    cache of Hugging Face; above a cosine of `alike_above` two programs are alike, without it above 0.9 by embeddings
    (§3.4) and above 0.985 by n-grams. `hindsight_pairs_per_task` are refinements into other programs, relabelled, not
    in the paper: of parents that the search has "shown", or of those "closest" to what is then wanted. `operators` are
    those that θi serves, both as in the paper; the configured model goes on with the other. `separate`: a model for
    each of them, taught its examples alone (Tables 4 and 7). `true_copies` is how many examples a program makes that
    solves its task, answers known: each has the pairs in another order. `pseudo_labels`, not in the paper: where
    answers are hidden, the answer of most programs that are right on all training pairs is taken for the right one.
    `per_prompt` "shortest" keeps of the examples with one and the same prompt that with the shortest completion: where
    tasks share their inputs, as sequences do, one program is found for many tasks and would be taught as often. There
    one task's search also finds what solves another: with `across_tasks`, not in the paper, whatever is right on the
    shown pairs of any task of the stage is taught, beyond `samples_per_task`, and `true_copies` times.
    """

    history: Literal["current", "all"] = "current"
    curator: str = "greedy-diverse"
    pairing: str = "diverse"
    deduplicate: str = "text"
    pooled_deduplicate: str = "ngrams"
    embedding: str = PAPER_EMBEDDING
    alike_above: Annotated[float, Field(gt=-1, le=1)] | None = None
    samples_per_task: NonNegative = 50
    refinements_per_task: NonNegative = 50
    hindsight_pairs_per_task: NonNegative = 0
    hindsight_parents: Literal["shown", "closest"] = "shown"
    true_copies: Positive = 1
    pseudo_labels: bool = True
    per_prompt: Literal["all", "shortest"] = "all"
    across_tasks: bool = False
    replay: NonNegative = 0
    operators: Annotated[tuple[Literal["sample", "refine"], ...], Field(min_length=1)] = ("sample", "refine")
    separate: bool = False
