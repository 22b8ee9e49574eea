"""A run as its readers see it. Data only; `soar.session` opens one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from soar.archive.reader import ArchiveReader
from soar.budget import BudgetSettings
from soar.ensemble import Answering
from soar.protocols import Domain
from soar.run import Step
from soar.types import Leaks, Task


@dataclass(frozen=True)
class RunView:
    """A run, finished or active: its searches, its tasks by stage (with answers) and their sources as they were named,
    how programs answer, and its archive. `places` are the sources as they are found from any folder. `samples` and
    `refinements` are completions per task and search; `distinct`: those of one request were drawn without replacement.
    `leaks` says which tasks it was allowed to learn from although it is judged on them, `overrides` which settings of
    its vote are others than it was started with. `imported` is the key of the search in whose place programs were
    imported, None if there is none."""

    path: Path
    plan: tuple[Step, ...]
    domain: Domain
    tasks: Mapping[str, Sequence[Task]]
    sources: Mapping[str, str]
    samples: int
    refinements: int
    distinct: bool
    answering: Answering
    budget: BudgetSettings
    reader: ArchiveReader
    leaks: Leaks = field(default_factory=dict)
    overrides: tuple[str, ...] = ()
    places: Mapping[str, str] = field(default_factory=dict)
    imported: tuple[str, int] | None = None

    @property
    def name(self) -> str:
        """The name of the run's directory, also where its path is `.` or ends in `..`."""
        return self.path.resolve().name

    @property
    def title(self) -> str:
        """The run's path, and how its vote differs from the one that it was started with."""
        return " with ".join([str(self.path), *([", ".join(self.overrides)] if self.overrides else [])])


def leak_lines(leaks: Leaks) -> list[str]:
    """Return a sentence for each stage with hidden answers whose tasks the run learnt from with their answers."""
    return [
        f"LEAK (--allow-leak): {count} tasks of stage {target!r} were learnt from in stage {known!r}, with their"
        f" answers: scores of {target!r} do not measure unseen tasks"
        for target, stages in leaks.items()
        for known, count in stages.items()
    ]
