"""Everything that is held open or exchanged, on one page: domain, rendering, language model, executor, trainer.

Knows signatures only. A part of one's own needs no base class: whatever has these members will do. What a domain or a
backend may leave out is said there, and supplied by `soar.domains.complete` and `soar.method`.
"""

from collections.abc import AsyncIterator, Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from soar.types import Completion, Execution, Program, Prompt, Sampling, Task, Value

if TYPE_CHECKING:
    from rich.console import RenderableType

Filter: TypeAlias = Callable[[Task, Program], bool]
"""Whether a program may neither vote nor teach (App. F)."""

Heuristic: TypeAlias = Callable[[Task, Program], float]
"""How promising a program is as a parent, from 0 to 1: the h of REX (Tang et al. 2024)."""

Parse: TypeAlias = Callable[[object], Value]
"""The canonical form of a value, or `ValueError` with the reason why it has none."""

Feedback: TypeAlias = Literal["full", "verdicts", "none"]
Reads: TypeAlias = Literal["text", "chat"]
"""The two forms of a prompt: plain text, or messages."""

OnLog: TypeAlias = Callable[[Mapping[str, float]], None]
"""Called with a training's numbers now and then; if it raises `Interrupted`, the training stops with a checkpoint."""


class Domain(Protocol):
    """What a value is, and all that follows from it. The only seam that knows: search knows nothing of it.

    A domain of one's own needs `load` and `parse`; the rest has defaults that work for any JSON value
    (`soar.domains.complete`).
    """

    @property
    def about(self) -> str:
        """What a chat prompt says about values before it shows any: their kind, their limits, their Python form."""
        ...

    @property
    def signature(self) -> str:
        """The function that a program defines, as a call: ``"transform(n)"``."""
        ...

    @property
    def codec(self) -> str:
        """Which built-in codec carries values into the sandbox and out of it (`soar.execution.codecs`)."""
        ...

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of the sets of tasks that come with the domain, the one to take by default first."""
        ...

    def load(self, source: str) -> list[Task]:
        """Return the tasks of a named source, a folder or a file, sorted by id; `DataError` says what is wrong."""
        ...

    def rejected(self, source: str) -> Mapping[str, str]:
        """Return by id what `load` passes over in a source because it is no task, with the reason."""
        ...

    def parse(self, value: object) -> Value:
        """Return the canonical form of `value`; a `ValueError` whose message is the reason when it is none."""
        ...

    def show(self, value: Value) -> str:
        """Return the text of one value in a chat prompt."""
        ...

    def shape(self, value: Value) -> str:
        """Return the size of one value in a few words, told beside it in a chat prompt; "" says nothing."""
        ...

    def draw(self, value: Value) -> "RenderableType":
        """Return one value as people see it in a terminal."""
        ...

    def svg(self, value: Value) -> str:
        """Return one value as people see it in a page or a notebook: markup that stands alone, such as inline SVG, in
        which whatever the value holds is escaped."""
        ...

    def similarity(self, one: Value, other: Value) -> float:
        """Return how alike two values are, from 0 to 1."""
        ...

    def fingerprints(self, task: Task) -> Iterable[Hashable]:
        """Return what marks a task: two tasks that share a mark count as the same, and a run may not learn from a task
        that it is judged on."""
        ...

    def submission(self, tasks: Sequence[Task], answers: Mapping[str, Sequence[tuple[Value, ...]]]) -> object:
        """Return the answers to a set of tasks as JSON. `answers` holds by task id up to two answers, best first, each
        a value per test input."""
        ...

    @property
    def renderings(self) -> Mapping[str, "Callable[[Domain], Rendering]"]:
        """Renderings that only this domain has, by name."""
        ...

    @property
    def filters(self) -> Mapping[str, Filter]:
        """Filters that only this domain has, by name; one here stands before a general one of the same name."""
        ...

    @property
    def heuristics(self) -> Mapping[str, Heuristic]:
        """Heuristics that only this domain has, by name."""
        ...


@dataclass(frozen=True, slots=True)
class Detail:
    """How much of a task a prompt shows; shorter details than the default serve small contexts.

    `pairs` caps the training pairs (None: all); `feedback` says whether a parent's outputs are shown, only the
    verdicts, or neither.
    """

    pairs: int | None = None
    feedback: Feedback = "full"


@dataclass(frozen=True, slots=True)
class Extraction:
    """The code of a completion, or the reason why there is none: ``no-code``, ``no-entry-point``, ``unclosed-block``,
    ``empty`` (exactly one of the two is set)."""

    code: str | None = None
    reason: str | None = None


class Rendering(Protocol):
    """Turns search's data into prompts and completions into code. Test outputs are never read."""

    @property
    def writes(self) -> Reads:
        """The form of its prompts."""
        ...

    def sampling(self, task: Task, few_shot: tuple[Task, str] | None = None, detail: Detail = Detail()) -> Prompt:
        """Return the prompt that asks for a program from scratch; `few_shot` is a solved task and its program."""
        ...

    def refinement(self, task: Task, parents: Sequence[Program], detail: Detail = Detail()) -> Prompt:
        """Return the prompt that asks for a better program than `parents`, with what each produced on every input."""
        ...

    def completion(self, code: str) -> str:
        """Return the text a model should have answered to give `code`; `extract` of it is `code` again."""
        ...

    def extract(self, text: str) -> Extraction:
        """Return the code in a completion."""
        ...

    def details(self, task: Task) -> Sequence[Detail]:
        """Return the details to try for this task, fullest first, until the prompt fits (fewer pairs, then less
        feedback)."""
        ...


class LanguageModel(Protocol):
    """Holds a model or a connection open. Safe to call from many tasks of one event loop at once."""

    def fits(self, prompt: Prompt, max_new_tokens: int) -> bool:
        """Return whether the prompt and that many new tokens fit the context (True where it cannot be known)."""
        ...

    def generate(
        self, prompt: Prompt, seeds: Sequence[int], sampling: Sampling
    ) -> AsyncIterator[tuple[int, Completion]]:
        """Yield one completion per seed as ``(index into seeds, completion)``, each once it is there, in any order.

        What was yielded is paid for and stored by the caller at once; an error afterwards loses nothing. Where the
        backend can, a completion depends on its own seed and not on its neighbours; those that `sampling` wants
        distinct follow from the first seed together. Raises `PromptTooLong` before anything is generated,
        `EndpointError` when the rest will not come.
        """
        ...

    def requests(self) -> dict[str, int]:
        """Return the calls made so far: ``{"issued": n, "retried": n, "failed": n}``."""
        ...

    async def close(self) -> None:
        """Release memory, threads and connections."""
        ...


class Backend(Protocol):
    """Where language models come from: named by ``lm.backend``, called with its section of the configuration.

    `open` is all that one of one's own needs. The class may carry `Settings`, a `soar.settings.Section` of the keys
    that ``[lm]`` then takes. `reads` (default: both forms), `distinct` (draws without replacement: default no),
    `domain` (the only one whose tasks it can read: default any), `folder` (θ0's weights; default None: it cannot be
    finetuned), `rendering` (the name that ``prompt.rendering`` is by default: "chat"), `identity` (default: the
    settings) and `keep_in` may be there: the last is called with a folder in the run directory, before anything is
    opened and before the run is begun, and may refuse it.
    """

    def open(self, weights: Path | None) -> LanguageModel:
        """Open the model, with finetuned `weights` (a folder) in place of its own where given."""
        ...


class Executor(Protocol):
    """Holds worker processes open, here or elsewhere. Safe to call from many tasks of one event loop at once."""

    async def run(self, code: str, inputs: Sequence[Value], *, alone: bool = False) -> Execution:
        """Execute a program's function on every input and return one output or failure per input.

        Never raises for a program's fault, and never learns what is expected. `alone` runs it in a process of its own,
        as programs that solve their training pairs are confirmed before they count. Raises `SandboxError` when workers
        keep dying for reasons that are not the program's.
        """
        ...

    async def close(self) -> None:
        """End every worker process."""
        ...


@dataclass(frozen=True, slots=True)
class Contract:
    """What an executor must know of programs: their limits, their function, and how values travel.

    `cpu_seconds` are per input, `memory_mb` beyond what Python and NumPy need; `signature` is the function as a call,
    ``"transform(n)"``; `codec` a name in `soar.execution.codecs`. `stop_at_failure`: the inputs after the first that
    fails are not run, and fail too.
    """

    cpu_seconds: float = 1.0
    memory_mb: int = 512
    signature: str = "transform(x)"
    codec: str = "json"
    stop_at_failure: bool = False


class Executors(Protocol):
    """Where programs run: named by ``executor.kind``, called with its section of the configuration, and like a
    `Backend` free to bring `Settings`."""

    def open(self, contract: Contract) -> AbstractAsyncContextManager[Executor]:
        """Open workers for programs of one contract."""
        ...


class Trainer(Protocol):
    """How θ0 is finetuned: named by ``finetune.trainer``, called with its section of the configuration, and like a
    `Backend` free to bring `Settings`."""

    def finetune(self, rows: Path, base: Path, out: Path, seed: int, on_log: OnLog) -> None:
        """Publish in the folder `out` the model in `base`, finetuned on a JSONL file of prompts and completions.

        Called again after an interruption it goes on, with the same result. A finished folder is sealed
        (`soar.files.publish`).
        """
        ...
