"""The interfaces of all replaceable parts, on one page: domain, rendering, language model, executor, trainer.

Knows signatures only. A custom part needs no base class: anything with these members will do. What a domain or a
backend may leave out is said there; `soar.domains.complete` and `soar.method` supply it.
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
"""Called with a training's metrics now and then; if it raises `Interrupted`, the training stops with a checkpoint."""


class Domain(Protocol):
    """What a value is, and all that follows from it. Only a domain knows; search does not.

    A custom domain needs `load` and `parse`; the rest has defaults that work for any JSON value
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
        """The names of the task sets that come with the domain, the default first."""
        ...

    def load(self, source: str) -> list[Task]:
        """Return the tasks of a named source, a folder or a file, sorted by id; `DataError` says what is wrong."""
        ...

    def rejected(self, source: str) -> Mapping[str, str]:
        """Return what `load` skips in a source because it is not a valid task: the reasons, by id."""
        ...

    def parse(self, value: object) -> Value:
        """Return the canonical form of `value`; `ValueError` with the reason as its message if it has none."""
        ...

    def show(self, value: Value) -> str:
        """Return the text of one value in a chat prompt."""
        ...

    def shape(self, value: Value) -> str:
        """Return the size of one value in a few words, shown beside it in a chat prompt; "" shows nothing."""
        ...

    def draw(self, value: Value) -> "RenderableType":
        """Return one value as shown in a terminal."""
        ...

    def svg(self, value: Value) -> str:
        """Return one value as shown on a page or in a notebook: self-contained markup, such as inline SVG, with
        everything from the value escaped."""
        ...

    def similarity(self, one: Value, other: Value) -> float:
        """Return how alike two values are, from 0 to 1."""
        ...

    def fingerprints(self, task: Task) -> Iterable[Hashable]:
        """Return a task's fingerprints: two tasks that share one count as the same, and a run may not learn from a task
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
        """Filters that only this domain has, by name; one here overrides a general one of the same name."""
        ...

    @property
    def heuristics(self) -> Mapping[str, Heuristic]:
        """Heuristics that only this domain has, by name."""
        ...


@dataclass(frozen=True, slots=True)
class Detail:
    """How much of a task a prompt shows; shorter details than the default serve small contexts.

    `pairs` caps the training pairs (None: all); `feedback` says whether a parent's outputs are shown, only the
    verdicts, or neither; `example` whether a solved task is shown first, if the search has any.
    """

    pairs: int | None = None
    feedback: Feedback = "full"
    example: bool = True


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
        """Return the completion that a model should have written for `code`; `extract` gives `code` back."""
        ...

    def extract(self, text: str) -> Extraction:
        """Return the code in a completion."""
        ...

    def details(self, task: Task) -> Sequence[Detail]:
        """Return the details to try for this task, fullest first, until the prompt fits (fewer pairs, then less
        feedback)."""
        ...


class LanguageModel(Protocol):
    """Holds a model or a connection open. Safe to call from many tasks of one event loop at once.

    Optional: ``prompts(completions)`` returns how many times a call for so many completions reads its prompt at most,
    and is paid for that (default: once).
    """

    def fits(self, prompt: Prompt, max_new_tokens: int) -> bool:
        """Return whether the prompt and `max_new_tokens` more fit the context (True if that cannot be known)."""
        ...

    def generate(
        self, prompt: Prompt, seeds: Sequence[int], sampling: Sampling
    ) -> AsyncIterator[tuple[int, Completion]]:
        """Yield one completion per seed as ``(index into seeds, completion)``, each as soon as it is ready, in any
        order.

        The caller stores each at once, so a later error loses nothing that was paid for. If the backend can, a
        completion depends on its own seed and not on its neighbours; those that `sampling` asks to be distinct depend
        together on the first seed. Raises `PromptTooLong` before anything is generated, `EndpointError` when the rest
        will not come.
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

    A custom backend needs only `open`. The class may define `Settings`, a `soar.settings.Section` of the keys that
    ``[lm]`` then takes. Optional members: `reads` (default: both forms), `distinct` (draws without replacement;
    default: no), `domain` (the only one whose tasks it can read; default: any), `folder` (θ0's weights; default None:
    it cannot be finetuned), `rendering` (the default of ``prompt.rendering``, otherwise "chat"), `identity` (default:
    the settings); `check_learning`, which is called if a run is to learn and may refuse it; and `keep_in`, which is
    called with a folder in the run directory, before anything is opened and before the run starts, and may refuse it.
    """

    def open(self, weights: Path | None) -> LanguageModel:
        """Open the model, with finetuned `weights` (a folder) in place of its own where given."""
        ...


class Executor(Protocol):
    """Holds worker processes open, here or elsewhere. Safe to call from many tasks of one event loop at once."""

    async def run(self, code: str, inputs: Sequence[Value], *, alone: bool = False) -> Execution:
        """Execute a program's function on every input and return one output or failure per input.

        Never raises for a program's failure, and never learns the expected outputs. `alone` runs it in its own process;
        programs that solve their training pairs are confirmed in this way before they count. Raises `SandboxError` when
        workers keep dying for reasons that are not the program's.
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
    """Where programs run: named by ``executor.kind``, called with its section of the configuration. Like a `Backend` it
    may define `Settings`."""

    def open(self, contract: Contract) -> AbstractAsyncContextManager[Executor]:
        """Open workers for programs of one contract."""
        ...


class Trainer(Protocol):
    """How θ0 is finetuned: named by ``finetune.trainer``, called with its section of the configuration. Like a
    `Backend` it may define `Settings`."""

    def finetune(self, rows: Path, base: Path, out: Path, seed: int, on_log: OnLog) -> None:
        """Finetune the model in `base` on a JSONL file of prompts and completions, and publish it in the folder `out`.

        Called again after an interruption it resumes, with the same result. A finished folder is sealed
        (`soar.files.publish`).
        """
        ...
