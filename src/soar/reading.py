"""A run from Python: tasks, programs, votes and lineage as frozen data, read on request.

Knows no format of its own: it returns what `soar show` and `soar report` are made of. Holds nothing open between two
calls, so each call shows an active run as it stands then.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soar import session
from soar.archive.reader import ArchiveReader
from soar.ensemble import Ballot
from soar.errors import ConfigError, DataError
from soar.report import metrics
from soar.report.rows import program_rows
from soar.report.snapshot import Snapshot
from soar.report.task_view import Found, TaskView, ancestors, program_of, task_view
from soar.report.view import RunView
from soar.run import RunDirectory
from soar.types import Program, Task

if TYPE_CHECKING:
    import pandas


def open_run(path: str | Path, *overrides: str) -> "RunReader":
    """Return a reader of a run, finished or still active. With `overrides` such as ``"answer.voter=mine:voter"``, its
    programs vote that way.

    `ConfigError` if `path` is no run directory, `StoreError` if the run is damaged or has no archive yet.
    """
    with session.view_run(Path(path), overrides) as view:
        return RunReader(Path(path), view, Path(path).absolute())


@dataclass(frozen=True)
class RunReader:
    """A run to read. A notebook shows its searches and a wall of its tasks.

    Test outputs that a stage hides are never returned; what is right is reported all the same, as in a report.
    """

    path: Path
    _view: RunView = field(repr=False, compare=False)
    _absolute: Path = field(repr=False, compare=False)

    @property
    def tasks(self) -> Mapping[str, Task]:
        """All tasks of the run by id, with the outputs that their stages know."""
        stages = {step.stage.name: step.stage for step in self._view.plan}
        found: dict[str, Task] = {}
        for name, tasks in self._view.tasks.items():
            for task in stages[name].visible(tasks):
                # A task in several stages is hidden if any of them hides it.
                found[task.id] = task if task.id not in found or not task.answered else found[task.id]
        return found

    def status(self) -> Snapshot | None:
        """Return where the run stands, None before its first search."""
        return session.read_status(self._place)

    def task(self, task_id: str) -> TaskView:
        """Return what was found for a task: its searches, and its programs with what each is worth. `DataError` for
        an unknown id names similar ones."""
        with self._reading() as view:
            return task_view(view, task_id)

    def programs(self, task_id: str) -> tuple[Found, ...]:
        """Return the distinct programs of a task, best first."""
        return tuple(self.task(task_id).programs)

    def program(self, program_id: str) -> Found:
        """Return the program with an id, as `soar show` prints it; `DataError` if there is none."""
        return program_of(self.task(_task_of(program_id)), program_id)

    def lineage(self, program_id: str) -> tuple[Program, ...]:
        """Return a program and all its ancestors, oldest first."""
        seen = self.task(_task_of(program_id))
        return tuple(ancestors(seen, program_of(seen, program_id).program))

    def votes(self, task_id: str) -> tuple[Ballot, ...]:
        """Return all ballots for a task from the newest search that has any, heaviest first: the first two are its
        answers, each with a value per test input."""
        with self._reading() as view:
            seen = task_view(view, task_id)
            last = next((search for search in reversed(seen.searches) if search.ballots), None)
            if last is None:
                return ()
            programs = view.reader.programs(task_id, *last.step.key)
            return tuple(view.answering.ballots(seen.task, programs))

    def report(self) -> dict[str, object]:
        """Return the object of ``soar report --json``."""
        with self._reading() as view:
            return metrics.report(view)

    def rows(self) -> list[dict[str, Any]]:
        """Return one object per executed program of the run, in search order; see `frame` for its keys."""
        with self._reading() as view:
            return list(program_rows(view))

    def frame(self) -> "pandas.DataFrame":
        """Return one row per executed program: its place (``program``, ``task_id``, ``stage``, ``iteration``,
        ``phase``, ``island``, ``step``, ``index``, ``parents``), what it did (``ran``, ``failure``, ``train_right``,
        ``train_pairs``, ``test_right``, None if not known) and ``code``. `ConfigError` without pandas."""
        try:
            import pandas
        except ImportError:
            raise ConfigError("a data frame needs pandas, which is not installed: pip install pandas") from None
        return pandas.DataFrame(self.rows())

    def query(self, sql: str) -> list[tuple]:
        """Return the rows of a SQL query on the run's archive (docs/reading-a-run.md), its texts uncompressed."""
        with self._reading() as view:
            return view.reader.query(sql)

    def html(self) -> str:
        """Return the page that ``soar report --html`` writes."""
        from soar.report.html.page import page

        with self._reading() as view:
            return page(view)

    def _repr_html_(self) -> str:
        from soar.report.html.page import run_cell

        with self._reading() as view:
            return run_cell(view)

    @property
    def _place(self) -> Path:
        """The path as it was given, unless a notebook has changed the working directory that it is relative to."""
        return self.path if self.path.absolute() == self._absolute else self._absolute

    @contextmanager
    def _reading(self) -> Iterator[RunView]:
        reader = ArchiveReader(RunDirectory(self._place).archive)
        try:
            yield replace(self._view, path=self._place, reader=reader)
        finally:
            reader.close()


def _task_of(program_id: str) -> str:
    """Return the task's id from a program's id, ``stage/iteration/task/phase/island/step/index``."""
    parts = program_id.split("/")
    if len(parts) != 7:
        raise DataError(f"no program {program_id!r}: expected an id like 'train/0/TASK/sample/0/0/0'")
    return parts[2]
