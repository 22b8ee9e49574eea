"""How different the programs of a task are, search by search (Figure 6). Knows texts and distances; draws nothing.

Uses n-grams of lexemes (`soar.learning.embed.ngrams`) where the paper uses CodeRankEmbed: compare the numbers with each
other, not with the paper's.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from soar.learning.embed import ngrams
from soar.report.figures.figure import Figure, Panel, cell, lines, searches, stages
from soar.report.figures.point import Drawn, Place, Point, long_form, means, point
from soar.report.figures.score import iterations
from soar.seeds import rng

MOST = 200
"""The most programs of one task and search that are compared; of more, this many are drawn."""

KINDS = {True: "solved", False: "unsolved"}

Distances: TypeAlias = Sequence[tuple[bool, float]]
"""For each task of a search with known answers and at least two programs: whether its vote solved it, and the mean
distance of its programs."""

SAYS = (
    "The mean cosine distance (1 − cosine) between two programs of a task, over all programs of the search including"
    " copies; averaged over the tasks that the search's vote solved, and over those that it did not. Embeddings are"
    f" counts of n-grams of lexemes, not the paper's CodeRankEmbed. For a task with more than {MOST} programs, a fixed"
    f" seed draws {MOST}. Tasks with fewer than two programs are left out.",
)


def distance(codes: Sequence[str], *key: str | int) -> float | None:
    """Return the mean cosine distance of all pairs of programs, from 0 to 2; None for fewer than two. Of more than
    `MOST`, a fixed seed and `key` draw that many."""
    if len(codes) < 2:
        return None
    if len(codes) > MOST:
        chosen = rng(0, "diversity", *key).permutation(len(codes))[:MOST]
        codes = [codes[int(place)] for place in chosen]
    rows = ngrams(codes).astype(np.float64)
    # The cosines of all ordered pairs add up to |Σ rows|², those of each row with itself to Σ |row|².
    pairs = len(rows) * (len(rows) - 1)
    return float(1 - (np.square(rows.sum(axis=0)).sum() - np.square(rows).sum()) / pairs)


def diversity_points(run: Drawn, found: Mapping[tuple[str, int], Distances]) -> Iterator[Point]:
    """Yield the mean distance over solved and over unsolved tasks of each search, and how many tasks those are."""
    for search, distances in found.items():
        for solved, name in KINDS.items():
            own = [value for was, value in distances if was == solved]
            yield point(run, search, f"{name} tasks", len(own))
            if own:
                yield point(run, search, name, float(np.mean(own)))


def diversity_figure(points: Sequence[Point]) -> Figure:
    """Return the figure of distances against iterations, a column per stage; unsolved tasks are dashed."""
    found = means(points)
    names = [*KINDS.values()]
    rows = [
        [
            line,
            stage,
            str(iteration),
            *(cell(found.get(Place(line, stage, iteration, name)), 3) for name in names),
            *(cell(found.get(Place(line, stage, iteration, f"{name} tasks"))) for name in names),
        ]
        for line, stage, iteration in searches(found)
    ]
    panels = []
    for stage in stages(found):
        series = [
            iterations(found, line, stage, name, colour=number, dashed=name == KINDS[False])
            for number, line in enumerate(lines(found))
            for name in names
        ]
        up = "mean cosine distance"
        panels.append(Panel(f"stage {stage}", "iteration", up, [each for each in series if each.xs], top=2.0))
    headings = ("runs", "stage", "iteration", *names, *(f"{name} tasks" for name in names))
    says = SAYS if points else ("No finished search has tasks whose answers are known and that have two programs.",)
    return Figure(
        "diversity", "Diversity per search", "Figure 6", says, headings, rows, long_form(points), panels=[panels]
    )
