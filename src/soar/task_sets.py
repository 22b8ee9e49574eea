"""Which tasks a configuration names, and whether they may stand in one run together. Knows no particular domain."""

from collections.abc import Mapping, Sequence

from soar import shipped
from soar.config import Config, TasksSettings
from soar.domains.task_set import load, overlap, read_ids, select
from soar.errors import ConfigError, DataError
from soar.protocols import Domain
from soar.types import Task

TOLERATED = 0.02
"""The largest share of a hidden stage's tasks that may also be in a stage with known answers, and is then left out."""


def load_task_sets(config: Config, domain: Domain) -> dict[str, list[Task]]:
    """Return the tasks of every stage by its name, with answers where the source has them; refuse what leaks."""
    found = {}
    for stage in config.stages:
        where = config.tasks_of(stage.name)
        ids = read_ids(shipped.ids_file(where.ids_file)) if where.ids_file else None
        tasks = load(domain, source_of(where, domain), ids=ids, strict=where.strict)
        found[stage.name] = select(tasks, ids=ids, count=where.count, seed=config.seed)
    found = without_leaks(config, domain, found)
    refuse_clashes(found)
    return found


def source_of(where: TasksSettings, domain: Domain) -> str:
    """Return the source that is named, or the domain's own; `ConfigError` where there is neither."""
    if where.source is None and not domain.sources:
        raise ConfigError(
            f"tasks.source is not set, and the domain {where.domain!r} brings no tasks: name a file or folder"
        )
    return where.source or domain.sources[0]


def tasks_with_ids(config: Config, domain: Domain, ids: Mapping[str, Sequence[str]]) -> dict[str, list[Task]]:
    """Return the tasks of every stage by the ids that a run was begun with."""
    return {
        stage.name: select(load(domain, source_of(config.tasks_of(stage.name), domain), ids=named), ids=named)
        for stage in config.stages
        for named in [ids[stage.name]]
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


def without_leaks(config: Config, domain: Domain, tasks: Mapping[str, list[Task]]) -> dict[str, list[Task]]:
    """Return the task sets such that no stage with known answers holds a task of a stage with hidden answers.

    A few shared tasks are left out of the stage that knows answers (ARC-AGI-1's sets share one); more than `TOLERATED`
    of the hidden stage's tasks is a mistake and refused (most of ARC-AGI-1's evaluation lies in ARC-AGI-2's training).
    """
    found = dict(tasks)
    hidden = [stage.name for stage in config.stages if stage.answers == "hidden"]
    for stage in config.stages:
        for target in hidden if stage.answers == "known" else ():
            shared = overlap(found[stage.name], found[target], domain.fingerprints)
            if len({b for _, b in shared}) > TOLERATED * len(found[target]):
                pairs = ", ".join(f"{a} = {b}" for a, b in shared[:3])
                raise DataError(
                    f"{len(shared)} tasks of stage {target!r} (answers hidden) stand in stage {stage.name!r} too, which"
                    f" knows answers, for example {pairs}: choose other task sets"
                )
            leaking = {a for a, _ in shared}
            found[stage.name] = [task for task in found[stage.name] if task.id not in leaking]
    return found
