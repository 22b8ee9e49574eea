"""Which tasks a configuration names, and whether they may stand in one run together."""

from collections.abc import Mapping, Sequence

from soar.config import Config, resolve
from soar.domains.arc import Arc
from soar.domains.protocol import Domain
from soar.domains.task_set import overlap, read_ids, select
from soar.errors import DataError
from soar.types import Task

DOMAINS = {"arc": Arc}


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
    refuse_clashes(found)
    refuse_leaks(config, found)
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


def refuse_leaks(config: Config, tasks: Mapping[str, Sequence[Task]]) -> None:
    """Refuse a stage with hidden answers that shares a pair with a stage that learns from known answers."""
    known = [stage.name for stage in config.stages if stage.answers == "known"]
    hidden = [stage.name for stage in config.stages if stage.answers == "hidden"]
    for target in hidden:
        for source in known:
            if shared := overlap(tasks[source], tasks[target]):
                pairs = ", ".join(f"{a} = {b}" for a, b in shared[:3])
                raise DataError(
                    f"{len(shared)} tasks of stage {target!r} (answers hidden) share pairs with stage {source!r}, which"
                    f" knows answers, for example {pairs}: choose other task sets"
                )
