"""Which programs count as duplicates in learning (§3.4): by text, by outputs, by similarity of their texts.

Pure functions of a task's programs, correct and incorrect alike. Of duplicates the shortest stays, and search order is
kept. Similarity is the cosine of embeddings, which `embed` computes.
"""

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import TypeAlias

import numpy as np

from soar.learning.embed import NGRAM_COSINE, PAPER_COSINE, Embed, code_rank_embed, ngrams
from soar.scoring import solves
from soar.types import Program, Task

Deduplicate: TypeAlias = Callable[[Task, Sequence[Program]], list[Program]]

BLOCK = 512
"""Rows compared at once: the matrix of cosines has this many rows, and a column per program kept."""


def none(task: Task, programs: Sequence[Program]) -> list[Program]:
    """Keep all."""
    del task
    return list(programs)


def by_text(task: Task, programs: Sequence[Program]) -> list[Program]:
    """Keep one program of every text, ignoring trailing blanks and empty lines."""
    del task
    return _one_of_each(programs, lambda p: "\n".join(filter(None, map(str.rstrip, p.code.splitlines()))))


def by_outputs(task: Task, programs: Sequence[Program]) -> list[Program]:
    """Keep the shortest program of every behaviour on the task."""
    del task
    return _one_of_each(programs, lambda p: p.behaviour or p.key)


def by_similarity(task: Task, programs: Sequence[Program], *, embed: Embed, above: float) -> list[Program]:
    """Keep a program unless its embedding's cosine with a shorter kept one exceeds `above`, as in the paper."""
    del task
    ascending = sorted(range(len(programs)), key=lambda place: len(programs[place].code))
    vectors = embed([programs[place].code for place in ascending])
    return [programs[place] for place in sorted(ascending[row] for row in distinct(vectors, above))]


def by_similarity_and_outputs(task: Task, programs: Sequence[Program], *, embed: Embed, above: float) -> list[Program]:
    """Deduplicate correct programs by similarity and the others by outputs, as the released code intends."""
    correct = by_similarity(task, [p for p in programs if solves(task, p)], embed=embed, above=above)
    others = by_outputs(task, [p for p in programs if not solves(task, p)])
    kept = {program.key for program in (*correct, *others)}
    return [program for program in programs if program.key in kept]


DEDUPLICATIONS: dict[str, Deduplicate] = {
    "none": none,
    "text": by_text,
    "outputs": by_outputs,
    "ngrams": partial(by_similarity, embed=ngrams, above=NGRAM_COSINE),
    "ngrams-code": partial(by_similarity_and_outputs, embed=ngrams, above=NGRAM_COSINE),
    "embeddings": partial(by_similarity, embed=code_rank_embed, above=PAPER_COSINE),
    "embeddings-code": partial(by_similarity_and_outputs, embed=code_rank_embed, above=PAPER_COSINE),
}
"""By name. "embeddings" is the paper's; "-code" marks the released code's variant."""

BY_COSINE = ("ngrams", "ngrams-code", "embeddings", "embeddings-code")
"""Those that drop by a cosine, the ones that `learning.alike_above` applies to."""


def distinct(vectors: np.ndarray, above: float) -> list[int]:
    """Return the rows of ``(n, d)`` unit vectors that stay when every row is dropped whose cosine with an earlier kept
    one exceeds `above`. Exact; compares block by block."""
    stay: list[int] = []
    for begin in range(0, len(vectors), BLOCK):
        block = vectors[begin : begin + BLOCK]
        alike = (block @ vectors[stay].T).max(axis=1, initial=-1.0) > above
        inside = block @ block.T > above
        chosen: list[int] = []
        for row in np.flatnonzero(~alike).tolist():
            if not inside[row, chosen].any():
                chosen.append(row)
        stay += [begin + row for row in chosen]
    return stay


def _one_of_each(programs: Sequence[Program], kind: Callable[[Program], Hashable]) -> list[Program]:
    shortest: dict[Hashable, int] = {}
    for place in sorted(range(len(programs)), key=lambda place: len(programs[place].code)):
        shortest.setdefault(kind(programs[place]), place)
    return [programs[place] for place in sorted(shortest.values())]
