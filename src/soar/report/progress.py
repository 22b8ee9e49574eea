"""Shows a run's progress while it goes on: a live line in a terminal, else a plain line every 30 seconds.

Reads the archive like any other reader; the run does not know of it but for the notes it passes on.
"""

import asyncio
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from soar.archive.reader import ArchiveReader
from soar.budget import BudgetSettings
from soar.report.snapshot import Snapshot, line, snapshot
from soar.run import Step


class Progress:
    """The newest note of a run (training loss, a waiting endpoint), shown beside the counts."""

    def __init__(self) -> None:
        self.text = ""

    def note(self, text: str) -> None:
        """Replace the note."""
        self.text = text


async def show_progress(
    archive: Path,
    plan: Sequence[Step],
    tasks: Mapping[str, int],
    per_task: int,
    budget: BudgetSettings,
    progress: Progress,
    console: Console,
) -> None:
    """Show snapshots until cancelled: each second in a terminal, each 30 seconds elsewhere, or less often."""
    reader = ArchiveReader(archive, checked=False)  # a line on the screen is no result: the run need not wait for it
    recent: deque[tuple[float, Snapshot]] = deque(maxlen=60)
    least = pause = 1.0 if console.is_terminal else 30.0
    status = console.status("starting")
    try:
        if console.is_terminal:
            status.start()
        while True:
            await asyncio.sleep(pause)
            begun = time.monotonic()
            now = snapshot(reader, plan, tasks, per_task, budget)
            pause = max(least, 20 * (time.monotonic() - begun))  # the run waits meanwhile
            if now is None:
                continue
            recent.append((time.monotonic(), now))
            text = line(now, _rate(recent), progress.text)
            if console.is_terminal:
                status.update(text)
            else:
                console.print(text, soft_wrap=True, highlight=False, markup=False)
    finally:
        status.stop()
        reader.close()


def _rate(recent: Sequence[tuple[float, Snapshot]]) -> float | None:
    """Return completions per second since the oldest recent snapshot of the same search."""
    then, now = recent[0], recent[-1]
    same = [entry for entry in recent if (entry[1].stage, entry[1].iteration) == (now[1].stage, now[1].iteration)]
    then = same[0]
    seconds = now[0] - then[0]
    return (now[1].completions - then[1].completions) / seconds if seconds > 0 else None
