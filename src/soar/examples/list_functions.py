"""A domain of your own: functions from list to list, with eight training pairs and three test pairs each.

soar run endpoint runs/lists --set tasks.domain=soar.examples.list_functions:ListFunctions
    --set tasks.source=list-functions --set lm.model=NAME
soar exec PROGRAMS.jsonl --domain soar.examples.list_functions:ListFunctions
"""

import json
from pathlib import Path

from soar.types import Example, Task


class ListFunctions:
    about = "Every value is a list of integers from 0 to 99, which may be empty. In Python it is a list of ints."
    signature = "transform(xs)"
    sources = ("list-functions",)  # the twelve in the file beside this one; any other source is the path of such a file

    def load(self, source: str) -> list[Task]:
        path = Path(__file__).with_suffix(".jsonl") if source in self.sources else Path(source)
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return [self.task(row["id"], row["pairs"]) for row in rows]

    def task(self, name: str, pairs: list) -> Task:
        examples = [Example(self.parse(x), self.parse(y)) for x, y in pairs]
        return Task(name, tuple(examples[:8]), tuple(examples[8:]))

    def parse(self, value: object) -> tuple[int, ...]:
        if not isinstance(value, list | tuple) or not all(type(item) is int for item in value):
            raise ValueError("expected a list of integers")
        return tuple(value)

    def shape(self, value: tuple[int, ...]) -> str:
        return f"{len(value)} items"
