"""The archive's rows as frozen data, and how values become text and back."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache

from soar.scoring import accuracy
from soar.types import (
    Completion,
    Execution,
    Failure,
    Origin,
    Output,
    Task,
    canonical_json,
    frozen,
    text_hash,
)

CACHED_BELOW = 10**24
"""Integer outputs below this are cached when encoded."""

_FAILURE_FIELDS = tuple(each.name for each in fields(Failure))


@dataclass(frozen=True, slots=True)
class CompletionRow:
    """A completion with its place in the search. `status` is "code" or the reason why there is none; `code` is the
    program that the hash names, if known: the text, which contains it, then takes little space."""

    origin: Origin
    completion: Completion
    status: str
    code_hash: str | None = None
    parents: tuple[str, ...] = ()
    prompt_detail: Mapping[str, object] = field(default_factory=dict)
    code: str | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class ExecutionRow:
    """What one program did on one task. `train` and `test` hold one output or failure per pair; `ballot` and
    `behaviour` are the hashes of the test outputs and of all outputs, None unless `status` is "ok". `encoded` holds all
    outputs as `encode_output` returns them, if already computed: that costs more than the row."""

    task_id: str
    code: str
    status: str
    accuracy: float
    train: tuple[Output, ...]
    test: tuple[Output, ...]
    ballot: str | None = None
    behaviour: str | None = None
    cpu_seconds: float = 0.0
    encoded: tuple[tuple[str, str], ...] = field(default=(), repr=False, compare=False)

    @property
    def name(self) -> str:
        """The hash of the program."""
        return code_hash(self.code)


@dataclass(frozen=True, slots=True)
class UnsentRow:
    """A call that was not made, since no form of its prompt fits; `origin.index` is 0, `completions` how many it would
    have returned."""

    origin: Origin
    completions: int


@dataclass(frozen=True, slots=True)
class SearchedRow:
    """A task whose search is over in one iteration."""

    stage: str
    iteration: int
    task_id: str


@dataclass(frozen=True, slots=True)
class IterationRow:
    """One search that has started: the seconds spent on it and on finetuning before it, and whether it is finished."""

    stage: str
    iteration: int
    seconds: float
    finetune_seconds: float
    finished: bool


@dataclass(frozen=True, slots=True)
class SearchTotals:
    """One search as a whole: completions by how they ended (executed ones by their execution), the tokens they took,
    and the number of tasks with a program that is right on all training pairs."""

    statuses: Mapping[str, int]
    prompt_tokens: int
    completion_tokens: int
    solved_in_training: int


Row = CompletionRow | ExecutionRow | UnsentRow | SearchedRow


def execution_row(task: Task, code: str, execution: Execution) -> ExecutionRow:
    """Judge an execution on the task's training pairs; test answers are not read."""
    train = execution.outputs[: len(task.train)]
    test = execution.outputs[len(task.train) :]
    failures = [output for output in execution.outputs if isinstance(output, Failure)]
    if execution.nondeterministic:
        status = "nondeterministic"
    elif not failures:
        status = "ok"
    elif failures[0].stage == "load" and failures[0].type in ("SyntaxError", "IndentationError", "TabError"):
        status = "syntax-error"
    else:
        status = "failed"
    encoded = tuple(map(encode_output, execution.outputs))
    texts = [text for _, text in encoded] if status == "ok" else []
    return ExecutionRow(
        task_id=task.id,
        code=code,
        status=status,
        accuracy=accuracy(task, train),
        train=train,
        test=test,
        ballot=text_hash(texts[len(train) :]) if texts else None,
        behaviour=text_hash(texts) if texts else None,
        cpu_seconds=execution.cpu_seconds,
        encoded=encoded,
    )


@lru_cache(maxsize=1 << 12)
def code_hash(code: str) -> str:
    """Return the name of a program, 32 hex digits. Cached: a program is named several times on its way."""
    return uncached_code_hash(code)


def uncached_code_hash(code: str) -> str:
    """Return `code_hash` without caching, for programs that are met once, as when reading an archive."""
    return hashlib.blake2b(code.encode(), digest_size=16).hexdigest()


def encode_output(output: Output) -> tuple[str, str]:
    """Return ``(hash, text)`` of one output; a failure is a JSON object, which no canonical value is."""
    if type(output) is int and -CACHED_BELOW < output < CACHED_BELOW:
        return _encode_integer(output)
    value = {"failure": _fields(output)} if isinstance(output, Failure) else output
    text = canonical_json(value)
    return output_hash(text), text


@lru_cache(maxsize=1 << 16)
def _encode_integer(output: int) -> tuple[str, str]:
    """Cached: terms of sequences recur, and the cache takes only some megabytes."""
    text = canonical_json(output)
    return output_hash(text), text


def _fields(failure: Failure) -> dict[str, object]:
    """Return a failure's fields; `dataclasses.asdict`, which copies deeply, takes ten times as long."""
    return {name: getattr(failure, name) for name in _FAILURE_FIELDS}


def output_hash(text: str) -> str:
    """Return the hash of a stored output, the `content_hash` of its value."""
    return text_hash([text])


@lru_cache(maxsize=1 << 16)
def decode_output(text: str) -> Output:
    """Return the output that `encode_output` wrote. Cached: many programs of a task give the same output."""
    value = json.loads(text)
    if isinstance(value, dict):
        return Failure(**value["failure"])
    return frozen(value)
