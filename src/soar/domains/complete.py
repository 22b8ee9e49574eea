"""Completes a domain: what its author wrote, and for everything else defaults that work for any JSON value.

Knows no particular domain. It also guarantees what the rest of the system relies on: inputs and outputs are immutable,
and the outputs of loaded tasks have the canonical form that `parse` gives to those of programs.
"""

import html
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, cast

from rich.text import Text

from soar.codec import any_surrogate
from soar.errors import ConfigError, DataError
from soar.protocols import Domain
from soar.types import Example, Task, Value, canonical_json, content_hash, frozen

ATTEMPTS = ("attempt_1", "attempt_2")
DRAWN = 2000
"""The most characters of a value that are drawn for people."""


def complete(found: object, name: str = "") -> Domain:
    """Return a domain with every member of `soar.protocols.Domain`.

    `found` is an object with `load` and `parse`, or a class or function that makes one; `name` is what the
    configuration calls it. `ConfigError` says what is missing.
    """
    if isinstance(found, type) or (callable(found) and not _loads_and_parses(found)):
        try:
            found = found()
        except TypeError as error:
            raise ConfigError(f"domain {name!r} cannot be created without arguments: {error}") from error
    if not _loads_and_parses(found):
        raise ConfigError(f"domain {name!r} is a {type(found).__name__}, expected an object with load and parse")
    return cast(Domain, _Complete(found))


def _loads_and_parses(found: object) -> bool:
    return callable(getattr(found, "load", None)) and callable(getattr(found, "parse", None))


class _Complete:
    """Has the members of the author's object, else those of `DEFAULTS`."""

    def __init__(self, own: Any) -> None:
        self._own = own

    def __getattr__(self, name: str) -> Any:
        # Python calls this only for a missing attribute, so once for each: the result is stored.
        if name not in DEFAULTS:
            raise AttributeError(f"a domain has no {name!r}")
        found = getattr(self._own, name, DEFAULTS[name])
        setattr(self, name, found)
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the author's object, without what was looked up in it: not all of that can be pickled."""
        return _Complete, (self._own,)

    def load(self, source: str) -> list[Task]:
        """Return the author's tasks, checked and in canonical form, sorted by id."""
        try:
            found = list(self._own.load(source))
        except (ValueError, TypeError, LookupError, OSError) as error:
            raise DataError(
                f"{source} cannot be read: the domain's load raised {type(error).__name__}: {error}"
            ) from error
        if strange := [each for each in found if not isinstance(each, Task)]:
            kind = type(strange[0]).__name__
            raise DataError(f"{source}: the domain's load returned a {kind}, expected tasks (soar.Task)")
        tasks = [self._checked(task) for task in found]
        if not tasks:
            raise DataError(f"no tasks at {source!r}")
        tasks = sorted(tasks, key=lambda task: task.id)
        if repeated := [one.id for one, other in pairwise(tasks) if one.id == other.id]:
            raise DataError(
                f"{source}: the domain's load returned several tasks of the id {repeated[0]!r}: expected each id once."
                " Name them apart, or leave out the repeats"
            )
        return tasks

    def parse(self, value: object) -> Value:
        """Return the author's canonical form, with tuples for lists; `ValueError` if there is none. Its message
        reaches prompts as the failure of a program."""
        try:
            found = self._own.parse(value)
        except (TypeError, AttributeError, LookupError, ArithmeticError) as error:
            # Programs return anything: a case that the author overlooked must not end the run.
            raise ValueError(f"{type(error).__name__} while it was read: {error}") from None
        if self.codec != "json":
            return found
        if type(found) in (int, str, bool):
            return found  # already a JSON value
        found = frozen(found)
        try:
            hash(found)
            canonical_json(found)
        except TypeError as error:
            raise ValueError(f"no JSON value: {error}") from None
        return found

    def _checked(self, task: Task) -> Task:
        refuse_partial(task)
        if self.codec != "json":
            return task  # a built-in domain, which has already parsed each value
        train = tuple(self._example(f"task {task.id}, training pair {n}", e) for n, e in enumerate(task.train, 1))
        test = tuple(self._example(f"task {task.id}, test pair {n}", e) for n, e in enumerate(task.test, 1))
        return replace(task, train=train, test=test)

    def _example(self, where: str, example: Example) -> Example:
        try:
            output = None if example.output is None else self.parse(example.output)
            found = Example(frozen(example.input), output)
            canonical_json(found.input)
            hash(found)
        except (TypeError, ValueError, RecursionError) as error:  # a list may hold itself
            raise DataError(f"{where}: {error}") from None
        return found


def refuse_partial(task: Task) -> None:
    """Raise `DataError` if a task lacks a valid id, a training pair, a test input or the output of a training pair."""
    refuse_id(task.id)
    if not task.train or not task.test:
        raise DataError(f"task {task.id}: expected at least one training pair and one test input")
    if any(example.output is None for example in task.train):
        raise DataError(f"task {task.id}: a training pair has no output; only test outputs may be hidden")


def refuse_id(id_: str) -> None:
    """Raise `DataError` if an id cannot name a task's row, file and line of JSON."""
    if not id_ or "/" in id_:
        raise DataError(f"a task's id must not be empty or contain '/', found {id_!r}")
    if any_surrogate(id_):
        raise DataError(
            f"a task's id must be text that UTF-8 can hold, found {id_!r}: rename the task, or its file, whose name may"
            " be in another encoding"
        )


def draw(value: Value) -> Text:
    """Return a value's JSON, cut if it is very long."""
    text = canonical_json(value)
    return Text(text if len(text) <= DRAWN else f"{text[: DRAWN - 1]}…")


def svg(value: Value) -> str:
    """Return a value's JSON as text in a page, cut if it is very long."""
    return html.escape(draw(value).plain)


def similarity(one: Value, other: Value) -> float:
    """Return how alike two JSON values are: the mean over the items of two lists of one length, else 1 or 0."""
    if isinstance(one, tuple) and isinstance(other, tuple) and len(one) == len(other) and one:
        return sum(similarity(a, b) for a, b in zip(one, other, strict=True)) / len(one)
    return float(one == other)


def fingerprints(task: Task) -> list[Hashable]:
    """Return one fingerprint, all training pairs in any order: tasks that share it are the same."""
    return [tuple(sorted(content_hash(example.input, example.output) for example in task.train))]


def submission(
    tasks: Sequence[Task], answers: Mapping[str, Sequence[tuple[Value, ...]]], *, no_answer: Value = None
) -> dict[str, list[dict[str, Value]]]:
    """Return ``{id: [{"attempt_1": value, "attempt_2": value}, one per test input]}`` with every task in it.

    A single answer is given twice; if there is none, `no_answer` is.
    """
    return {
        task.id: [_attempts(answers.get(task.id, ()), place, no_answer) for place in range(len(task.test))]
        for task in tasks
    }


def _attempts(answers: Sequence[tuple[Value, ...]], place: int, no_answer: Value) -> dict[str, Value]:
    values = [outputs[place] for outputs in answers[:2]] or [no_answer]
    return {name: values[min(i, len(values) - 1)] for i, name in enumerate(ATTEMPTS)}


DEFAULTS: Mapping[str, Any] = {
    "about": "Values are written as JSON. In Python an array is a list, and null is None.",
    "signature": "transform(x)",
    "codec": "json",
    "sources": (),
    "rejected": lambda _: {},
    "show": canonical_json,
    "shape": lambda _: "",
    "draw": draw,
    "svg": svg,
    "similarity": similarity,
    "fingerprints": fingerprints,
    "submission": submission,
    "renderings": {},
    "filters": {},
    "heuristics": {},
}
"""The members that a domain has unless it defines its own."""
