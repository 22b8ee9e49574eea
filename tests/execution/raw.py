"""A zygote that tests speak to directly: programs go in as requests, and what its worker says comes back as records."""

import asyncio
import json
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from soar import codec
from soar.execution.local import link, wire

SETTINGS: dict[str, Any] = {
    "memory_mb": 512,
    "landlock": True,
    "libraries": link.library_folders(),
    "codec": "soar.codec",
    "signature": "transform(x)",
    "stop_at_failure": False,
}
OTHER: dict[str, Any] = {
    "memory_mb": 64,
    "landlock": False,
    "signature": "answer(x, y)",
    "stop_at_failure": True,
}
"""What a second zygote is asked for: all that can differ, at once, since starting one takes longer than most tests."""

_OPEN: list[link.Zygote] = []
HELLOS: dict[int, dict[str, Any]] = {}
"""What zygotes have said of their confinement, by process."""


@cache
def zygote(**settings: Any) -> link.Zygote:
    """Return a zygote that has said how it is confined, one for all tests with these settings."""
    made = link.Zygote({**SETTINGS, **settings})
    _OPEN.append(made)
    HELLOS[made.pid] = made.greeting()
    return made


def close_all() -> None:
    """End what tests have started."""
    for each in _OPEN:
        each.kill()
    _OPEN.clear()
    zygote.cache_clear()


def tell(
    programs: Sequence[str | bytes | tuple[int, int, str]],
    inputs: Sequence[Sequence[object]] = ((1,),),
    *,
    alone: bool = False,
    cpu: float = 5.0,
    slice_seconds: float = 60.0,
    most: float = 60.0,
    silent: float = 60.0,
    to: link.Zygote | None = None,
    meanwhile: Callable[[int], object] = lambda count: None,
) -> tuple[list[wire.Record], dict[str, Any]]:
    """Send programs (or places of inputs, first inputs and programs) to one worker; return its records and its end.
    `meanwhile` is called with how many records there are, whenever some came."""
    items = [each if isinstance(each, tuple) else (0, 0, each) for each in programs]
    coded = [(place, first, code if isinstance(code, bytes) else code.encode()) for place, first, code in items]
    packed = [wire.pack_inputs(values, codec) for values in inputs]
    request = wire.pack_request(wire.Request(cpu, slice_seconds, alone, packed, coded))

    async def asked() -> tuple[list[wire.Record], dict[str, Any]]:
        served = to or zygote()
        reader, records = wire.RecordReader(), []
        await served.send(wire.ORDER.pack(most, silent) + request)
        while True:
            kind, content = await served.receive()
            if kind == b"e":
                return records, json.loads(content)
            records += reader.feed(content)
            meanwhile(len(records))

    async def in_time() -> tuple[list[wire.Record], dict[str, Any]]:
        # A zygote that misses its worker's end would be waited for for ever.
        return await asyncio.wait_for(asked(), 200)

    return asyncio.run(in_time())
