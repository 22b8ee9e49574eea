"""The settings of learning: which programs become examples, and how many (§3.3)."""

from typing import Annotated, Literal

from pydantic import Field

from soar.settings import NonNegative, Positive, Section

PAPER_EMBEDDING = "nomic-ai/CodeRankEmbed"
"""The model whose embeddings the paper deduplicates by (§3.4)."""


class LearningSettings(Section):
    """Which programs become examples (§3.3); the counts are examples per task.

    `pooled_deduplicate` replaces `deduplicate` when the searches of several stages or runs are pooled ("all train";
    the paper's is "embeddings"). `embedding` is a sentence-transformers model, a folder or a name in the Hugging Face
    cache. Two programs are duplicates above a cosine of `alike_above`, by default 0.9 by embeddings (§3.4) and 0.985
    by n-grams. `hindsight_pairs_per_task`, not in the paper, are refinements into other programs, relabelled; their
    parents (`hindsight_parents`) are those that the search has "shown", or the "closest" to the relabelled outputs.
    `operators` are those that θi serves, both as in the paper; the configured model serves the rest. `separate` trains
    one model per operator, on the examples of that operator alone (Tables 4 and 7). `true_copies` is the number of
    examples made of a program that solves its task, if answers are known; each shuffles the pairs anew.
    `pseudo_labels`, not in the paper: if answers are hidden, the answer of most programs right on all training pairs
    is taken for the right one. `per_prompt` "shortest" keeps, of the examples with the same prompt, the one with the
    shortest completion: where tasks share their inputs, as sequences do, one program is found for many tasks and would
    be taught once for each. There the search of one task also finds programs that solve another: `across_tasks`, not
    in the paper, teaches every program right on the training pairs of any task of the stage, on top of
    `samples_per_task` and `true_copies` times.
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
