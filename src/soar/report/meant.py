"""Resolves which stage and searches of a run a command means if it leaves them open. Knows a run's plan and what has
begun; reads no program.
"""

from soar.errors import ConfigError, DataError
from soar.report.view import RunView
from soar.run import Step


def stage_of(view: RunView, stage: str | None) -> str:
    """Return the name of a stage of a run, by default the last; `ConfigError` for an unknown one lists all."""
    names = list(dict.fromkeys(step.stage.name for step in view.plan))
    if stage is not None and stage not in names:
        raise ConfigError(f"no stage {stage!r} in {view.path}: it has {', '.join(map(repr, names))}")
    return stage or names[-1]


def begun(view: RunView, stage: str) -> list[Step]:
    """Return the searches of a stage that have begun: finished ones first, newest first. `DataError` if there are
    none."""
    known = {(row.stage, row.iteration): row.finished for row in view.reader.iterations()}
    found = [step for step in view.plan if step.stage.name == stage and step.key in known]
    if not found:
        there = ", ".join(map(repr, dict.fromkeys(name for name, _ in known))) or "none"
        raise DataError(f"no search of stage {stage!r} of {view.path} has begun; stages that have: {there} (--stage)")
    return sorted(found, key=lambda step: (not known[step.key], -step.number))
