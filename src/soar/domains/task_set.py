"""A set of tasks of any domain: loading it from a source, what identifies it, a part of it, its overlap with another.

Knows only that tasks have ids and pairs.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from soar.errors import DataError
from soar.protocols import Domain
from soar.seeds import rng
from soar.types import Example, Task, content_hash


def task_set_hash(tasks: Sequence[Task]) -> str:
    """Return 32 hex digits that identify the ids and all pairs, test outputs included, in any order of the tasks."""
    return content_hash(*([task.id, _pairs(task.train), _pairs(task.test)] for task in sorted(tasks, key=_id)))


def described(tasks: Sequence[Task]) -> dict[str, Any]:
    """Return what identifies a task set later, as JSON values: its hash and ids, its hash without answers, a hash of
    each answer, None for one that is not known."""
    answers = {task.id: [_answer_hash(task, example) for example in task.test] for task in tasks}
    return {
        "hash": task_set_hash(tasks),
        "ids": [task.id for task in tasks],
        "questions": task_set_hash([task.without_answers() for task in tasks]),
        "answers": {id_: hashes for id_, hashes in answers.items() if any(hashes)},
    }


def is_described(tasks: Sequence[Task], then: Mapping[str, Any]) -> bool:
    """Return whether tasks are those that were `described` then, but for answers that were published since.

    Descriptions by earlier versions hold one hash: where some answers were known, no further ones may be."""
    now = described(tasks)
    if "questions" not in then:
        return then["hash"] in (now["hash"], now["questions"])
    return then["questions"] == now["questions"] and all(
        before in (None, after)
        for id_, known in then["answers"].items()
        for before, after in zip(known, now["answers"].get(id_, [None] * len(known)), strict=True)
    )


def load(domain: Domain, source: str, *, ids: Sequence[str] | None = None, strict: bool = False) -> list[Task]:
    """Return the tasks of a source; `DataError` with the reason if a task named in `ids` is invalid, or, if
    `strict`, any task."""
    tasks = domain.load(source)
    known = {task.id for task in tasks}
    if not strict and known.issuperset(ids or ()):
        return tasks
    rejected = domain.rejected(source)
    invalid = [id_ for id_ in (rejected if strict else ids or ()) if id_ in rejected]
    if invalid:
        which = "" if strict else "requested "
        raise DataError(f"{source}: invalid {which}tasks: {len(invalid)}, the first: {rejected[invalid[0]]}")
    return tasks


def select(
    tasks: Sequence[Task], *, ids: Sequence[str] | None = None, count: int | None = None, seed: int = 0
) -> list[Task]:
    """Return the tasks named by `ids` (None: all), or `count` of them drawn without replacement, sorted by id.

    A draw depends on `seed` and on the tasks drawn from; a smaller draw is part of a larger one. `DataError` names
    unknown or repeated ids, or says how many tasks there are if `count` is larger.
    """
    chosen = sorted(tasks if ids is None else _named(tasks, ids), key=_id)
    if count is None:
        return chosen
    if not 1 <= count <= len(chosen):
        raise DataError(f"cannot draw {count} tasks: expected 1 to {len(chosen)}, as many as there are (tasks.count)")
    drawn = rng(seed, "select-tasks").permutation(len(chosen))[:count]
    return [chosen[index] for index in sorted(drawn)]


def read_ids(path: Path) -> list[str]:
    """Return the task ids in a file: a JSON list of strings, or one id per line (# starts a comment)."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        listed = json.loads(text) if text.lstrip().startswith("[") else _lines(text)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read as a list of task ids: {error}") from None
    if not listed or not all(isinstance(id_, str) for id_ in listed):
        raise DataError(f"{path}: expected at least one task id, one per line or as a JSON list of strings")
    return listed


def overlap(
    left: Sequence[Task], right: Sequence[Task], fingerprints: Callable[[Task], Iterable[Hashable]]
) -> list[tuple[str, str]]:
    """Return the ids (one of `left`, one of `right`) of every two tasks that share a fingerprint, sorted.

    It serves to keep tasks that were trained on out of a measurement: ARC-AGI-2's training set contains evaluation
    tasks of ARC-AGI-1.
    """
    owners: defaultdict[Hashable, set[str]] = defaultdict(set)
    for task in right:
        for mark in fingerprints(task):
            owners[mark].add(task.id)
    return sorted({(task.id, owner) for task in left for mark in fingerprints(task) for owner in owners.get(mark, ())})


def _answer_hash(task: Task, example: Example) -> str | None:
    return None if example.output is None else content_hash(task.id, example.output)


def _id(task: Task) -> str:
    return task.id


def _pairs(examples: Sequence[Example]) -> list[list[object]]:
    return [[example.input, example.output] for example in examples]


def _lines(text: str) -> list[str]:
    stripped = (line.split("#")[0].strip() for line in text.splitlines())
    return [line for line in stripped if line]


def _named(tasks: Sequence[Task], ids: Sequence[str]) -> list[Task]:
    """Return the tasks with these ids, each once."""
    by_id = {task.id: task for task in tasks}
    if unknown := [id_ for id_ in ids if id_ not in by_id]:
        raise DataError(f"{len(unknown)} of {len(ids)} ids are not among these {len(tasks)} tasks: {_few(unknown)}")
    if repeated := sorted(id_ for id_, times in Counter(ids).items() if times > 1):
        raise DataError(f"ids named more than once: {_few(repeated)}")
    return [by_id[id_] for id_ in ids]


def _few(ids: Sequence[str]) -> str:
    return ", ".join(ids[:10]) + (", …" if len(ids) > 10 else "")
