"""How much CPU time this process and all that it began have taken. Knows /proc; elsewhere only processes that ended."""

import os
import resource
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and its descendants, running and ended; it never falls while the processes
    that matter are waited for by their parents."""
    if not Path("/proc/self/stat").exists():
        usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(usage.ru_utime + usage.ru_stime for usage in usages)
    parents: dict[int, list[int]] = {}
    spent: dict[int, float] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (found := _stat(folder)):
            parent, spent[int(folder.name)] = found
            parents.setdefault(parent, []).append(int(folder.name))
    waiting, total = [os.getpid()], 0.0
    while waiting:
        each = waiting.pop()
        total += spent.get(each, 0.0)
        waiting += parents.get(each, [])
    return total


def _stat(folder: Path) -> tuple[int, float] | None:
    """Return a process's parent, and its seconds with those of its ended children; None if it has gone."""
    try:
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[1]), sum(map(int, fields[11:15])) / TICKS
