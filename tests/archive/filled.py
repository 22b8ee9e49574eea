"""An archive with something of everything, and all that a reader says of it."""

import asyncio
import random
from pathlib import Path

from soar.archive.reader import ArchiveReader
from soar.archive.rows import CompletionRow, ExecutionRow, Row, UnsentRow, code_hash
from soar.archive.writer import ArchiveWriter
from soar.types import Completion, Origin, Phase

TASKS = ("one", "two", "three")
PLACES: tuple[tuple[Phase, int], ...] = (("sample", 0), ("refine", 0), ("refine", 1))


def search_rows(iteration: int, task: str) -> list[Row]:
    rows: list[Row] = []
    for phase, island in PLACES:
        for i in range(8):
            code = f"def transform(grid):\n    return {iteration, task, phase, i % 6}\n" + "#" * (37 * i)
            origin = Origin("train", iteration, task, phase, island, i // 4, i % 4)
            name = code_hash(code) if i % 5 else None
            answer = Completion("Look:" + code, "stop", 10 + i, 20 + i, 0.5)
            held = code if name and i % 2 else None  # the others are stored by those who do not have it at hand
            rows.append(CompletionRow(origin, answer, "code" if name else "no-code", name, (origin.key,), code=held))
            if name and i != 7:  # the last still waits for its execution
                outputs = (((i, 1),), ((2, iteration),))
                status, right = ("ok", 1.0) if i % 3 else ("failed", 1 / 3)
                rows.append(ExecutionRow(task, code, status, right, outputs, (((i,),),), "a" * 32, "b" * 32, 0.25))
        rows.append(UnsentRow(Origin("train", iteration, task, phase, island, 9, 0), 4))
    return rows


def fill(path: Path) -> None:
    async def write(writer: ArchiveWriter) -> None:
        for iteration in range(2):
            await writer.begin("train", iteration)
            for task in TASKS:
                await writer.add(search_rows(iteration, task))
            async with writer.timing("train", iteration, "seconds"):
                pass
            await writer.add_requests({"issued": 5 + iteration, "retried": 1, "failed": 0})
        await writer.finish("train", 0)

    writer = ArchiveWriter(path)
    asyncio.run(write(writer))
    writer.close()


def everything_said(path: Path) -> str:
    reader = ArchiveReader(path)
    try:
        said: list[object] = [reader.iterations(), reader.requests()]
        for iteration in range(2):
            said.append(reader.totals("train", iteration))
            for task in TASKS:
                said.append(reader.programs(task, "train", iteration))
                said.append(reader.completion_counts("train", iteration, task))
                said.append(reader.tokens(task, "train", iteration))
                said.append(sorted(reader.unsent("train", iteration, task)))
                said.append(reader.arrived("train", iteration, task))
                for phase, island in PLACES:
                    said.append(reader.completions("train", iteration, task, phase, island))
        said += [reader.programs(task, "train") for task in TASKS]
        return repr(said)
    finally:
        reader.close()


def with_a_byte_changed(data: bytes, place: int, chance: random.Random) -> bytes:
    return data[:place] + bytes([data[place] ^ chance.choice([1, 2, 4, 8, 16, 32, 64, 128, 255])]) + data[place + 1 :]
