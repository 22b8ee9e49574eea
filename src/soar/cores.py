"""How many cores this process may use: the processor's, less what an affinity or a container's quota takes away."""

import math
import os
from pathlib import Path

CGROUP, QUOTAS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def available_cores() -> int:
    """Return how many cores this process may use, at least 1. A quota of 2.5 cores keeps three busy."""
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([own, *map(math.ceil, _quotas())]))


def _quotas() -> list[float]:
    """Return the cores that this process's control group and those above it allow; none where nothing limits them."""
    found = []
    for folder in _groups():
        try:
            if (limit := folder / "cpu.max").exists():  # version 2: "max 100000" or "250000 100000"
                quota, period = limit.read_text().split()
            else:
                quota, period = ((folder / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period"))
            if quota not in ("max", "-1"):
                found.append(int(quota) / int(period))
        except (OSError, ValueError, ZeroDivisionError):
            continue  # not limited here, or not for this process to read
    return found


def _groups() -> list[Path]:
    """Return the folders of this process's control group, and of all above it, that can limit its cores."""
    try:
        lines = [line.split(":", 2) for line in CGROUP.read_text().splitlines()]
    except OSError:
        return []
    roots = {"": QUOTAS, "cpu": QUOTAS / "cpu", "cpu,cpuacct": QUOTAS / "cpu,cpuacct"}
    found = []
    for _, kind, name in lines:
        if root := roots.get(kind):
            # A container may see its own group as the root: what is named here is missing then, and the root counts.
            own = root / name.strip("/")
            found += [own, *own.parents[: len(own.relative_to(root).parts)]]
    return list(dict.fromkeys(found))
