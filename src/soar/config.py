"""A whole configuration: the settings declared beside each part, combined, and read strictly from TOML.

Knows names, types and bounds. `[lm]`, `[executor]` and `[finetune]` take the settings of the part that they name, which
may be a user's own; `soar.method` knows what parts do and whether they fit together.
"""

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, Field, ValidationError, create_model, model_validator

from soar import shipped
from soar.budget import BudgetSettings
from soar.errors import ConfigError
from soar.execution.places import Limits
from soar.learning.settings import LearningSettings
from soar.run import Stage
from soar.search.settings import SamplingSettings, SearchSettings
from soar.settings import FREE, LOCATION, NonNegative, Positive, Section, resolve

BACKENDS = {
    "embedded": "soar.lm.embedded:Backend",
    "openai": "soar.lm.openai:Backend",
    "scripted": "soar.lm.scripted:Backend",
    "served": "soar.lm.served:Backend",
    "transformers": "soar.lm.transformers:Backend",
}
EXECUTORS = {"local": "soar.execution.places:Local"}
TRAINERS = {
    "trl": "soar.learning.trainers.trl:Trl",
    "unsloth": "soar.learning.trainers.unsloth:Unsloth",
    "scripted": "soar.learning.trainers.scripted:Scripted",
}


class TasksSettings(Section):
    """Which tasks are searched, and their domain. `source` is a built-in set (None: the domain's first), a folder or a
    file; `ids_file` keeps exactly the ids in a file, or in the shipped one of this name; `count` draws that many. A
    file that is no task is skipped, or refused if `strict`. `allow_leak`: a run may learn from tasks that it is judged
    on, and its reports say so."""

    domain: str = "arc"
    source: str | None = Field(default=None, json_schema_extra=LOCATION)
    ids_file: Path | None = Field(default=None, json_schema_extra=LOCATION)
    count: Positive | None = None
    strict: bool = Field(default=False, json_schema_extra=FREE)
    allow_leak: bool = False


class PromptSettings(Section):
    """How tasks are rendered. `rendering` None: the one that the model's backend prefers. `few_shot` shows a task that
    an earlier search with known answers solved, and its program (App. D.5)."""

    rendering: str | None = None
    few_shot: bool = False


class AnswerSettings(Section):
    """How programs vote (§3.2, App. D.1), and the filters that exclude programs from voting and learning (App. F)."""

    voter: str = "sum"
    filters: tuple[str, ...] = ("hard-coded",)


class StageSettings(Section):
    """Iterations on one task set. `answers` "hidden" is test-time training (§3.4).

    `base` is "model" (the configured model) or the name of an earlier stage, whose last model is then this stage's θ0.
    `learns_from` names earlier stages: before the stage's first search, θ0 is finetuned on the programs of all their
    searches, and each later iteration starts from that model ("all train").
    `source`, `ids_file` and `count` default to those of `[tasks]`.
    """

    name: str = "train"
    source: str | None = Field(default=None, json_schema_extra=LOCATION)
    ids_file: Path | None = Field(default=None, json_schema_extra=LOCATION)
    count: Positive | None = None
    iterations: Positive = 1
    answers: Literal["known", "hidden"] = "known"
    base: str = "model"
    learns_from: tuple[str, ...] = ()


class LMSection(Section):
    """The language model: its backend, and the backend's settings."""

    backend: str = "embedded"


class ExecutorSection(Section):
    """Where programs run: the kind of executor, and its settings."""

    kind: str = "local"


class FinetuneSection(Section):
    """How θ0 is finetuned: the trainer, and its settings (App. D.4)."""

    trainer: str = "trl"


PARTS = {
    "lm": (LMSection, "backend", BACKENDS),
    "executor": (ExecutorSection, "kind", EXECUTORS),
    "finetune": (FinetuneSection, "trainer", TRAINERS),
}
"""Sections whose other keys depend on the part that they name: the section, the key of the name, the choices."""


class Config(Section):
    """A whole run. Made by `load_config` or `validated`, which give the sections of `PARTS` their settings."""

    seed: NonNegative = 0
    tasks: TasksSettings = TasksSettings()
    lm: LMSection
    prompt: PromptSettings = PromptSettings()
    sampling: SamplingSettings = SamplingSettings()
    search: SearchSettings = SearchSettings()
    executor: ExecutorSection
    sandbox: Limits = Limits()
    answer: AnswerSettings = AnswerSettings()
    budget: BudgetSettings = BudgetSettings()
    learning: LearningSettings = LearningSettings()
    finetune: FinetuneSection
    stages: tuple[StageSettings, ...] = (StageSettings(),)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [stage.name for stage in self.stages]
        if not names:
            raise ValueError("found no [[stages]], expected at least one")
        if len(set(names)) < len(names):
            raise ValueError(f"stages need distinct names, found {names}")
        for position, stage in enumerate(self.stages):
            if "/" in stage.name or not stage.name:
                raise ValueError(f"stage name {stage.name!r} must not be empty or contain '/'")
            if stage.base != "model" and stage.base not in names[:position]:
                known = ", ".join(["model", *names[:position]])
                raise ValueError(f"stage {stage.name!r} has base {stage.base!r}, expected one of: {known}")
            if unknown := [name for name in stage.learns_from if name not in names[:position]]:
                earlier = ", ".join(names[:position]) or "there is none"
                raise ValueError(
                    f"stage {stage.name!r} learns from {unknown[0]!r}, which is no earlier stage ({earlier}); to learn"
                    " from other runs, use `soar finetune`"
                )
        return self

    def plan(self) -> tuple[Stage, ...]:
        """Return the stages in the order of the run."""
        return tuple(Stage(s.name, s.iterations, s.answers, s.base, s.learns_from) for s in self.stages)

    def tasks_of(self, stage: str) -> TasksSettings:
        """Return where a stage's tasks come from: its own settings override those of `[tasks]`."""
        own = next(each for each in self.stages if each.name == stage)
        return TasksSettings(
            domain=self.tasks.domain,
            source=own.source or self.tasks.source,
            # The ids of [tasks] belong to its source, not to a stage's own.
            ids_file=own.ids_file or (self.tasks.ids_file if own.source is None else None),
            count=own.count or self.tasks.count,
            strict=self.tasks.strict,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as JSON values, omitting those without a value."""
        return self.model_dump(mode="json", exclude_none=True, serialize_as_any=True)


def load_config(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read a TOML file, or the shipped one of this name, apply ``section.key=value`` overrides, and validate;
    `ConfigError` names the choices."""
    raw = read_toml(path)
    written = deepcopy(raw)
    for override in overrides:
        apply_override(raw, override)
    _drop_settings_of_replaced_parts(raw, written)
    return validated(raw, str(path))


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file, or of the shipped one of this name; `ConfigError` if it cannot be read."""
    try:
        return tomllib.loads(shipped.configuration(path).read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(
            f"no configuration at {path}: name a file, or a shipped configuration ({', '.join(shipped.names())})"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{path} cannot be read as TOML: {error}") from None


def validated(raw: Mapping[str, Any], where: str = "configuration") -> Config:
    """Return the configuration in a nested mapping; `ConfigError` names what is wrong and the choices."""
    raw = _with_current_names(raw)
    model = _model(raw)
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{where}: " + "; ".join(_explain(model, problem) for problem in error.errors())) from None


def free_settings(config: Config) -> set[str]:
    """Return the settings, as ``section.key`` or ``stages.0.key``, that no result depends on: a run may resume with
    other values."""
    return _marked(config, "free")


def locations(config: Config) -> set[str]:
    """Return those of the free settings that say where something is, such as tasks."""
    return _marked(config, "location")


def remembered(config: Config) -> set[str]:
    """Return those of the free settings that a run remembers when it resumes with other values: locations, and prices,
    by which its reports count money."""
    return locations(config) | {f"budget.{name}" for name in BudgetSettings.model_fields if name.startswith("price_")}


def _marked(config: Config, mark: str) -> set[str]:
    """Return the settings whose field has a mark."""
    sections: dict[str, object] = {name: getattr(config, name) for name in type(config).model_fields}
    sections |= {f"stages.{number}": stage for number, stage in enumerate(config.stages)}
    return {
        f"{name}.{key}"
        for name, section in sections.items()
        if isinstance(section, BaseModel)
        for key, field in type(section).model_fields.items()
        if isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get(mark)
    }


def _model(raw: Mapping[str, Any]) -> type[Config]:
    """Return the configuration class for the parts named in `raw`."""
    sections = {name: _section(name, raw.get(name)) for name in PARTS}
    fields: Any = {name: (section, section.model_construct()) for name, section in sections.items()}
    return create_model("Config", __base__=Config, **fields)


def _section(name: str, raw: object) -> type[BaseModel]:
    """Return the class of one section: the key that names its part, and that part's settings."""
    base, key, choices = PARTS[name]
    given = raw.get(key) if isinstance(raw, Mapping) else None
    given = base.model_fields[key].default if given is None else given
    if not isinstance(given, str):
        raise ConfigError(f"{name}.{key}: expected a name, found {given!r}")
    part = resolve(given, choices, f"{name}.{key}")
    own = getattr(part, "Settings", None)
    if own is None:
        return base
    if not (isinstance(own, type) and issubclass(own, BaseModel)):
        raise ConfigError(f"{name}.{key} {given!r}: its Settings are {own!r}, expected a soar.settings.Section")
    return create_model(base.__name__, __base__=(base, own), __doc__=own.__doc__)


def is_own_part(name: str, section: object) -> bool:
    """Return whether a section names a part that its user wrote, whose settings only that part's own code knows."""
    if name not in PARTS or not isinstance(section, Mapping):
        return False
    _, key, choices = PARTS[name]
    part = section.get(key)
    return isinstance(part, str) and ":" in part and part not in choices


def _with_current_names(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the mapping with old setting names replaced by current ones; old run directories hold the old names."""
    found = deepcopy(dict(raw))
    sandbox, lm = found.get("sandbox"), found.get("lm")
    for key in ("workers", "level"):
        if isinstance(sandbox, dict) and key in sandbox:
            found.setdefault("executor", {})
            if isinstance(found["executor"], dict):
                found["executor"].setdefault(key, sandbox.pop(key))
    if isinstance(lm, dict) and lm.get("backend", "embedded") in ("embedded", "scripted"):
        for key in ("concurrency", "deadline_seconds", "give_up_seconds"):
            lm.pop(key, None)  # once settings of every backend, so every old run directory has them
    return found


def apply_override(raw: dict[str, Any], override: str) -> None:
    """Set one ``a.b=value`` in place; a value that is not TOML is a plain string."""
    name, equals, text = override.partition("=")
    keys = name.strip().split(".")
    if not equals or not all(keys):
        raise ConfigError(f"--set {override!r}: expected section.key=value")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    node: Any = raw
    for key in keys[:-1]:
        node = (
            node[int(key)] if isinstance(node, list) and key.isdecimal() and int(key) < len(node) else _child(node, key)
        )
    if not isinstance(node, dict):
        raise ConfigError(f"--set {override!r}: {'.'.join(keys[:-1])} is not a section")
    node[keys[-1]] = value


def _drop_settings_of_replaced_parts(raw: dict[str, Any], written: Mapping[str, Any]) -> None:
    """If an override names another part than the file, drop the file's settings that only its own part has."""
    for name, (base, key, _) in PARTS.items():
        now, then = raw.get(name), written.get(name)
        if isinstance(now, dict) and isinstance(then, dict):
            default = base.model_fields[key].default
            if now.get(key, default) != then.get(key, default):
                known = _section(name, now).model_fields
                for setting in [each for each in then if each not in known and now.get(each) == then[each]]:
                    del now[setting]


def _child(node: Any, key: str) -> Any:
    if not isinstance(node, dict):
        raise ConfigError(f"--set: {key!r} is not in a section")
    return node.setdefault(key, {})


def _explain(model: type[Config], problem: Mapping[str, Any]) -> str:
    """Return one sentence for one validation problem; for an unknown key, list the existing ones."""
    where = ".".join(str(part) for part in problem["loc"])
    if not where:  # a problem of several settings together
        return str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "missing":
        return f"{where} is missing"
    if problem["type"] == "finite_number":
        return f"{where}: expected a finite number, found {problem['input']}; for no limit, leave the setting out"
    if problem["type"] != "extra_forbidden":
        return f"{where}: {problem['msg']}, found {str(problem.get('input'))[:80]!r}"
    choices = sorted(_fields_at(model, problem["loc"][:-1]))
    key = str(problem["loc"][-1])
    near = difflib.get_close_matches(key, choices, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return f"unknown key {where}{hint} Known keys: {', '.join(choices)}"


def _fields_at(model: type[Config], location: Sequence[str | int]) -> list[str]:
    """Return the names of the fields of the section at `location`."""
    section: Any = model
    for part in location:
        section = StageSettings if isinstance(part, int) or part == "stages" else section.model_fields[part].annotation
    return list(section.model_fields)
