"""ARC's domain as the rest of the system sees it (§3.1): it gathers what the files beside it know about grids."""

import logging
from collections.abc import Callable, Hashable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from soar.domains.arc.compact import Compact
from soar.domains.arc.filters import is_hard_coded, is_near_constant
from soar.domains.arc.grids import COLOURS, Grid, parse, shape, show, similarity
from soar.domains.arc.source import SETS, read_source
from soar.domains.arc.svg import svg
from soar.domains.complete import submission
from soar.protocols import Domain, Filter, Heuristic, Rendering
from soar.types import Task, Value

if TYPE_CHECKING:
    from rich.text import Text

logger = logging.getLogger(__name__)

NO_ANSWER = ((0, 0), (0, 0))
"""Submitted where there is no answer: the format requires a grid."""


class Arc:
    """Values are grids, tuples of h rows of w ints in 0–9, 1 ≤ h, w ≤ 30."""

    about = (
        "Every value is a grid: a rectangle of at most 30 rows and 30 columns whose cells are the integers 0 to 9. "
        "Each integer stands for a colour: "
        + ", ".join(f"{value} {name}" for value, (name, _) in enumerate(COLOURS))
        + ". Grids are written one row per line, one digit per cell. "
        "In Python a grid is a list of rows, and a row is a list of ints."
    )
    signature = "transform(grid)"
    codec = "arc"
    sources = tuple(SETS)
    parse = staticmethod(parse)
    show = staticmethod(show)
    shape = staticmethod(shape)
    similarity = staticmethod(similarity)
    renderings: Mapping[str, Callable[[Domain], Rendering]] = MappingProxyType({"compact": Compact})
    filters: Mapping[str, Filter] = MappingProxyType({"hard-coded": is_hard_coded, "near-constant": is_near_constant})
    heuristics: Mapping[str, Heuristic] = MappingProxyType({})

    def load(self, source: str) -> list[Task]:
        """Return the tasks of a built-in set, a folder or a file, sorted by id (see `source`).

        Invalid tasks are skipped with a warning; `DataError` if no task is valid. Both name the file, the task, the
        pair and the reason.
        """
        tasks, rejected = read_source(source, parse)
        if rejected:
            first = next(iter(rejected.values()))
            logger.warning("%s: skipped invalid tasks: %d, the first: %s", source, len(rejected), first)
        return tasks

    def rejected(self, source: str) -> dict[str, str]:
        """Return why `load` skips a task, by the task's id."""
        return read_source(source, parse)[1]

    def draw(self, value: Value) -> "Text":
        """Return the grid as coloured cells."""
        from soar.domains.arc.draw import draw  # rich is loaded only if something is drawn

        return draw(cast(Grid, value))

    def svg(self, value: Value) -> str:
        """Return the grid as an SVG element."""
        return svg(cast(Grid, value))

    def fingerprints(self, task: Task) -> list[Hashable]:
        """Return every pair with a known output: ARC-AGI-2 contains tasks of ARC-AGI-1 with pairs moved and added."""
        return [(e.input, e.output) for e in (*task.train, *task.test) if e.output is not None]

    def submission(
        self, tasks: Sequence[Task], answers: Mapping[str, Sequence[tuple[Value, ...]]]
    ) -> dict[str, list[dict[str, Value]]]:
        """Return the answers in ARC Prize's format."""
        return submission(tasks, answers, no_answer=NO_ANSWER)
