"""The data that the system exchanges: tasks, executions, completions, programs. Frozen, without behaviour beyond what
follows from the fields. Knows no domain: a `Value` is whatever JSON value a domain's `parse` calls canonical.
"""

import hashlib
import json
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

Value: TypeAlias = Hashable
"""A value in its domain's canonical form: immutable and JSON-able, with tuples for lists; equal values are equal
objects."""

Leaks: TypeAlias = Mapping[str, Mapping[str, int]]
"""For each stage with hidden answers that shares tasks with stages that know answers: how many, by such a stage."""

Stage: TypeAlias = Literal["load", "run", "result"]
Phase: TypeAlias = Literal["sample", "refine"]
Prompt: TypeAlias = "str | tuple[Message, ...]"
"""What a language model is asked: plain text (compact rendering) or chat messages."""


@dataclass(frozen=True, slots=True)
class Message:
    """One chat message."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Example:
    """One input-output pair; `output` is None where the answer is hidden."""

    input: Value
    output: Value | None


@dataclass(frozen=True, slots=True)
class Task:
    """A programming-by-example task: training pairs, and test pairs whose outputs may be hidden (§3.1)."""

    id: str
    train: tuple[Example, ...]
    test: tuple[Example, ...]
    _expected: tuple[str | None, ...] | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def expected(self) -> tuple[str | None, ...]:
        """The `content_hash` of every pair's expected output, training first; None if it is hidden."""
        # Computed once: every program of a task is compared with it.
        if self._expected is None:
            outputs = [example.output for example in (*self.train, *self.test)]
            names = tuple(None if output is None else content_hash(output) for output in outputs)
            object.__setattr__(self, "_expected", names)
            return names
        return self._expected

    @property
    def inputs(self) -> tuple[Value, ...]:
        """All inputs, training first, in the order every `Execution` of this task follows."""
        return tuple(example.input for example in (*self.train, *self.test))

    @property
    def answered(self) -> bool:
        """Whether every test output is known."""
        return all(example.output is not None for example in self.test)

    def without_answers(self) -> "Task":
        """Return the task as search may see it: test outputs removed."""
        return replace(self, test=tuple(replace(example, output=None) for example in self.test))


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a program gave no output for one input. A program's failure is data, never an exception of ours.

    `type` is an exception's name (``"IndexError"``) or one of ``Timeout``, ``MemoryLimit``, ``Crash``,
    ``TooMuchOutput``, ``InvalidOutput``, ``NotRun``; `line` is 1-based in the program's text; `stage` says whether
    loading the program, running it or its result failed.
    """

    type: str
    message: str
    line: int | None = None
    source_line: str | None = None
    stage: Stage = "run"


Output: TypeAlias = Value | Failure


@dataclass(frozen=True, slots=True)
class Execution:
    """What one program did: one output or failure per input, in the order of the inputs."""

    outputs: tuple[Output, ...]
    cpu_seconds: float = 0.0
    nondeterministic: bool = False


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn (App. D.5: temperature 1, min-p 0.05). `distinct`: the completions of one request are drawn
    without replacement, so that no two have the same tokens (rarely, other tokens spell the same text)."""

    temperature: float = 1.0
    min_p: float = 0.05
    max_new_tokens: int = 4096
    distinct: bool = False


@dataclass(frozen=True, slots=True)
class Completion:
    """One text from a language model, as it arrived. `finish_reason` "length" means truncated."""

    text: str
    finish_reason: str = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """Where a completion stands in the search: its identity, the same whenever and wherever it is computed.

    Sampling uses island 0; `step` counts requests (sampling) or refinement calls of the island; `index` is the
    completion's place in its call.
    """

    stage: str
    iteration: int
    task_id: str
    phase: Phase
    island: int
    step: int
    index: int

    @property
    def key(self) -> str:
        """The identity as text: ``stage/iteration/task/phase/island/step/index``."""
        return f"{self.stage}/{self.iteration}/{self.task_id}/{self.phase}/{self.island}/{self.step}/{self.index}"


@dataclass(frozen=True, slots=True)
class Written:
    """A program's outputs as a search or an archive keeps them, those of the `pairs` training pairs first: the
    `content_hash` of each (`names`) and its `stored` form. `text` decodes a stored form, given the name, to canonical
    JSON (a failure's is an object), and raises if it was damaged; `read` turns that text into an output."""

    names: tuple[str, ...]
    stored: tuple[Any, ...]
    pairs: int
    text: Callable[[Any, str], str]
    read: Callable[[str], Output]

    @property
    def texts(self) -> Iterator[str]:
        """The canonical JSON of each output, decoded one by one."""
        return map(self.text, self.stored, self.names)


@dataclass(frozen=True, slots=True)
class Program:
    """A completion's program with what it did on its task.

    `train` and `test` hold one output or failure per pair; `accuracy` is the fraction of training pairs reproduced
    exactly; `parents` are the keys of the programs its prompt showed (empty for a sample). `ballot` and `behaviour` are
    the hashes of all test outputs and of all outputs: equal for programs that vote, or act, alike; None for one that
    failed anywhere. They are computed if not given.

    A program `from_written` outputs decodes them when they are first read: of a run's millions hardly any are. Their
    names, which say whether they are right, are there at once.
    """

    origin: Origin
    code: str
    train: tuple[Output, ...]
    test: tuple[Output, ...]
    accuracy: float
    parents: tuple[str, ...] = ()
    nondeterministic: bool = False
    ballot: str | None = None
    behaviour: str | None = None
    written: Written | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.ballot is None and self.ran:
            object.__setattr__(self, "ballot", content_hash(*self.test))
            object.__setattr__(self, "behaviour", content_hash(*self.outputs))

    @classmethod
    def from_written(cls, written: Written, **others: object) -> "Program":
        """Return a program from all of its fields but `train` and `test`, which are decoded from `written` when
        needed."""
        program = object.__new__(cls)
        object.__setattr__(program, "written", written)
        for name, value in others.items():
            object.__setattr__(program, name, value)
        return program

    if not TYPE_CHECKING:  # a type checker would accept every misspelt attribute

        def __getattr__(self, name: str) -> object:
            """Decode the outputs of a program from an archive: Python calls this for an attribute without a value."""
            if name not in ("train", "test") or self.written is None:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            of, which = self.written, slice(self.written.pairs) if name == "train" else slice(self.written.pairs, None)
            made = tuple(map(of.read, map(of.text, of.stored[which], of.names[which])))
            object.__setattr__(self, name, made)
            return made

    @property
    def key(self) -> str:
        """The identity of the completion this program came in."""
        return self.origin.key

    @property
    def outputs(self) -> tuple[Output, ...]:
        """One output or failure per input, training first."""
        return self.train + self.test

    @property
    def texts(self) -> Iterator[str]:
        """The canonical JSON of each output, training first, of a program that ran; made one by one."""
        return map(canonical_json, self.outputs) if self.written is None else self.written.texts

    def of_run(self, name: str) -> "Program":
        """Return the program under a key that no other run has: programs of two runs may have the same place in the
        same search. Outputs not yet decoded stay so."""
        own = {
            "origin": replace(self.origin, stage=f"{name}:{self.origin.stage}"),
            "parents": tuple(f"{name}:{key}" for key in self.parents),
        }
        if self.written is None:
            return replace(self, **own)
        kept = {each: getattr(self, each) for each in ("code", "accuracy", "nondeterministic", "ballot", "behaviour")}
        return Program.from_written(self.written, **kept, **own)

    @property
    def ran(self) -> bool:
        """Whether every input gave an output. Only such a program may be an arm, a ballot or a relabelled example."""
        if self.written is not None:
            return self.ballot is not None and not self.nondeterministic
        return not self.nondeterministic and Failure not in map(type, self.outputs)


# Canonical values are immutable, so none can hold itself; looking for that would take much of the time.
_JSON = json.JSONEncoder(separators=(",", ":"), sort_keys=True, allow_nan=False, check_circular=False)


def canonical_json(value: object) -> str:
    """Return the one JSON text of a canonical value: ASCII, no spaces, keys sorted, no NaN."""
    # For a bare integer, such as a sequence's term, making an encoder would take most of the time.
    return str(value) if type(value) is int else _JSON.encode(value)


def content_hash(*values: object) -> str:
    """Return 32 hex digits that name the content: equal hashes mean equal values."""
    return text_hash(map(canonical_json, values))


def text_hash(texts: Iterable[str]) -> str:
    """Return the `content_hash` of values whose canonical JSON is known."""
    whole = "\n".join([*texts, ""])
    return hashlib.blake2b(whole.encode(), digest_size=16).hexdigest()


def frozen(value: object) -> Value:
    """Return a JSON value with tuples for its lists."""
    if not isinstance(value, list | tuple):
        return value  # type: ignore[return-value]
    # Rows of cells are most of what is read from an archive: a list without lists inside is copied as a whole.
    nested = any(issubclass(kind, list | tuple) for kind in set(map(type, value)))
    return tuple(map(frozen, value)) if nested else tuple(value)
