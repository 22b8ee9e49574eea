"""SOAR: a language model writes programs for tasks given by examples, and learns from its own search.

import soar

found = soar.solve("007bbfb7")             one search for one task; `await soar.asolve(…)` in a coroutine
found.answers, found.code, found.sure

run = soar.open_run("runs/demo")           a run, finished or still running
run.task("007bbfb7").best, run.votes("007bbfb7"), run.frame()

with soar.open_sandbox() as sandbox: …     runs untrusted programs
"""

# pyright: reportUnsupportedDunderAll=false
# Names are resolved on first access; a type checker reads the stub beside this file.

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

_MODULES = {
    "Example": "soar.types",
    "RunReader": "soar.reading",
    "Solution": "soar.report.solution",
    "Task": "soar.types",
    "asolve": "soar.solving",
    "open_run": "soar.reading",
    "open_sandbox": "soar.execution",
    "solve": "soar.solving",
}
"""The module that defines each name."""


def __getattr__(name: str) -> Any:
    # Imported on first access, so that `soar --help` and `import soar` wait for nothing.
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
