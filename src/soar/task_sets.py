"""Which tasks a configuration names, and whether they may stand in one run together."""

from collections.abc import Mapping, Sequence

from soar.config import Config, resolve
from soar.domains.arc import Arc
from soar.domains.protocol import Domain
from soar.domains.task_set import overlap, read_ids, select
from soar.errors import DataError
from soar.types import Task

DOMAINS = {"arc": Arc}

TOLERATED = 0.02
"""The largest share of a hidden stage's tasks that may also be in a stage with known answers, and is then left out."""


def open_domain(config: Config) -> Domain:
    """Return the configured domain."""
    return resolve(config.tasks.domain, DOMAINS, "domain")()


def load_task_sets(config: Config, domain: Domain) -> dict[str, list[Task]]:
    """Return the tasks of every stage by its name, with answers where the source has them; refuse what leaks."""
    found = {}
    for stage in config.stages:
        where = config.tasks_of(stage)
        ids = read_ids(where.ids_file) if where.ids_file else None
        found[stage.name] = select(domain.load(where.source), ids=ids, count=where.count, seed=config.seed)
    found = without_leaks(config, found)
    refuse_clashes(found)
    return found


def tasks_with_ids(config: Config, domain: Domain, ids: Mapping[str, Sequence[str]]) -> dict[str, list[Task]]:
    """Return the tasks of every stage by the ids that a run was begun with."""
    return {
        stage.name: select(domain.load(config.tasks_of(stage).source), ids=ids[stage.name]) for stage in config.stages
    }


def refuse_clashes(tasks: Mapping[str, Sequence[Task]]) -> None:
    """Refuse two different tasks with one id: executions are stored by task id."""
    seen: dict[str, tuple[str, Task]] = {}
    for name, found in tasks.items():
        for task in found:
            other, known = seen.setdefault(task.id, (name, task))
            if known != task:
                raise DataError(
                    f"task {task.id} of stage {name!r} is another task than that of stage {other!r}: use two runs"
                )


def without_leaks(config: Config, tasks: Mapping[str, list[Task]]) -> dict[str, list[Task]]:
    """Return the task sets such that no stage with known answers holds a pair of a stage with hidden answers.

    A few shared tasks are left out of the stage that knows answers (ARC-AGI-1's sets share one); more than `TOLERATED`
    of the hidden stage's tasks is a mistake and refused (most of ARC-AGI-1's evaluation lies in ARC-AGI-2's training).
    """
    found = dict(tasks)
    hidden = [stage.name for stage in config.stages if stage.answers == "hidden"]
    for stage in config.stages:
        for target in hidden if stage.answers == "known" else ():
            shared = overlap(found[stage.name], found[target])
            if len({b for _, b in shared}) > TOLERATED * len(found[target]):
                pairs = ", ".join(f"{a} = {b}" for a, b in shared[:3])
                raise DataError(
                    f"{len(shared)} tasks of stage {target!r} (answers hidden) share pairs with stage {stage.name!r},"
                    f" which knows answers, for example {pairs}: choose other task sets"
                )
            leaking = {a for a, _ in shared}
            found[stage.name] = [task for task in found[stage.name] if task.id not in leaking]
    return found
