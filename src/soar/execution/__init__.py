"""Executing untrusted programs: `open_sandbox` opens confined workers on this machine, `confirm` runs a program once
more, alone."""

from collections.abc import Sequence
from dataclasses import replace

from soar.cores import available_cores
from soar.errors import ConfigError
from soar.execution.codecs import CODECS
from soar.execution.local.bulk import run_all
from soar.execution.local.supervisor import ConfinedSandbox
from soar.protocols import Executor
from soar.types import Execution, Value

LEVELS = ("full", "weak")

__all__ = ["LEVELS", "confirm", "open_sandbox", "run_all"]


def open_sandbox(
    workers: int | None = None,
    cpu_seconds: float = 1.0,
    memory_mb: int = 512,
    level: str = "full",
    codec: str = "json",
    signature: str = "transform(x)",
    stop_at_failure: bool = False,
) -> ConfinedSandbox:
    """Return a sandbox for use with ``with`` or ``async with``: `workers` processes (None: one per core), which give
    each program `cpu_seconds` of CPU time per input and `memory_mb` of memory beyond what Python and NumPy need.

    `level` "full" refuses to start (`SandboxError`) if a canary can write a file, open a socket, fork or kill; "weak"
    runs programs anyway, with whatever confinement works. `codec` says what values are: "json", any JSON value of exact
    types (lists come back as tuples), or the codec of a built-in domain. `signature` is the function that a program
    must define, as a call. `stop_at_failure`: the inputs after the first that fails are not run, and fail too.
    """
    if level not in LEVELS:
        raise ConfigError(f"unknown sandbox level {level!r}: choose one of {', '.join(LEVELS)}")
    if codec not in CODECS:
        raise ConfigError(f"unknown codec {codec!r}: choose one of {', '.join(sorted(CODECS))}")
    return ConfinedSandbox(
        workers=workers or available_cores(),
        cpu_seconds=cpu_seconds,
        memory_mb=memory_mb,
        level=level,
        codec=codec,
        signature=signature,
        stop_at_failure=stop_at_failure,
    )


async def confirm(executor: Executor, code: str, inputs: Sequence[Value], execution: Execution) -> Execution:
    """Run a program again in its own process; return that execution, marked nondeterministic if its outputs differ.

    An output that only one of the two runs gave does not count: a nondeterministic program solves nothing.
    """
    again = await executor.run(code, inputs, alone=True)
    return replace(again, nondeterministic=again.outputs != execution.outputs)
