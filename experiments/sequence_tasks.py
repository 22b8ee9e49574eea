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
SIZES = range(5, 13)
LARGEST_FAMILY = 8
"""Of a larger family only so many members take part: one holds every arithmetic progression."""

PARTS = {"development": 20, "first": 48, "second": 20, "never": 12}
"""Percent of the families: for tuning, for the two registrations, and never searched."""

TASKS = {"development": 1500, "first": 1500, "second": 1500, "never": 500}
SEEDS = {"development": 2, "first": 4, "second": 2, "never": 1}
"""Disjoint sets drawn from each part, and how many tasks each has."""

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


def draws(rows: Sequence[Row], part: str) -> list[list[str]]:
    """Return the disjoint sets of a part: whole families in random order, cut where a set is full."""
    families: dict[str, list[str]] = {}
    for row in rows:
        if part_of(row["family"]) == part:
            families.setdefault(row["family"], []).append(row["id"])
    names = sorted(families)
    sets: list[list[str]] = [[]]
    for place in rng(0, "draw", part).permutation(len(names)):
        if len(sets[-1]) >= TASKS[part]:
            sets.append([])
        if len(sets) > SEEDS[part]:
            break
        sets[-1] += families[names[place]]
    full = [found[: TASKS[part]] for found in sets if len(found) >= TASKS[part]]
    return full[: SEEDS[part]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sequences", type=Path)
    with gzip.open(parser.parse_args().sequences, "rt", encoding="utf-8") as lines:
        rows = candidates(map(json.loads, lines))
    FOLDER.mkdir(parents=True, exist_ok=True)
    kept = [json.dumps({**row, "terms": row["terms"][:24]}, separators=(",", ":")) + "\n" for row in rows]
    (FOLDER / "tasks.jsonl.gz").write_bytes(gzip.compress("".join(kept).encode(), mtime=0))
    for part in PARTS:
        for number, ids in enumerate(draws(rows, part)):
            (FOLDER / f"{part}-{number}.txt").write_text("".join(f"{name}\n" for name in sorted(ids)))
            print(f"{part}-{number}: {len(ids)} tasks")


if __name__ == "__main__":
    main()
