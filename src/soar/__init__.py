"""SOAR: a language model writes programs for tasks given by examples, and learns from its own search.

import soar

found = soar.solve("007bbfb7")             one search of a task in hand; `await soar.asolve(…)` in a coroutine
found.answers, found.code, found.sure

run = soar.open_run("runs/demo")           a run, also one that goes on
run.task("007bbfb7").best, run.votes("007bbfb7"), run.frame()

with soar.open_sandbox() as sandbox: …     programs that nobody vouches for
"""

# pyright: reportUnsupportedDunderAll=false
# The names are there when they are asked for; a type checker reads the stub beside this file.

import importlib
from typing import Any

__all__ = [
    "Example",
    "RunReader",
    "Solution",
    "Task",
    "__version__",
    "asolve",
    "open_run",
    "open_sandbox",
    "solve",
]

__version__ = "0.1.0"

_HOMES = {
    "Example": "soar.types",
    "RunReader": "soar.reading",
    "Solution": "soar.report.solution",
    "Task": "soar.types",
    "asolve": "soar.solving",
    "open_run": "soar.reading",
    "open_sandbox": "soar.execution",
    "solve": "soar.solving",
}
"""Where each name is at home."""


def __getattr__(name: str) -> Any:
    # Imported when first asked for, so that `soar --help` and `import soar` wait for nothing.
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
