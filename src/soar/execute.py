"""Runs programs on tasks in bulk, for `soar exec`: lines in, one line out for each, in the same order (JSONL).

Knows files and lines; judging against expected outputs happens here, outside the sandbox.
"""

import asyncio
import json
import os
import stat
import sys
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from rich.console import Console

from soar.arriving import arrives, in_order, lines_of
from soar.errors import ConfigError, DataError
from soar.execution import open_sandbox
from soar.files import growing, partial, printing
from soar.method import open_domain
from soar.protocols import Domain, Executor, Parse
from soar.scoring import verdicts
from soar.search.evaluate import execute
from soar.signals import until_signal
from soar.types import Execution, Failure, Output, Task

IN_FLIGHT = 512
PLAIN_SECONDS = 30
DEFAULT_SETS = 2
"""How many of a domain's own task sets are searched if none is named: for ARC, both of ARC-AGI-1."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What programs are executed with: an executor, tasks by id, the domain's canonical form."""

    executor: Executor
    tasks: Mapping[str, Task]
    parse: Parse


def load_tasks(domain: Domain, source: str | None) -> dict[str, Task]:
    """Return the tasks of a source by id; without one, those of the domain's first sets."""
    sources = [source] if source else domain.sources[:DEFAULT_SETS]
    if not sources:
        raise ConfigError("this domain comes without tasks: name a file or folder with --tasks")
    return {task.id: task for name in sources for task in domain.load(name)}


@asynccontextmanager
async def _bench(domain: Domain, tasks: Mapping[str, Task], workers: int | None = None) -> AsyncIterator[Bench]:
    async with open_sandbox(workers=workers, codec=domain.codec, signature=domain.signature) as sandbox:
        yield Bench(sandbox, tasks, domain.parse)


def execute_file(programs: Path, out: Path | None, source: str | None, domain_name: str) -> None:
    """Run the programs of a JSONL file and write a result per line; `DataError` if none of them can be used.

    Results for a plain file are in `partial` until they are complete; `Interrupted` names it.
    """
    refuse_inputs(out, programs, source)
    domain = open_domain(domain_name)
    tasks = load_tasks(domain, source)
    lines = _lines(programs)
    with _opened(out) as sink:
        counts, refused = asyncio.run(until_signal(_write_all(lines, domain, tasks, sink), _stopped(out)))
    if counts["error"] and counts["error"] == counts.total():
        raise DataError(f"no line of {programs} could be used; the first error: {refused}")


def execute_one(program: Path, out: Path | None, task_id: str, source: str | None, domain_name: str) -> None:
    """Run one program file on one task and write its result line."""
    refuse_inputs(out, program, source)
    domain = open_domain(domain_name)
    tasks = load_tasks(domain, source)
    if task_id not in tasks:
        raise DataError(f"no task {task_id!r} in {source or ' or '.join(domain.sources[:DEFAULT_SETS])}")
    try:
        line = json.dumps({"task_id": task_id, "code": program.read_text(encoding="utf-8-sig", errors="replace")})
    except OSError as error:
        raise DataError(f"{program} cannot be read: {error}") from None

    async def only() -> dict[str, Any]:
        async with _bench(domain, tasks, workers=1) as bench:
            return await execute_line(bench, line)

    result = asyncio.run(until_signal(only(), "stopped; nothing was written"))
    with _opened(out) as sink:
        sink.write(json.dumps(result) + "\n")


def refuse_inputs(out: Path | None, programs: Path, source: str | None) -> None:
    """Raise `ConfigError` if results would overwrite, or be appended to, one of their inputs, whatever its name."""
    aside = partial(out) if out else None
    tasks = Path(source) if source else None
    inputs = [programs]
    if tasks and tasks.is_dir():
        inputs += tasks.rglob("*.json")
    elif tasks and tasks.is_file():
        inputs += [tasks, tasks.with_name(tasks.name.replace("challenges", "solutions"))]
    targets = [_identity(target) for target in ((out, aside) if out else (1,))]
    for path in inputs:
        if (found := _identity(path)) and found in targets:
            raise ConfigError(
                f"the results would be written to {out or 'standard output'}, which is the input {path}: name another"
                " file"
            )


def refuse_run(out: Path, run_dir: Path, sources: Iterable[str]) -> None:
    """Raise `ConfigError` if a file would be in a run's directory, or overwrite the tasks of its sources."""
    if out.resolve().is_relative_to(run_dir.resolve()):
        raise ConfigError(f"{out} lies in the run directory, which is for the run's own files: name another place")
    for source in sources:
        refuse_inputs(out, run_dir / "config.toml", source)


def _identity(target: Path | int | None) -> tuple[int, int] | None:
    """Return what identifies a plain file under all its names, None for anything else."""
    if target is None:
        return None
    try:
        found = os.fstat(target) if isinstance(target, int) else target.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None


def _stopped(out: Path | None) -> str:
    aside = partial(out) if out else None
    return f"stopped; the results so far are in {aside}" if aside else "stopped"


def _lines(programs: Path) -> Iterator[str] | AsyncIterator[str]:
    """Return the lines of a file, or of a pipe as they arrive; `DataError` if it cannot be opened or read."""
    if not arrives(programs):
        return _read(programs)
    try:  # here, since no signal is heard in an event loop while a named pipe waits for its writer
        return lines_of(programs.open("rb", buffering=0))
    except OSError as error:
        raise DataError(f"{programs} cannot be read: {error}") from None


def _read(programs: Path) -> Iterator[str]:
    try:
        with programs.open(encoding="utf-8-sig", errors="replace") as lines:
            yield from lines
    except OSError as error:
        raise DataError(f"{programs} cannot be read: {error}") from None


def _opened(out: Path | None) -> AbstractContextManager[IO[str]]:
    return growing(out) if out else printing()


async def _write_all(
    lines: Iterator[str] | AsyncIterator[str], domain: Domain, tasks: Mapping[str, Task], sink: IO[str]
) -> tuple[Counter[str], str]:
    """Write a result per line; return how many lines have each status, and why the first unusable one is unusable."""
    counts, refused = Counter[str](), ""
    async with _bench(domain, tasks) as bench:
        if isinstance(lines, AsyncIterator):
            results = in_order(lines, lambda line: execute_line(bench, line), IN_FLIGHT)
        else:
            results = execute_lines(bench, lines)
        with _progress(shown=sink is not sys.stdout) as show:
            async for result in results:
                sink.write(json.dumps(result) + "\n")
                sink.flush()
                counts[result["status"]] += 1
                if result["status"] == "error":  # only then the message is ours: other keys are copied through
                    refused = refused or result["message"]
                show(counts)
    return counts, refused


@contextmanager
def _progress(*, shown: bool) -> Iterator[Callable[[Mapping[str, int]], None]]:
    """Yield a function that shows how many lines have each status, and the rate, on standard error: live on a terminal,
    otherwise as a plain line every `PLAIN_SECONDS`."""
    console, begun, said = Console(stderr=True), time.monotonic(), [time.monotonic()]
    with console.status("starting") if shown and console.is_terminal else nullcontext() as status:

        def show(counts: Mapping[str, int]) -> None:
            seconds, total = time.monotonic() - begun, sum(counts.values())
            text = f"{total} programs: {counts['ok']} ok, {counts['failed']} failed, {counts['error']} unusable"
            text += f", {total / max(seconds, 1e-3):.0f}/s"
            if status is not None:
                status.update(text)
            elif shown and time.monotonic() - said[0] >= PLAIN_SECONDS:
                said[0] = time.monotonic()
                console.print(text, highlight=False)

        yield show


async def execute_lines(
    bench: Bench, lines: Iterable[str], in_flight: int = IN_FLIGHT
) -> AsyncIterator[dict[str, Any]]:
    """Yield one result per line, in their order, with at most `in_flight` programs read ahead; skip blank lines."""
    waiting: deque[asyncio.Task[dict[str, Any]]] = deque()
    for line in lines:
        if not line.strip():
            continue
        waiting.append(asyncio.create_task(execute_line(bench, line)))
        while len(waiting) >= in_flight or (waiting and waiting[0].done()):
            yield await waiting.popleft()
    while waiting:
        yield await waiting.popleft()


async def execute_line(bench: Bench, line: str) -> dict[str, Any]:
    """Return the result of one line: the program's verdict per input, or ``"status": "error"`` with a message."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError) as error:
        return {"status": "error", "message": f"not JSON: {error}", "train": [], "test": []}
    if not isinstance(entry, dict):
        return {"status": "error", "message": "expected an object with task_id and code", "train": [], "test": []}
    copied = {key: value for key, value in entry.items() if key != "code"}
    task, code = bench.tasks.get(entry["task_id"]) if isinstance(entry.get("task_id"), str) else None, entry.get("code")
    if task is None:
        message = f"unknown task {entry.get('task_id')!r}"
        return {**copied, "status": "error", "message": message, "train": [], "test": []}
    if not isinstance(code, str):
        return {**copied, "status": "error", "message": "no code: expected a string", "train": [], "test": []}
    return {**copied, **verdict(task, await execute(bench.executor, bench.parse, task.without_answers(), code))}


def verdict(task: Task, execution: Execution) -> dict[str, Any]:
    """Return an execution's outputs as JSON values, with whether each training output is the expected one."""
    train = execution.outputs[: len(task.train)]
    test = execution.outputs[len(task.train) :]
    failed = any(isinstance(output, Failure) for output in execution.outputs)
    found: dict[str, Any] = {
        "status": "failed" if failed else "ok",
        "train": [
            {**_entry(output), "correct": correct}
            for output, correct in zip(train, verdicts(task.train, train), strict=True)
        ],
        "test": [_entry(output) for output in test],
    }
    return {**found, "nondeterministic": True} if execution.nondeterministic else found


def _entry(output: Output) -> dict[str, Any]:
    if isinstance(output, Failure):
        said = asdict(output)
        return {"output": None, "failure": {key: said[key] for key in ("type", "message", "line", "stage")}}
    return {"output": output, "failure": None}
