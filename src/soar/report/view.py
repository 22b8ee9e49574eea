"""A run as its readers see it. Data only; `soar.session` opens one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from soar.archive.reader import ArchiveReader
from soar.budget import BudgetSettings
from soar.ensemble import Answering
from soar.protocols import Domain
from soar.run import Step
from soar.types import Task


@dataclass(frozen=True)
class RunView:
    """A finished run, or one that goes on: its searches, its tasks by stage (with answers) and where they came from,
    how programs answer, and its archive. `samples` and `refinements` are completions per task and search."""

    path: Path
    plan: tuple[Step, ...]
    domain: Domain
    tasks: Mapping[str, Sequence[Task]]
    sources: Mapping[str, str]
    samples: int
    refinements: int
    answering: Answering
    budget: BudgetSettings
    reader: ArchiveReader
