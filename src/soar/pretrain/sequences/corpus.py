"""A trainer for a control: it trains on new random programs, as many as there are training examples from the search.

For ``finetune.trainer``: shows what a model gains from more training alone, without anything of its search.
"""

from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

from soar.learning.examples import Row, write_examples
from soar.learning.trainers.trl import Trl
from soar.pretrain.sequences.generate import draw, lines
from soar.pretrain.sequences.recipe import texts
from soar.protocols import OnLog

APART = 1_000_000
"""Added to the seed, so that no chunk of the shipped model's own corpus is drawn again."""


class Corpus(Trl):
    """Finetunes on as many examples as `rows` has, all of them drawn anew as for the corpus."""

    def finetune(self, rows: Path, base: Path, out: Path, seed: int, on_log: OnLog) -> None:
        """Publish in `out` the model in `base`, finetuned on new examples; see `Trl`."""
        path = rows.with_name("corpus.jsonl")
        if not path.exists():
            number = len(rows.read_text(encoding="utf-8").splitlines())
            write_examples(path, list(islice(_examples(seed + APART), number)))
        super().finetune(path, base, out, seed, on_log)


def _examples(seed: int) -> Iterator[Row]:
    """Yield examples of random programs endlessly, each sequence of a chunk once."""
    for chunk in count():
        found = draw(seed, chunk)
        for line in lines(found, len(found), seed):
            prompt, completion = texts(line)
            yield {"prompt": prompt, "completion": completion, "kind": "corpus", "task": None, "program": None}
