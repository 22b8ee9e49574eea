from soar.execution import open_sandbox
from soar.reading import RunReader, open_run
from soar.report.solution import Solution
from soar.solving import asolve, solve
from soar.types import Example, Task

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

__version__: str
