"""The paper's comparisons as experiments: arms that ship, on the settings and tasks of any file.

Knows the files in `comparisons/`. An arm's results are named by all that they depend on and by nothing else, so that
comparisons share first searches, and arms that are called and set alike.

    title = "Which programs to learn from (Table 2)"
    paper = { none = 29.29, uniform = 32.38 }        # its numbers, percent, beside ours
    paper_on = "the 400 training tasks of ARC-AGI-1" # and what they were measured on
    tasks = "searched"                               # or "never": those that are never learnt from
    shows = "scores"                                 # or "programs", "distances", "budgets": `compare_report.VIEWS`
    arms_of = "figure-2"                             # in place of all below: the arms of that comparison

    models = true                                    # an arm for each of the file's experiment.models, and their votes
    [settings]                                       # what all arms set otherwise than the file, the first search aside
    search = { refinements = 0 }

    [experiment]                                     # as in `soar.experiments.settings`, without seeds and tasks
    searches = 2
    [experiment.arms.none]
    learns = false
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from soar.errors import ConfigError
from soar.experiments.settings import BASE, Experiment, ExperimentSettings, arms_of, checked, id_lists, sections_of
from soar.types import content_hash

TOGETHER = "together"
"""The arm in which models vote together."""

ARMS_OF_FILE = ("arms", "compare", "group")
"""What a file's section [experiment] has for its own arms, and a comparison has no use for."""

FOLDER = Path(__file__).parent / "comparisons"


@dataclass(frozen=True)
class Comparison:
    """An experiment of the paper's: its name and title, the paper's numbers by arm and what they were measured on, on
    which tasks ours is judged, and what is shown of it."""

    name: str
    title: str
    experiment: Experiment
    paper: Mapping[str, float] = field(default_factory=dict)
    paper_on: str = ""
    tasks: str = "searched"
    shows: str = "scores"

    @property
    def drawn(self) -> bool:
        """Whether a picture belongs to it: to a figure, and to no table."""
        return self.name.startswith("figure")


def load_comparison(name: str, path: Path, overrides: Sequence[str] = ()) -> Comparison:
    """Return a comparison on the settings, seeds and tasks of a file with ``section.key=value`` overrides;
    `ConfigError` names what is wrong."""
    (raw, given), preset = sections_of(path, overrides), _read(name)
    if "extends" in given:
        raise ConfigError(f"{path} extends another file, which `soar experiment learning` reads: name that file here")
    if "tasks" not in given or "seeds" not in given:
        raise ConfigError(
            f"{path} needs a section [experiment] with seeds and tasks (a file of ids), to be compared on"
        )
    if preset.get("tasks") == "never" and "never_searched" not in given:
        raise ConfigError(f"{name} is judged on tasks never learnt from: {path} names none (experiment.never_searched)")
    given = {key: value for key, value in given.items() if key not in ARMS_OF_FILE}
    arms = _of_models(path, raw, given) if preset.get("models") else arms_of(preset["experiment"]["arms"])
    arms = {arm: _with(preset.get("settings", {}), each) for arm, each in arms.items()}
    settings = checked(path, {**given, **preset["experiment"], "arms": arms})
    _refuse_owned(name, overrides, preset, settings)
    lists = sorted(set(map(tuple, id_lists(path, settings))))  # one file for all seeds counts once
    base = content_hash(raw, settings.answers, lists)[:12]
    # Without defaults: a setting that a later version adds renames no result.
    own = {arm: each.model_dump(mode="json", exclude_defaults=True) for arm, each in settings.arms.items()}
    digests = {
        arm: content_hash(base, own[arm], *(own[name] for name in each.votes_of), each.searches or settings.searches)[
            :12
        ]
        for arm, each in settings.arms.items()
    }
    experiment = Experiment(path, settings, raw, name, arm_digests={BASE: base, **digests})
    return Comparison(
        name,
        preset["title"],
        experiment,
        preset.get("paper", {}),
        preset.get("paper_on", ""),
        preset.get("tasks", "searched"),
        preset.get("shows", "scores"),
    )


def _refuse_owned(name: str, overrides: Sequence[str], preset: Mapping[str, Any], settings: ExperimentSettings) -> None:
    """Raise `ConfigError` for an override that would change nothing: a comparison says itself what it compares."""
    models = () if preset.get("models") else ("models",)
    owned = {("experiment", key) for key in (*preset["experiment"], *ARMS_OF_FILE, *models)}
    # The first search does not learn, so what every arm that does sets is read nowhere else.
    taught = [
        arm.overrides.get("learning", {}).keys() for arm in settings.arms.values() if arm.learns and arm.searching
    ]
    owned |= {("learning", key) for key in (set(taught[0]).intersection(*taught[1:]) if taught else ())}
    for override in overrides:
        section, _, rest = override.partition("=")[0].strip().partition(".")
        if (section, rest.partition(".")[0]) in owned:
            raise ConfigError(
                f"--set {override!r} would change nothing: {name} has {section}.{rest.partition('.')[0]} of its own, or"
                " none. Leave it out; for other arms write an experiment for `soar experiment learning`"
            )


def _of_models(path: Path, raw: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return an arm for each model, called after the end of its name, and one in which they vote together. The file's
    own model shares the first search; `ConfigError` where there are not two models of different names."""
    models = [str(model) for model in given.get("models", ())]
    names = [Path(model).name for model in models]
    if len({*names, BASE, TOGETHER}) < len(names) + 2 or len(models) < 2:
        raise ConfigError(
            f"{path} compares models and needs experiment.models = [...], values of lm.model that end in different"
            f" names, none of them {BASE} or {TOGETHER}; found {models}"
        )
    own = raw.get("lm", {}).get("model")
    arms: dict[str, dict[str, Any]] = {
        name: {"alone": model != own, "overrides": {} if model == own else {"lm": {"model": model}}}
        for name, model in zip(names, models, strict=True)
    }
    return {**arms, TOGETHER: {"votes_of": names, "overrides": {}}}


def _read(name: str) -> dict[str, Any]:
    found = tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    return {**_read(found["arms_of"]), **found} if "arms_of" in found else found


def _with(settings: Mapping[str, Mapping[str, Any]], arm: Mapping[str, Any]) -> dict[str, Any]:
    """Return an arm that sets, before what it sets itself, what all arms do."""
    sections: Sequence[str] = [*settings, *arm["overrides"]]
    merged = {name: {**settings.get(name, {}), **arm["overrides"].get(name, {})} for name in sections}
    return {**arm, "overrides": merged}
