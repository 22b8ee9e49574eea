"""Counts how many tasks a search has solved so far, as the report will, without reading all of it at every look.

Knows the archive and what is right; nothing of screens.
"""

import time
from contextlib import closing
from functools import partial

from soar.parallel import mapped
from soar.report.task_results import TaskResult, judged, kept
from soar.report.view import RunView
from soar.run import Step
from soar.types import Task

READ_SECONDS = 0.2
"""Seconds that one look may spend on reading programs."""

GROWN = 1.5
"""A task whose completions still arrive is judged again once it has this many times as many."""


class SoFar:
    """The tasks of one search as last judged."""

    def __init__(self, view: RunView, step: Step) -> None:
        self._view, self._step = view, step
        self._judged: dict[str, tuple[int, TaskResult]] = {}
        self._counts: dict[str, int] = {}

    def look(self, *, all_of_it: bool = False) -> None:
        """Judge tasks that have changed: as many as the time for one look allows, or all of them."""
        counts = self._view.reader.completions_by_task(*self._step.key)
        if all_of_it and (results := kept(self._view, self._step)):
            self._judged = {result.task_id: (result.completions, result) for result in results}
        tasks = self._view.tasks[self._step.stage.name]
        due = [task for task in tasks if self._is_due(task, counts.get(task.id, 0), all_of_it=all_of_it)]
        work = partial(judged, self._view.reader, self._step, self._view.answering)
        if all_of_it:
            with closing(mapped(work, due)) as results:
                for task, (result, _) in zip(due, results, strict=True):
                    self._judged[task.id] = counts[task.id], result
        else:
            end = time.monotonic() + READ_SECONDS
            for task in sorted(due, key=self._known):  # least known first, so that each gets its turn
                self._judged[task.id] = counts[task.id], work(task)[0]
                if time.monotonic() > end:
                    break
        self._counts = counts

    def _known(self, task: Task) -> int:
        """Return how many completions a task had when it was judged."""
        return self._judged[task.id][0] if task.id in self._judged else 0

    def _is_due(self, task: Task, count: int, *, all_of_it: bool) -> bool:
        known = self._known(task)
        return count > known and (all_of_it or count >= GROWN * known or count == self._counts.get(task.id))

    @property
    def solved(self) -> int | None:
        """Tasks that one of two voted answers solves; None if no answers are known."""
        known = [result.solved for _, result in self._judged.values() if result.solved is not None]
        answered = any(task.answered for task in self._view.tasks[self._step.stage.name])
        return sum(known) if answered else None

    @property
    def fitting(self) -> int:
        """Tasks with a program that is right on all training pairs."""
        return sum(result.solved_train_pairs for _, result in self._judged.values())

    @property
    def programs(self) -> int:
        """Completions whose program has been executed."""
        return sum(result.programs for _, result in self._judged.values())
