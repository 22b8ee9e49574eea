"""Draws the tasks of the learning experiment on sequences: which families are for development, which for each
registration, which are never searched; by a hash of the family's name, so that no choice hangs on what was found.

    python -m experiments.sequence_tasks SEQUENCES.jsonl.gz      # writes experiments/sequences/

`SEQUENCES` has a line {"id", "family", "loda_size", "loda_calls", "name", "terms"} for each sequence. Kept are those
whose known program calls no other and has `SIZES` instructions: how hard a sequence is was known before any search.
"""

import argparse
import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from soar.seeds import rng, seed_of

FOLDER = Path("experiments/sequences")
SIZES = range(2, 9)
LARGEST_FAMILY = 8
"""Of a larger family only so many members take part: one holds every arithmetic progression."""

PARTS = {"development": 26, "first": 30, "second": 30, "never": 14}
"""Percent of the families: for tuning, for the two registrations, and never searched."""

TASKS = {"development": 1200, "first": 1500, "second": 1500, "never": 500}
"""How many tasks of each part take part."""

DEMO = 200
"""How many of those for development `make demo` searches."""

Row = Mapping[str, Any]


def part_of(family: str) -> str:
    """Return the part that a family belongs to."""
    place, end = seed_of(0, "part", family) % 100, 0
    for name, percent in PARTS.items():
        end += percent
        if place < end:
            return name
    raise AssertionError("the parts are all of a hundred")


def candidates(rows: Iterable[Row]) -> list[Row]:
    """Return the sequences that may be tasks, at most `LARGEST_FAMILY` of a family."""
    able = [row for row in rows if not row["loda_calls"] and row["loda_size"] in SIZES]
    members: dict[str, list[Row]] = {}
    for place in rng(0, "members").permutation(len(able)):
        members.setdefault(able[place]["family"], []).append(able[place])
    return [row for family in sorted(members) for row in members[family][:LARGEST_FAMILY]]


def drawn(rows: Sequence[Row], part: str) -> list[str]:
    """Return the ids of a part: whole families in random order, until there are enough tasks."""
    families: dict[str, list[str]] = {}
    for row in rows:
        if part_of(row["family"]) == part:
            families.setdefault(row["family"], []).append(row["id"])
    names = sorted(families)
    order = rng(0, "draw", part).permutation(len(names))
    return [name for place in order for name in families[names[place]]][: TASKS[part]]


def write(name: str, ids: Sequence[str]) -> None:
    """Write the ids of one set of tasks."""
    (FOLDER / f"{name}.txt").write_text("".join(f"{each}\n" for each in sorted(ids)))
    print(f"{name}: {len(ids)} tasks")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sequences", type=Path)
    with gzip.open(parser.parse_args().sequences, "rt", encoding="utf-8") as lines:
        rows = candidates(map(json.loads, lines))
    FOLDER.mkdir(parents=True, exist_ok=True)
    kept = [json.dumps({**row, "terms": row["terms"][:24]}, separators=(",", ":")) + "\n" for row in rows]
    (FOLDER / "tasks.jsonl.gz").write_bytes(gzip.compress("".join(kept).encode(), mtime=0))
    for part in PARTS:
        write(part, drawn(rows, part))
    write("demo", drawn(rows, "development")[:DEMO])


if __name__ == "__main__":
    main()
