"""Rows of the corpus that ship with the weights: mixed into finetuning, they keep a small model from forgetting.

python -m soar.pretrain.replay arc --corpus DIR --rows 2000 --out src/soar/lm/embedded/weights/replay.jsonl.gz
"""

import argparse
import gzip
import json
from pathlib import Path

from soar.pretrain.encode import read_lines, shard_paths
from soar.pretrain.recipe import RECIPES, Recipe, open_recipe
from soar.seeds import rng


def write_replay(shard: Path, recipe: Recipe, rows: int, out: Path, longest: int = 1200) -> None:
    """Draw `rows` exercises of a shard and write them as ``{"prompt", "completion"}``, the same bytes every time.

    Prompts of more than `longest` characters are skipped.
    """
    pairs = [recipe.texts(line) for line in read_lines(shard)]
    short = [pair for pair in pairs if len(pair[0]) <= longest]
    chosen = rng(0, "replay", shard.name).permutation(len(short))[:rows]
    lines = [json.dumps({"prompt": short[i][0], "completion": short[i][1]}) + "\n" for i in sorted(chosen)]
    out.write_bytes(gzip.compress("".join(lines).encode(), compresslevel=9, mtime=0))


def main() -> None:
    """Read the command line and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("domain", choices=RECIPES)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    recipe, last = open_recipe(arguments.domain), shard_paths(arguments.corpus)[-1]
    write_replay(last, recipe, arguments.rows, arguments.out)


if __name__ == "__main__":
    main()
