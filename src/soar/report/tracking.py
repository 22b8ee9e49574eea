"""Passes a run's numbers on to trackio, which shows them beside those of other runs, on this machine or wherever its
own settings say. A copy for comparison: the archive stays the truth, and nothing is read back.

Knows trackio, and nothing of runs.
"""

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

from soar.settings import require

Track: TypeAlias = Callable[[Mapping[str, float]], None]
"""Takes the latest numbers by name."""


@contextmanager
def tracking(project: str | None, name: str, config: Mapping[str, Any]) -> Iterator[Track]:
    """Yield a function that logs numbers; without a project it drops them. A run of this name in trackio is resumed.

    `ConfigError` if trackio is missing.
    """
    if project is None:
        yield lambda _: None
        return
    require("--trackio", "trackio", "trackio")
    trackio: Any = importlib.import_module("trackio")
    run = trackio.init(project=project, name=name, config=dict(config), resume="allow", embed=False, auto_log_cpu=False)
    try:
        yield lambda numbers: run.log(dict(numbers))
    finally:
        run.finish()
