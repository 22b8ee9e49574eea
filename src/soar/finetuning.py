"""A model finetuned on all that whole runs have found: the paper's "all train" (§3.4).

Knows how runs are read and that a model is finetuned; what is taught, and how, is `soar.learning`'s. A run that then
names the model as its own begins where these have ended.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from soar import session
from soar.config import Config, validated
from soar.errors import ConfigError, DataError, Interrupted
from soar.files import is_published
from soar.iterate import Method
from soar.learning.learn import LearningMethod, Searched, learn, of_pool
from soar.method import open_backend, open_domain, open_method
from soar.report.view import RunView
from soar.run import RunDirectory
from soar.signals import until_signal

PLACE = ("all-train", 0)
"""What draws the examples: stage and iteration, as for a run's own finetunings."""

SAY_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Finetuned:
    """A model that was made: its folder, the file with its examples, and how many these are, of how many tasks."""

    out: Path
    data: Path
    examples: int
    tasks: int


async def finetune(runs: Sequence[Path], config: Config, out: Path, say: Callable[[str], None]) -> Finetuned:
    """Finetune a configuration's model on the programs of all searches of some runs, and publish it in a new folder.

    Interrupted, it may be called again. `ConfigError` where a run is of another domain or the folder is taken,
    `DataError` where nothing was searched or one task is two different ones.
    """
    method = _method(config)
    data = out.with_name(f"{out.name}.examples.jsonl")
    if out.exists() and not is_published(out):
        raise ConfigError(f"{out} exists and is no finetuned model: name a new folder")
    if is_published(out):
        raise ConfigError(f"{out} holds a finetuned model already: name a new folder, or remove it")
    if inside := [path for path in runs if out.resolve().is_relative_to(path.resolve())]:
        raise ConfigError(f"{out} lies in the run directory {inside[0]}: name a folder elsewhere")
    out.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as opened:
        views = [opened.enter_context(session.view_run(path)) for path in runs]
        _refuse_other_domains(runs, config)
        tasks = await _learn(method.learning, method.theta0, views, data, out, say)
    return Finetuned(out, data, len(data.read_bytes().splitlines()), tasks)


def _method(config: Config) -> Method:
    """Return what a run of the configuration does that has something to learn, all of its parts checked."""
    stages = [{"name": "searched"}, {"name": PLACE[0], "learns_from": ["searched"]}]
    learning = validated({**config.as_dict(), "stages": stages})
    return open_method(learning, open_domain(config.tasks.domain), open_backend(config))


def _refuse_other_domains(runs: Sequence[Path], config: Config) -> None:
    for path in runs:
        domain = RunDirectory(path).config().get("tasks", {}).get("domain", "arc")
        if domain != config.tasks.domain:
            raise ConfigError(
                f'{path} is a run of the domain "{domain}", and the model reads tasks of "{config.tasks.domain}": name'
                " runs of one domain, or another configuration by --config"
            )


async def _learn(
    method: LearningMethod,
    theta0: Path | None,
    views: Sequence[RunView],
    data: Path,
    out: Path,
    say: Callable[[str], None],
) -> int:
    """Finetune on the pooled programs; return of how many tasks they are."""
    assert theta0 is not None, "a method with something to learn has a model to begin from"
    lessons = of_pool(method, [searched(view) for view in views])
    if not any(lessons.programs_of(task) for task in lessons.tasks):
        raise DataError(f"no program was found in {', '.join(str(view.path) for view in views)}: nothing to learn from")
    stop, said = threading.Event(), [time.monotonic()]

    def on_log(entry: Mapping[str, float]) -> None:
        if stop.is_set():
            raise Interrupted("stopped during finetuning; the same command continues from the last checkpoint")
        if "step" not in entry or time.monotonic() - said[0] > SAY_SECONDS:
            said[0] = time.monotonic()
            say(", ".join(f"{name} {value:.6g}" for name, value in entry.items()))

    work = learn(method, PLACE, theta0, lessons, data=data, out=out, on_log=on_log, kinds={"sample", "refine"})
    await until_signal(work, "stopped; the same command goes on", stop.set)
    return len(lessons.tasks)


def searched(view: RunView) -> Searched:
    """Return what a run has searched, its hidden answers left out."""
    stages = {step.stage.name: step.stage for step in view.plan}
    visible = {name: stage.visible(view.tasks[name]) for name, stage in stages.items()}
    return Searched(visible, view.reader, str(view.path))


def told(made: Finetuned) -> str:
    """Return in lines what was made, and what to type next."""
    return (
        f"{made.examples} examples of {made.tasks} tasks ({made.data}) made the model in {made.out}; a run begins with"
        f" it by --set lm.model={made.out}"
    )
