"""Finetunes a model on everything that whole runs have found: the paper's "all train" (§3.4).

Knows how to read runs and start a finetuning; `soar.learning` knows what is taught, and how. A run that names the
result as its model starts where these runs ended.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from soar import session
from soar.config import Config, validated
from soar.errors import ConfigError, DataError, Interrupted
from soar.iterate import Method
from soar.learning.learn import LearningMethod, Searched, learn, of_pool
from soar.method import open_backend, open_domain, open_method
from soar.report.view import RunView
from soar.run import RunDirectory
from soar.signals import until_signal

PLACE = ("all-train", 0)
"""The stage and iteration that key the random draw of examples, as for a run's own finetunings."""

SAY_SECONDS = 30
"""The least seconds between two lines about a finetuning's steps."""


@dataclass(frozen=True, slots=True)
class Finetuned:
    """A finetuned model: its folder, the file of its examples, their number, and the number of their tasks."""

    out: Path
    data: Path
    examples: int
    tasks: int


async def finetune(runs: Sequence[Path], config: Config, out: Path, say: Callable[[str], None]) -> Finetuned:
    """Finetune a configuration's model on the programs of all searches of some runs, and publish it in a new folder.

    After an interruption, call it again to resume. `ConfigError` if a run is of another domain or the folder is taken,
    `DataError` if no program was found or an id stands for two different tasks.
    """
    method = _method(config)
    if inside := [path for path in runs if out.resolve().is_relative_to(path.resolve())]:
        raise ConfigError(f"{out} lies in the run directory {inside[0]}: name a folder elsewhere")
    if out.exists():
        raise ConfigError(f"{out} exists: name a new folder for the finetuned model")
    if twice := [path for path, count in Counter(path.resolve() for path in runs).items() if count > 1]:
        raise ConfigError(f"{twice[0]} is named twice and would be learnt from twice: name each run once")
    data = out.with_name(f"{out.name}.examples.jsonl")
    out.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as opened:
        views = [opened.enter_context(session.view_run(path)) for path in runs]
        _refuse_other_domains(runs, config)
        tasks = await _learn(method.learning, method.theta0, views, data, out, say)
    return Finetuned(out, data, len(data.read_bytes().splitlines()), tasks)


def _method(config: Config) -> Method:
    """Return the method of a run with this configuration that learns, so that all its parts are checked."""
    stages = [{"name": "searched"}, {"name": PLACE[0], "learns_from": ["searched"]}]
    learning = validated({**config.as_dict(), "stages": stages})
    return open_method(learning, open_domain(config.tasks.domain), open_backend(config))


def _refuse_other_domains(runs: Sequence[Path], config: Config) -> None:
    for path in runs:
        domain = RunDirectory(path).config().get("tasks", {}).get("domain", "arc")
        if domain != config.tasks.domain:
            raise ConfigError(
                f'{path} is a run of the domain "{domain}", but the model reads tasks of "{config.tasks.domain}": name'
                " runs of that domain, or another configuration with --config"
            )


async def _learn(
    method: LearningMethod,
    theta0: Path | None,
    views: Sequence[RunView],
    data: Path,
    out: Path,
    say: Callable[[str], None],
) -> int:
    """Finetune on the pooled programs; return the number of their tasks."""
    assert theta0 is not None, "a method that learns has a model to start from"
    source = of_pool(method, [searched(view) for view in views])
    if not any(source.programs_of(task) for task in source.tasks):
        raise DataError(
            f"found no program to learn from in {', '.join(str(view.path) for view in views)}: name runs that searched"
        )
    stop, said = threading.Event(), [time.monotonic()]

    def on_log(entry: Mapping[str, float]) -> None:
        if stop.is_set():
            raise Interrupted(
                "stopped during finetuning; run the same command again to resume from the last checkpoint"
            )
        if worth_saying(entry, time.monotonic() - said[0]):
            said[0] = time.monotonic()
            say(", ".join(f"{name} {value:.6g}" for name, value in entry.items()))

    work = learn(method, PLACE, theta0, source, data=data, out=out, on_log=on_log, kinds={"sample", "refine"})
    await until_signal(work, "stopped; run the same command again to resume", stop.set)
    return len(source.tasks)


def worth_saying(entry: Mapping[str, float], silent: float) -> bool:
    """Return whether a log entry is printed: anything but a step, the last step with its loss, and a step after enough
    seconds of silence."""
    return "step" not in entry or entry["step"] == entry.get("of") or silent > SAY_SECONDS


def searched(view: RunView) -> Searched:
    """Return what a run has searched, without hidden answers."""
    stages = {step.stage.name: step.stage for step in view.plan}
    visible = {name: stage.visible(view.tasks[name]) for name, stage in stages.items()}
    return Searched(visible, view.reader, str(view.path))


def told(made: Finetuned) -> str:
    """Say what was made, and what to type next."""
    return (
        f"finetuned on {made.examples} examples of {made.tasks} tasks ({made.data}); the model is in {made.out}. To"
        f" start a run with it: --set lm.model={made.out}"
    )
