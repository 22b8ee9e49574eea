"""Executing untrusted programs: `open_sandbox` opens confined workers, `confirm` runs a program once more, alone."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from soar.errors import ConfigError
from soar.sandbox.bulk import run_all
from soar.sandbox.protocol import Sandbox
from soar.sandbox.supervisor import ConfinedSandbox, available_workers
from soar.types import Execution, Value

LEVELS = ("full", "weak")

__all__ = ["LEVELS", "Sandbox", "confirm", "open_sandbox", "run_all"]


def open_sandbox(
    workers: int | None = None,
    cpu_seconds: float = 1.0,
    memory_mb: int = 512,
    level: str = "full",
    results: Literal["grid", "json"] = "grid",
) -> ConfinedSandbox:
    """Return a sandbox, to be used with ``with`` or ``async with``: `workers` processes (None: one per core), each
    program with `cpu_seconds` of CPU per input and `memory_mb` of memory beyond what Python and NumPy need.

    `level` "full" refuses to start (`SandboxError`) where a canary can write a file, open a socket, fork or kill;
    "weak" runs programs all the same, with whatever of the confinement works. `results` says what a program may return:
    ARC grids, or any JSON value of exact types (tuples come back for lists).
    """
    if level not in LEVELS:
        raise ConfigError(f"unknown sandbox level {level!r}: choose one of {', '.join(LEVELS)}")
    if results not in ("grid", "json"):
        raise ConfigError(f"unknown kind of results {results!r}: choose grid or json")
    return ConfinedSandbox(
        workers=workers or available_workers(),
        cpu_seconds=cpu_seconds,
        memory_mb=memory_mb,
        level=level,
        results=results,
    )


async def confirm(sandbox: Sandbox, code: str, inputs: Sequence[Value], execution: Execution) -> Execution:
    """Run a program again in a process of its own; return what it did there, marked if that is not what it did before.

    What only one of the two runs gave is no output: a program that differs is nondeterministic, and no solution.
    """
    again = await sandbox.run(code, inputs, alone=True)
    return replace(again, nondeterministic=again.outputs != execution.outputs)
