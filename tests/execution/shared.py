"""Sandboxes that tests share, one per set of options: opening one takes longer than most of the tests."""

import asyncio
from typing import Any

from contained import GRID

from soar.execution import open_sandbox
from soar.execution.local.supervisor import ConfinedSandbox

_OPEN: dict[tuple, ConfinedSandbox] = {}


def shared(**options: Any) -> ConfinedSandbox:
    """Return the open sandbox with these options, of one worker and for grids unless they say otherwise."""
    options = {"workers": 1, "codec": "arc", **options}
    key = tuple(sorted(options.items()))
    if key not in _OPEN:
        _OPEN[key] = open_sandbox(**options).__enter__()
    return _OPEN[key]


def run_all(programs, inputs=(GRID,), **options) -> list[Any]:
    """Run programs on the same inputs in a shared sandbox, all at once."""

    async def work():
        sandbox = shared(**options)
        return await asyncio.gather(*(sandbox.run(code, inputs) for code in programs))

    return asyncio.run(work())


def close_all() -> None:
    """Close what tests have opened."""
    for sandbox in _OPEN.values():
        sandbox.__exit__()
    _OPEN.clear()
