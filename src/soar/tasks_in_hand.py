"""What someone means by a task: an id of a domain's own sets, a file, text that came in, or a `Task` itself.

Knows no particular domain: values and files are read by the one that it is given.
"""

import difflib
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from soar.domains.complete import refuse_partial
from soar.errors import ConfigError, DataError
from soar.protocols import Domain
from soar.types import Example, Task, Value, canonical_json, frozen

NAMED = 3
"""How many ids that are there an error names."""


def tasks_named(domain: Domain, named: "str | Path | Task") -> list[Task]:
    """Return the tasks that are meant: one for an id or a `Task`, all of a file; `DataError` says what was found."""
    if isinstance(named, Task):
        return [canonical(domain, named)]
    path = Path(named)
    if path.is_dir():
        raise DataError(f"{named} is a folder, expected {_expected(domain)}: name one of its files, or use `soar run`")
    if path.is_file():
        return domain.load(str(path))
    if str(named) in domain.sources:
        raise DataError(f"{named} is a whole set of tasks, expected {_expected(domain)}; `soar run` searches sets")
    if isinstance(named, Path) or "/" in named or named.endswith((".json", ".jsonl")):
        raise DataError(f"no file at {named}: expected {_expected(domain)}")
    return [_with_id(domain, named)]


def tasks_in_text(domain: Domain, text: str, name: str = "stdin") -> list[Task]:
    """Return the tasks in the text of a file, as the domain reads it; `name` is the id where the text holds none."""
    if not text.strip():
        raise DataError(f"{name} is empty: expected the text of a task file")
    with tempfile.TemporaryDirectory(prefix="soar-") as folder:
        path = Path(folder, f"{name}.json")
        path.write_text(text, encoding="utf-8")
        try:
            return domain.load(str(path))
        except DataError as error:
            raise DataError(str(error).replace(str(path), name)) from None


def distinct(tasks: Sequence[Task]) -> list[Task]:
    """Return tasks, each once; `DataError` where two different ones have one id: what programs did is known by it."""
    found: dict[str, Task] = {}
    for task in tasks:
        if found.setdefault(task.id, task) != task:
            raise DataError(f"two different tasks are called {task.id!r}: search them one after the other")
    return list(found.values())


def canonical(domain: Domain, task: Task) -> Task:
    """Return a task that someone made, its values in canonical form; `DataError` says what is wrong, and where."""
    refuse_partial(task)
    train = tuple(_example(domain, f"task {task.id}, training pair {n}", e) for n, e in enumerate(task.train, 1))
    test = tuple(_example(domain, f"task {task.id}, test pair {n}", e) for n, e in enumerate(task.test, 1))
    return replace(task, train=train, test=test)


def _example(domain: Domain, where: str, example: Example) -> Example:
    try:
        return Example(_input(domain, example.input), None if example.output is None else domain.parse(example.output))
    except (TypeError, ValueError) as error:
        raise DataError(f"{where}: {error}") from None


def _input(domain: Domain, value: Value) -> Value:
    """Return an input in canonical form: of a domain with a codec of its own what `parse` makes of it, else any JSON
    value, since inputs need not be of the kind that programs give back."""
    if domain.codec != "json":
        return domain.parse(value)
    found = frozen(value)
    canonical_json(found)
    hash(found)
    return found


def _with_id(domain: Domain, name: str) -> Task:
    if not domain.sources:
        raise ConfigError(f"no file at {name}, and this domain brings no tasks of its own: name a file")
    ids: list[str] = []
    for source in domain.sources:
        tasks = {task.id: task for task in domain.load(source)}
        if name in tasks:
            return tasks[name]
        ids += tasks
    close = difflib.get_close_matches(name, dict.fromkeys(ids), NAMED, 0.0)
    raise DataError(
        f"no task {name!r} among the {len(set(ids))} of {', '.join(domain.sources)} (like {', '.join(close)}), and no"
        f" file of that name: expected {_expected(domain)}"
    )


def _expected(domain: Domain) -> str:
    return "the id of a task of its sets, or a file of tasks" if domain.sources else "a file of tasks"
