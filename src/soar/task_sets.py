"""The tasks that a configuration names, and whether one run may hold them together. Knows no particular domain."""

from collections.abc import Callable, Collection, Mapping, Sequence

from soar import shipped
from soar.config import Config, TasksSettings
from soar.domains.task_set import load, overlap, read_ids, select
from soar.errors import ConfigError, DataError
from soar.protocols import Domain
from soar.types import Leaks, Task

TOLERATED = 0.02
"""The largest share of a hidden stage's tasks that a stage with known answers may contain, and then leaves out."""


def load_task_sets(
    config: Config, domain: Domain, say: Callable[[str], None] = lambda _: None
) -> dict[str, list[Task]]:
    """Return the tasks of every stage by its name, with answers if the source has them; refuse leaks. `say` receives
    what was left out."""
    found = {}
    for stage in config.stages:
        where = config.tasks_of(stage.name)
        ids = read_ids(shipped.ids_file(where.ids_file)) if where.ids_file else None
        tasks = load(domain, source_of(where, domain), ids=ids, strict=where.strict)
        found[stage.name] = select(tasks, ids=ids, count=where.count, seed=config.seed)
    found = one_form_of_each(config, without_leaks(config, domain, found, say))
    refuse_clashes(found)
    return found


def source_of(where: TasksSettings, domain: Domain) -> str:
    """Return the configured source, or the domain's first; `ConfigError` if there is neither."""
    if where.source is None and not domain.sources:
        raise ConfigError(
            f"tasks.source is not set, and the domain {where.domain!r} has no tasks of its own: name a file or folder"
        )
    return where.source or domain.sources[0]


def tasks_with_ids(config: Config, domain: Domain, ids: Mapping[str, Sequence[str]]) -> dict[str, list[Task]]:
    """Return the tasks of every stage, by the ids that a run was started with."""
    found = {
        stage.name: select(load(domain, source_of(config.tasks_of(stage.name), domain), ids=named), ids=named)
        for stage in config.stages
        for named in [ids[stage.name]]
    }
    return one_form_of_each(config, found)


def one_form_of_each(config: Config, tasks: Mapping[str, list[Task]]) -> dict[str, list[Task]]:
    """Return the task sets with one form of every leaking task, if leaks are allowed: ARC-AGI-2's training holds
    ARC-AGI-1's evaluation tasks with their pairs moved, and executions are stored by task id. All stages take the form
    of the stage with hidden answers, if its source holds the answers."""
    hidden = [task for stage in config.stages if stage.answers == "hidden" for task in tasks[stage.name]]
    forms = {task.id: task for task in hidden if task.answered} if config.tasks.allow_leak else {}
    return {name: [forms.get(task.id, task) for task in found] for name, found in tasks.items()}


def refuse_clashes(tasks: Mapping[str, Sequence[Task]]) -> None:
    """Refuse two different tasks with one id: executions are stored by task id."""
    seen: dict[str, tuple[str, Task]] = {}
    for name, found in tasks.items():
        for task in found:
            other, known = seen.setdefault(task.id, (name, task))
            if known != task:
                raise DataError(
                    f"task {task.id} of stage {name!r} differs from task {task.id} of stage {other!r}: use two runs"
                )


def without_leaks(
    config: Config, domain: Domain, tasks: Mapping[str, list[Task]], say: Callable[[str], None] = lambda _: None
) -> dict[str, list[Task]]:
    """Return the task sets such that no stage with known answers holds a task of a stage with hidden answers.

    A few shared tasks are left out of the stage with known answers (ARC-AGI-1's sets share one), unless these are all
    it has. More than `TOLERATED` of the hidden stage's tasks are a mistake and refused (most of ARC-AGI-1's evaluation
    is in ARC-AGI-2's training), or kept with ``tasks.allow_leak``.
    """
    found = dict(tasks)
    for known, target, shared in _shared(config, domain, tasks):
        if len({b for _, b in shared}) <= TOLERATED * len(found[target]):
            found[known] = _without(found[known], {a for a, _ in shared}, known, target, say)
        elif not config.tasks.allow_leak:
            pairs = ", ".join(f"{a} = {b}" for a, b in shared[:3])
            raise DataError(
                f"{len(shared)} tasks of stage {target!r} (answers hidden) are also in stage {known!r} (answers known),"
                f" for example {pairs}: choose other task sets, or use --allow-leak, which every report will state"
            )
    return found


def _without(
    tasks: list[Task], leaking: Collection[str], known: str, target: str, say: Callable[[str], None]
) -> list[Task]:
    """Return the tasks of a stage without those that a stage with hidden answers has; `DataError` if none is left."""
    kept = [task for task in tasks if task.id not in leaking]
    if not kept:
        raise DataError(
            f"all {len(tasks)} tasks of stage {known!r} (answers known) are also in stage {target!r} (answers hidden)"
            f" and would be left out: choose other tasks for stage {known!r}, or leave it out"
        )
    if left_out := len(tasks) - len(kept):
        what = "has it too, with its answers" if left_out == 1 else "has them too, with their answers"
        say(
            f"left out {left_out} of the {len(tasks)} tasks of stage {known!r} (answers known): stage {target!r} {what}"
            " hidden"
        )
    return kept


def leaks(config: Config, domain: Domain, tasks: Mapping[str, Sequence[Task]]) -> Leaks:
    """Return how many tasks of each stage with hidden answers are also in a stage with known answers, if that was
    allowed; omit stages without any."""
    found: dict[str, dict[str, int]] = {}
    for known, target, shared in _shared(config, domain, tasks) if config.tasks.allow_leak else ():
        if shared:
            found.setdefault(target, {})[known] = len({b for _, b in shared})
    return found


def _shared(
    config: Config, domain: Domain, tasks: Mapping[str, Sequence[Task]]
) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Return every stage with known answers, paired with every one with hidden answers, and the tasks they share."""
    stages = {kind: [stage.name for stage in config.stages if stage.answers == kind] for kind in ("known", "hidden")}
    pairs = [(known, target) for known in stages["known"] for target in stages["hidden"]]
    return [(a, b, overlap(tasks[a], tasks[b], domain.fingerprints)) for a, b in pairs]
