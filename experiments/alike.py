"""What does deduplication of similar programs drop?

``python -m experiments.alike RUN_DIR`` takes the executed programs of a run, task by task, embeds their texts by the
built-in n-grams or by a model of sentence-transformers (``--embedding FOLDER``), and says for some bounds of the cosine
how many programs stay and how many are dropped. Below stand the ten pairs of a task whose cosine is nearest to a bound
(``--above``), and what only one of them has: whether they are the same program is for the reader to say, and so whether
the bound is good.

Knows runs and embeddings; drops nothing.
"""

import argparse
import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from itertools import islice
from pathlib import Path

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from soar import session
from soar.errors import SoarError
from soar.learning.dedup import distinct
from soar.learning.embed import NGRAM_COSINE, PAPER_COSINE, Embed, embedder, ngrams
from soar.report.view import RunView

BOUNDS = (0.8, 0.85, 0.9, 0.95, 0.97, 0.985, 0.995)
PAIRS = 10


@dataclass(frozen=True, slots=True, order=True)
class Pair:
    """Two programs of a task, by how far their cosine is from the bound."""

    far: float
    cosine: float
    task: str
    first: str
    second: str


def texts_by_task(view: RunView) -> Iterator[tuple[str, list[str]]]:
    """Yield each task's distinct programs that ran, the shortest first, as deduplication meets them."""
    for stage in dict.fromkeys(step.stage.name for step in view.plan):
        for task in view.tasks[stage]:
            codes = {program.code for program in view.reader.programs(task.id, stage) if program.ran}
            if codes:
                yield task.id, sorted(codes, key=lambda code: (len(code), code))


def kept(vectors: np.ndarray, bounds: Sequence[float]) -> list[int]:
    """Return how many of a task's programs stay by each bound."""
    return [len(distinct(vectors, bound)) for bound in bounds]


def nearest(task: str, texts: Sequence[str], vectors: np.ndarray, above: float) -> list[Pair]:
    """Return the pairs of a task's programs whose cosine is nearest to a bound."""
    rows, columns = np.triu_indices(len(texts), 1)
    cosines = (vectors @ vectors.T)[rows, columns]
    order = np.argsort(np.abs(cosines - above), kind="stable")[:PAIRS]
    return [
        Pair(abs(float(cosines[k]) - above), float(cosines[k]), task, texts[int(rows[k])], texts[int(columns[k])])
        for k in order.tolist()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run directory")
    parser.add_argument("--embedding", help="a folder, or a name in the cache of Hugging Face (default: n-grams)")
    parser.add_argument("--above", type=float, help="the bound whose borderline pairs are shown")
    parser.add_argument("--tasks", type=int, help="only so many tasks")
    try:
        look(parser.parse_args())
    except SoarError as error:
        raise SystemExit(f"{error}") from None


def look(options: argparse.Namespace) -> None:
    """Read a run, and print what is dropped."""
    embed: Embed = embedder(options.embedding) if options.embedding else ngrams
    above = options.above or (PAPER_COSINE if options.embedding else NGRAM_COSINE)
    counts, programs, pairs = np.zeros(len(BOUNDS), dtype=int), 0, list[Pair]()
    with session.view_run(options.run) as view:
        for task, texts in islice(texts_by_task(view), options.tasks):
            vectors = embed(texts)
            counts += kept(vectors, BOUNDS)
            programs += len(texts)
            pairs = heapq.nsmallest(PAIRS, [*pairs, *nearest(task, texts, vectors, above)])
    report(programs, counts.tolist(), pairs, above, Console())


def report(programs: int, counts: Sequence[int], pairs: Sequence[Pair], above: float, console: Console) -> None:
    """Print how many stay by each bound, and the borderline pairs of one: what only one of two programs has is marked
    by - and +."""
    table = Table("cosine above", "programs", "kept", "dropped", box=SIMPLE_HEAD)
    for bound, count in zip(BOUNDS, counts, strict=True):
        table.add_row(f"{bound}", str(programs), str(count), str(programs - count))
    console.print(table)
    for pair in pairs:
        said = "dropped" if pair.cosine > above else "kept"
        console.print(
            f"— task {pair.task}, cosine {pair.cosine:.4f}: the longer (+) is {said}: above {above} is alike",
            highlight=False,
        )
        first, second = pair.first.rstrip().splitlines(), pair.second.rstrip().splitlines()
        changes = list(unified_diff(first, second, n=0, lineterm=""))[2:]
        for line in (change for change in changes if not change.startswith("@@")):
            console.print(line, markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
