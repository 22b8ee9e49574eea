"""Finds the tasks that a user names: an id of a domain's own sets, a file, text from a pipe, or a `Task` itself.

Knows no particular domain: the given one reads values and files.
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

SUGGESTED = 3
"""The number of existing ids that an error names."""


def tasks_named(domain: Domain, named: "str | Path | Task") -> list[Task]:
    """Return the named tasks: one for an id or a `Task`, all of a file; `DataError` says what was found instead."""
    if isinstance(named, Task):
        return [canonical(domain, named)]
    path = Path(named)
    try:
        folder, file = path.is_dir(), path.is_file()
    except OSError as error:  # such as a name that is too long
        raise DataError(
            f"{str(named)[:80]!r} cannot be a file's name ({error.strerror}): expected a"
            " path, the id of a task, or a soar.Task; a task's text goes to `soar solve -` on standard input"
        ) from None
    if folder:
        raise DataError(f"{named} is a folder, expected {_expected(domain)}: name one of its files, or use `soar run`")
    if file:
        return domain.load(str(path))
    if str(named) in domain.sources:
        raise DataError(
            f"{named} is a whole set of tasks, expected {_expected(domain)}: use `soar run` to search a set"
        )
    if isinstance(named, Path) or "/" in named or named.endswith((".json", ".jsonl")):
        raise DataError(f"no file at {named}: expected {_expected(domain)}")
    return [_with_id(domain, named)]


def tasks_in_text(domain: Domain, text: str, name: str = "stdin") -> list[Task]:
    """Return the tasks in the text of a task file, as the domain reads it; `name` is the id if the text has none."""
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
    """Return tasks, each once; `DataError` if two different ones share an id, by which executions are stored."""
    found: dict[str, Task] = {}
    for task in tasks:
        if found.setdefault(task.id, task) != task:
            raise DataError(f"two different tasks are called {task.id!r}: search them in separate commands")
    return list(found.values())


def canonical(domain: Domain, task: Task) -> Task:
    """Return a user's task with its values in canonical form; `DataError` says what is wrong, and where."""
    refuse_partial(task)
    train = tuple(_example(domain, f"task {task.id}, training pair {n}", e) for n, e in enumerate(task.train, 1))
    test = tuple(_example(domain, f"task {task.id}, test pair {n}", e) for n, e in enumerate(task.test, 1))
    return replace(task, train=train, test=test)


def _example(domain: Domain, where: str, example: Example) -> Example:
    try:
        return Example(_input(domain, example.input), None if example.output is None else domain.parse(example.output))
    except (TypeError, ValueError, RecursionError) as error:  # a list may hold itself
        raise DataError(f"{where}: {error}") from None


def _input(domain: Domain, value: Value) -> Value:
    """Return an input in canonical form: parsed, if the domain has a codec of its own; otherwise any JSON value, since
    inputs need not be of the same kind as outputs."""
    if domain.codec != "json":
        return domain.parse(value)
    found = frozen(value)
    canonical_json(found)  # raises for a value that is not JSON, as the next line does for an unhashable one
    hash(found)
    return found


def _with_id(domain: Domain, name: str) -> Task:
    if not domain.sources:
        raise ConfigError(f"no file at {name}, and this domain has no tasks of its own: name a file")
    ids: list[str] = []
    for source in domain.sources:
        tasks = {task.id: task for task in domain.load(source)}
        if name in tasks:
            return tasks[name]
        ids += tasks
    close = difflib.get_close_matches(name, dict.fromkeys(ids), SUGGESTED, 0.0)
    raise DataError(
        f"no task {name!r} among the {len(set(ids))} of {', '.join(domain.sources)} (like {', '.join(close)}), and no"
        f" file of that name: expected {_expected(domain)}"
    )


def _expected(domain: Domain) -> str:
    return "the id of a task of its sets, or a file of tasks" if domain.sources else "a file of tasks"
