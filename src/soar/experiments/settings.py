"""An experiment's settings: a run's configuration with a section ``[experiment]`` that says how arms differ from it.

Knows TOML and names; how an arm is run is `arms`' business.

    [experiment]
    seeds = [1, 2]
    searches = 4                              # of each arm, the first one shared
    tasks = "sequences/seed-{seed}.txt"       # ids, one per line, relative to this file
    never_searched = "sequences/held-out.txt" # searched once with each arm's last model, never learnt from
    group = "family"                          # the source's field that says which tasks are alike: resampled together
    compare = [["soar", "frozen"]]

    [experiment.arms.soar]                    # what an arm sets otherwise, by section
    [experiment.arms.frozen]
    learns = false
    searches = 7
    [experiment.arms.correct-only.learning]
    curator = "correct-only"
    [experiment.arms.once]
    finetunings = 1                           # then the model that learnt searches on
    [experiment.arms.enumeration]             # no search: a function of tasks and a number of programs
    function = "soar.pretrain.sequences.enumeration:solved"

Further arms of an experiment that is begun, or registered, stand in a file of their own; all else is the first file's:

    [experiment]
    extends = "registered.toml"               # relative to this file
    compare = [["soar", "uniform"]]
    [experiment.arms.uniform.learning]
    curator = "uniform"
"""

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from soar.config import Config, apply_override, read_toml, validated
from soar.domains.task_set import read_ids
from soar.errors import ConfigError
from soar.search.settings import SearchSettings
from soar.settings import NonNegative, Positive, Section
from soar.types import content_hash

BASE = "base"
"""The name of the first search that a seed's arms share."""


class ArmSettings(Section):
    """One arm. `learns` false: every search is by θ0. `searches` in place of the experiment's. After `finetunings` of
    them the last model searches on; by default each search has its own. `alone`: its first search is its own too.
    `samples_alone`: the whole budget goes to samples. In place of searches `function`, ``(tasks, programs) -> ids of
    those solved``, or `votes_of`: arms whose last searches vote together. `overrides`: settings by section."""

    learns: bool = True
    searches: Positive | None = None
    finetunings: Positive | None = None
    alone: bool = False
    samples_alone: bool = False
    function: str | None = None
    votes_of: tuple[str, ...] = ()
    overrides: Mapping[str, Mapping[str, Any]] = {}

    @property
    def searching(self) -> bool:
        """Whether the arm has searches of its own."""
        return self.function is None and not self.votes_of


class ExperimentSettings(Section):
    """The section ``[experiment]``. `answers` "hidden": arms learn without the answers of the tasks they search.
    `models`: values of ``lm.model`` that are compared with each other, where a comparison asks for several."""

    seeds: tuple[NonNegative, ...] = Field(min_length=1)
    searches: Positive = 4
    tasks: str
    never_searched: str | None = None
    answers: Literal["known", "hidden"] = "known"
    group: str | None = None
    models: tuple[str, ...] = ()
    compare: tuple[tuple[str, str], ...] = ()
    arms: Mapping[str, ArmSettings]


@dataclass(frozen=True)
class Experiment:
    """An experiment as its file says it. `raw` are the run's settings by section; `digest` names all that results
    depend on, the tasks' ids included. One that `extends` another has its arms too, which keep the other's digest; arms
    with `arm_digests` have one each."""

    path: Path
    settings: ExperimentSettings
    raw: Mapping[str, Any]
    digest: str
    extends: "Experiment | None" = None
    arm_digests: Mapping[str, str] = field(default_factory=dict)

    def digest_of(self, arm: str) -> str:
        """Return the digest that names an arm's results; the first searches are those of what is extended."""
        if self.extends and (arm == BASE or arm in self.extends.settings.arms):
            return self.extends.digest_of(arm)
        return self.arm_digests.get(arm, self.digest)

    def ids(self, template: str, seed: int) -> list[str]:
        """Return the ids of a file of tasks; `DataError` if it cannot be read."""
        return ids_of(self.path, template, seed)

    def searches(self, arm: str) -> int:
        """Return how many searches an arm has, the shared one included."""
        if arm == BASE:
            return 1
        return self.settings.arms[arm].searches or self.settings.searches

    def finetunings(self, arm: str) -> int:
        """Return after how many of an arm's searches a model is finetuned, for the next one."""
        if arm == BASE or not self.settings.arms[arm].learns:
            return 0
        most = self.searches(arm) - 1
        return min(self.settings.arms[arm].finetunings or most, most)

    def shares_first(self, arm: str) -> bool:
        """Return whether an arm continues from the first search that a seed's arms share."""
        return arm != BASE and self.settings.arms[arm].searching and not self.settings.arms[arm].alone

    def config(self, arm: str, seed: int) -> Config:
        """Return the configuration of one arm's run."""
        own = ArmSettings() if arm == BASE else self.settings.arms[arm]
        merged = {
            name: dict(section) if isinstance(section, Mapping) else section for name, section in self.raw.items()
        }
        for section, values in own.overrides.items():
            merged[section] = {**merged.get(section, {}), **values}
        if own.samples_alone:
            whole = SearchSettings(**merged.get("search", {})).per_task
            merged["search"] = {**merged.get("search", {}), "samples": whole, "refinements": 0}
        ids = str(_ids_file(self.path, self.settings.tasks, seed).resolve())
        stage = {"name": "search", "ids_file": ids, "answers": self.settings.answers}
        learnt, count = self.finetunings(arm), self.searches(arm)
        base = stage["name"] if learnt else "model"
        again = [{**stage, "name": f"again-{number}", "base": base} for number in range(learnt + 1, count)]
        stages = [{**stage, "iterations": 1 + learnt}, *again]
        return validated({**merged, "seed": seed, "stages": stages}, f"{self.path}, arm {arm}")


def load_experiment(path: Path) -> Experiment:
    """Return an experiment; `ConfigError` names what is wrong."""
    raw, section = sections_of(path)
    if "extends" in section:
        return _extended(path, raw, section)
    settings = checked(path, {**section, "arms": arms_of(section.get("arms", {}))})
    if alone := [name for name, arm in settings.arms.items() if arm.alone]:
        raise ConfigError(
            f"{path}: arm {alone[0]!r} has a first search of its own (alone), but arms are compared by what they solve"
            " after the one that they share: leave it out"
        )
    return Experiment(path, settings, raw, content_hash(raw, section, id_lists(path, settings))[:12])


def sections_of(path: Path, overrides: Sequence[str] = ()) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what an experiment's file, with ``section.key=value`` overrides, says of its runs, and its section
    ``[experiment]``."""
    raw = read_toml(path)
    for override in overrides:
        apply_override(raw, override)
    section = raw.pop("experiment", None)
    if not isinstance(section, dict):
        raise ConfigError(f"{path} has no section [experiment]: it is a run's configuration, for `soar run`")
    if "stages" in raw:
        raise ConfigError(f"{path}: [[stages]] follow from [experiment]; leave them out")
    return raw, section


def id_lists(path: Path, settings: ExperimentSettings) -> list[list[str]]:
    """Return the ids of all seeds' tasks, those that are searched and those that never are."""
    templates = [settings.tasks, *([settings.never_searched] if settings.never_searched else [])]
    return [ids_of(path, template, seed) for template in templates for seed in settings.seeds]


def _extended(path: Path, raw: Mapping[str, Any], section: Mapping[str, Any]) -> Experiment:
    """Return the experiment that a file extends, with the arms that it adds."""
    if not isinstance(section["extends"], str):
        raise ConfigError(f"{path}: extends names the file of another experiment, found {section['extends']!r}")
    if more := [*raw, *(section.keys() - {"extends", "seeds", "compare", "arms"})]:
        raise ConfigError(f"{path} extends another experiment and may not set {sorted(more)[0]!r}: that file does")
    first = load_experiment(path.parent / section["extends"])
    given = first.settings.model_dump()
    arms = arms_of(section.get("arms", {}))
    if again := sorted(arms.keys() & given["arms"].keys()):
        raise ConfigError(f"{path}: {first.path} has an arm {again[0]!r} already; name it otherwise")
    own = {key: section[key] for key in ("seeds", "compare") if key in section}
    settings = checked(path, {**given, **own, "arms": {**given["arms"], **arms}})
    if missing := set(settings.seeds) - set(first.settings.seeds):
        raise ConfigError(f"{path}: seed {min(missing)} is none of {first.path}, whose first searches it takes")
    digest = content_hash(first.digest, section)[:12]
    return Experiment(first.path, settings, first.raw, digest, first)


def checked(path: Path, section: Mapping[str, Any]) -> ExperimentSettings:
    """Return a section's settings, `arms` with their `overrides`; `ConfigError` names what is wrong."""
    try:
        settings = ExperimentSettings.model_validate(section)
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise ConfigError(f"{path}, section [experiment]: {said}") from None
    if BASE in settings.arms:
        raise ConfigError(f"{path}: {BASE!r} is the first search that all arms share; name the arm otherwise")
    if unknown := {arm for pair in settings.compare for arm in pair} - set(settings.arms):
        raise ConfigError(f"{path}: compare names {sorted(unknown)[0]!r}; the arms are {', '.join(settings.arms)}")
    searching = [name for name, arm in settings.arms.items() if arm.searching]
    if unknown := {name for arm in settings.arms.values() for name in arm.votes_of} - set(searching):
        raise ConfigError(f"{path}: votes_of names {sorted(unknown)[0]!r}; the arms that search are {searching}")
    return settings


def arms_of(section: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the arms with their tables, which are settings of a run, put aside."""
    found = {}
    if not isinstance(section, Mapping):
        raise ConfigError(f"[experiment.arms] has a table for each arm, found {section!r}")
    for name, values in section.items():
        if not isinstance(values, Mapping):
            raise ConfigError(f"[experiment.arms.{name}] is a table of an arm's settings, found {values!r}")
        own = {key: value for key, value in values.items() if not isinstance(value, dict)}
        tables = {key: value for key, value in values.items() if isinstance(value, dict)}
        found[name] = {**own, "overrides": tables}
    return found


def ids_of(path: Path, template: str, seed: int) -> list[str]:
    """Return the ids of a seed's tasks, of a file that an experiment's file names; `DataError` if it cannot be read."""
    return read_ids(_ids_file(path, template, seed))


def _ids_file(path: Path, template: str, seed: int) -> Path:
    try:
        return path.parent / template.format(seed=seed)
    except (LookupError, ValueError) as error:
        raise ConfigError(
            f"{path}: the name of a file of tasks may hold {{seed}} and no other braces, found {template!r} ({error!r})"
        ) from None


def groups(path: Path, field: str) -> dict[str, str]:
    """Return the group of each task of a JSONL file, plain or gzipped: what stands in a field of its line.
    `ConfigError` if there is no such file (a built-in set has no fields) or a line of it is no object."""
    if not path.is_file():
        raise ConfigError(f"experiment.group = {field!r} is read from tasks.source, and {path} is no file: name one")
    content = path.read_bytes()
    try:
        # gzip's first bytes tell, whatever the file is called.
        text = (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).decode("utf-8-sig")
        rows = [json.loads(line) for line in text.split("\n") if line.strip()]
        return {row["id"]: str(row[field]) for row in map(dict, rows) if field in row}
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"experiment.group = {field!r} is read from {path}, which is not JSON lines with an id: {error!r}"
        ) from None
