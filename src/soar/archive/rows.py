"""What is written to the archive, as frozen data, and how values become text and back."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from soar.types import (
    Completion,
    Execution,
    Failure,
    Origin,
    Output,
    Task,
    canonical_json,
    content_hash,
    train_accuracy,
)


@dataclass(frozen=True, slots=True)
class CompletionRow:
    """A completion with its place in the search. `status` is "code" or the reason why there is none."""

    origin: Origin
    completion: Completion
    status: str
    code_hash: str | None = None
    parents: tuple[str, ...] = ()
    prompt_detail: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExecutionRow:
    """What one program did on one task. `train` and `test` hold one output or failure per pair."""

    task_id: str
    code: str
    status: str
    accuracy: float
    train: tuple[Output, ...]
    test: tuple[Output, ...]
    cpu_seconds: float = 0.0

    @property
    def ballot(self) -> str | None:
        """The hash of all test outputs, None unless the program ran everywhere."""
        return content_hash(*self.test) if self.status == "ok" else None

    @property
    def behaviour(self) -> str | None:
        """The hash of all outputs, None unless the program ran everywhere."""
        return content_hash(*self.train, *self.test) if self.status == "ok" else None


@dataclass(frozen=True, slots=True)
class UnsentRow:
    """A call that no form of its prompt fits; `origin.index` is 0 and `completions` how many it would have brought."""

    origin: Origin
    completions: int


Row = CompletionRow | ExecutionRow | UnsentRow


def execution_row(task: Task, code: str, execution: Execution) -> ExecutionRow:
    """Judge an execution against the task's training pairs (test answers are not looked at)."""
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
    return ExecutionRow(task.id, code, status, train_accuracy(task, train), train, test, execution.cpu_seconds)


def code_hash(code: str) -> str:
    """Return the name of a program's text, 32 hex digits."""
    return hashlib.blake2b(code.encode(), digest_size=16).hexdigest()


def encode_output(output: Output) -> tuple[str, str]:
    """Return ``(hash, text)`` of one output; a failure is a JSON object, which no canonical value is."""
    value = {"failure": asdict(output)} if isinstance(output, Failure) else output
    return content_hash(value), canonical_json(value)


def decode_output(text: str) -> Output:
    """Return the output that `encode_output` wrote."""
    value = json.loads(text)
    if isinstance(value, dict):
        return Failure(**value["failure"])
    return _frozen(value)


def _frozen(value: object) -> Output:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value  # type: ignore[return-value]
