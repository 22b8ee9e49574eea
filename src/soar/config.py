"""Every setting of a run, with the paper's value as its default, read strictly from TOML.

Knows names, types and bounds; does not know what any component does. A component is a built-in name or
``"package.module:name"``, looked up by `resolve`.
"""

import difflib
import importlib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from soar.errors import ConfigError

T = TypeVar("T")
Positive = Annotated[int, Field(gt=0)]
NonNegative = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class TasksConfig(_Section):
    """Which tasks are searched, of which domain. `source` is a built-in set, a folder or a file."""

    domain: str = "arc"
    source: str = "arc1-training"
    ids_file: Path | None = None
    count: Positive | None = None


class LMConfig(_Section):
    """The language model. `model` is a name at the endpoint, a directory, or for "scripted" a function or a file."""

    backend: Literal["embedded", "openai", "scripted"] = "embedded"
    model: str | None = None
    base_url: str | None = None
    api_key_env: str | None = None
    concurrency: Positive = 64
    deadline_seconds: float = Field(default=600.0, gt=0)
    give_up_seconds: float = Field(default=3600.0, ge=0)

    @model_validator(mode="after")
    def _complete(self) -> "LMConfig":
        if self.backend == "openai" and not (self.base_url and self.model):
            raise ValueError('backend "openai" needs base_url (ends in /v1) and model (a name the server knows)')
        if self.backend == "scripted" and not self.model:
            raise ValueError('backend "scripted" needs model = "package.module:function" or a JSONL file of replies')
        return self


class PromptConfig(_Section):
    """How tasks are rendered. `few_shot` shows one solved ARC-train task (App. D.5)."""

    rendering: str = "chat"
    few_shot: bool = False


class SamplingConfig(_Section):
    """How tokens are drawn (App. D.5); the limits are counts of new tokens.

    `distinct`: the completions of one request are drawn without replacement. Only the embedded model can.
    """

    temperature: float = Field(default=1.0, gt=0)
    min_p: Fraction = 0.05
    sample_tokens: Positive = 4096
    refine_tokens: Positive = 2048
    distinct: bool = False


class SearchConfig(_Section):
    """Budgets per task, in completions (App. D.3, D.5), and how parents are picked (§3.2).

    `enough`: a task's sampling ends once this many programs reproduce all training pairs; an island's refinement once
    a quarter of it (divided by `islands`) do. 0 switches early stopping off. `heuristic` says what makes a parent
    promising: the paper has "accuracy"; "closeness" also tells apart programs that are right on no pair.
    """

    samples: NonNegative = 3000
    refinements: NonNegative = 3000
    samples_per_request: Positive = 50
    islands: Positive = 4
    completions_per_refinement: Positive = 4
    enough: NonNegative = 100
    selector: str = "rex"
    heuristic: str = "accuracy"
    rex_c: float = Field(default=20.0, gt=0)
    tasks_in_flight: Positive = 32


class SandboxConfig(_Section):
    """Limits of one program: CPU seconds per input, memory in MB. `workers` None: one per core."""

    cpu_seconds: float = Field(default=1.0, gt=0)
    memory_mb: Positive = 512
    workers: Positive | None = None
    level: str = "full"


class AnswerConfig(_Section):
    """How programs vote (§3.2, App. D.1), and the filters that keep programs from voting and teaching (App. F)."""

    voter: str = "sum"
    filters: tuple[str, ...] = ("hard-coded",)


class LearningConfig(_Section):
    """Which programs become examples (§3.3); the counts are examples per task.

    `hindsight_pairs_per_task` are refinements into other programs, relabelled, not in the paper: of parents that the
    search has "shown", or of those "closest" to what is then wanted. `operators` are those that θi serves, both as in
    the paper; the configured model goes on with the other. `true_copies` is how many examples a program makes that
    solves its task, answers known: each has the pairs in another order. `pseudo_labels`, not in the paper: where
    answers are hidden, the answer of most programs that are right on all training pairs is taken for the right one.
    """

    history: Literal["current", "all"] = "current"
    curator: str = "greedy-diverse"
    pairing: str = "diverse"
    deduplicate: str = "text"
    samples_per_task: NonNegative = 50
    refinements_per_task: NonNegative = 50
    hindsight_pairs_per_task: NonNegative = 0
    hindsight_parents: Literal["shown", "closest"] = "shown"
    true_copies: Positive = 1
    pseudo_labels: bool = False
    replay: NonNegative = 0
    operators: Annotated[tuple[Literal["sample", "refine"], ...], Field(min_length=1)] = ("sample", "refine")


class FinetuneConfig(_Section):
    """How θ0 is finetuned (App. D.4). `warmup` and `weight_decay` as fractions; `max_length` in tokens."""

    trainer: str = "trl"
    method: Literal["lora", "full"] = "lora"
    rank: Positive = 256
    alpha: Positive = 32
    lr: float = Field(default=5e-5, gt=0)
    warmup: Fraction = 0.1
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    weight_decay: Fraction = 0.05
    batch_size: Positive = 1
    accumulation: Positive = 64
    epochs: float = Field(default=3.0, gt=0)
    max_steps: Positive | None = None
    max_length: Positive = 16384
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    checkpoint_steps: Positive = 200


class StageConfig(_Section):
    """A stretch of iterations on one task set. `answers` "hidden" is test-time training (§3.4).

    `base` is "model" (the configured model) or the name of an earlier stage, whose last model is then this stage's θ0.
    `source`, `ids_file` and `count` default to those of `[tasks]`.
    """

    name: str = "train"
    source: str | None = None
    ids_file: Path | None = None
    count: Positive | None = None
    iterations: Positive = 1
    answers: Literal["known", "hidden"] = "known"
    base: str = "model"


class Config(_Section):
    """A whole run."""

    seed: NonNegative = 0
    tasks: TasksConfig = TasksConfig()
    lm: LMConfig = LMConfig()
    prompt: PromptConfig = PromptConfig()
    sampling: SamplingConfig = SamplingConfig()
    search: SearchConfig = SearchConfig()
    sandbox: SandboxConfig = SandboxConfig()
    answer: AnswerConfig = AnswerConfig()
    learning: LearningConfig = LearningConfig()
    finetune: FinetuneConfig = FinetuneConfig()
    stages: tuple[StageConfig, ...] = (StageConfig(),)

    @model_validator(mode="after")
    def _consistent(self) -> "Config":
        names = [stage.name for stage in self.stages]
        if len(set(names)) < len(names):
            raise ValueError(f"stages need distinct names, found {names}")
        for position, stage in enumerate(self.stages):
            if "/" in stage.name or not stage.name:
                raise ValueError(f"stage name {stage.name!r} must not be empty or contain '/'")
            if stage.base != "model" and stage.base not in names[:position]:
                known = ", ".join(["model", *names[:position]])
                raise ValueError(f"stage {stage.name!r} has base {stage.base!r}, expected one of: {known}")
        if self.lm.backend == "openai" and any(stage.iterations > 1 for stage in self.stages):
            raise ValueError(
                'backend "openai" cannot be finetuned from here: set iterations = 1 in every stage, or use "embedded"'
            )
        if self.lm.backend == "openai" and self.sampling.distinct:
            raise ValueError('a server cannot draw without replacement: set sampling.distinct = false for "openai"')
        return self

    def tasks_of(self, stage: StageConfig) -> TasksConfig:
        """Return where a stage's tasks come from: its own settings before those of `[tasks]`."""
        return TasksConfig(
            domain=self.tasks.domain,
            source=stage.source or self.tasks.source,
            ids_file=stage.ids_file or (self.tasks.ids_file if stage.source is None else None),
            count=stage.count or self.tasks.count,
        )


def load_config(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read a TOML file, apply ``section.key=value`` overrides, and validate; `ConfigError` names the choices."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"no configuration at {path}; the examples lie in configs/") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{path} cannot be read as TOML: {error}") from None
    for override in overrides:
        _apply(raw, override)
    return validated(raw, path)


def validated(raw: Mapping[str, Any], path: Path) -> Config:
    """Return the configuration that was read from `path`; `ConfigError` names what is wrong and the choices."""
    try:
        return Config.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{path}: " + "; ".join(_explain(problem) for problem in error.errors())) from None


def _apply(raw: dict[str, Any], override: str) -> None:
    """Set one ``a.b=value`` in place; the value is TOML, or else taken as a plain string."""
    name, equals, text = override.partition("=")
    keys = name.strip().split(".")
    if not equals or not all(keys):
        raise ConfigError(f"--set {override!r} is not of the form section.key=value")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    node: Any = raw
    for key in keys[:-1]:
        node = (
            node[int(key)] if isinstance(node, list) and key.isdigit() and int(key) < len(node) else _child(node, key)
        )
    if not isinstance(node, dict):
        raise ConfigError(f"--set {override!r}: {'.'.join(keys[:-1])} is not a section")
    node[keys[-1]] = value


def _child(node: Any, key: str) -> Any:
    if not isinstance(node, dict):
        raise ConfigError(f"--set: {key!r} is not inside a section")
    return node.setdefault(key, {})


def _explain(problem: Mapping[str, Any]) -> str:
    """Return one sentence for one validation problem; an unknown key comes with the keys that exist."""
    where = ".".join(str(part) for part in problem["loc"]) or "configuration"
    if problem["type"] != "extra_forbidden":
        return f"{where}: {problem['msg']}, found {str(problem.get('input'))[:80]!r}"
    choices = sorted(_fields_at(problem["loc"][:-1]))
    key = str(problem["loc"][-1])
    near = difflib.get_close_matches(key, choices, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"unknown key {where}{hint} The keys there are: {', '.join(choices)}"


def _fields_at(location: Sequence[str | int]) -> list[str]:
    """Return the names of the fields of the section at `location`."""
    section: Any = Config
    for part in location:
        section = StageConfig if isinstance(part, int) or part == "stages" else section.model_fields[part].annotation
    return list(section.model_fields)


def resolve(name: str, choices: Mapping[str, T], what: str) -> T:
    """Return the built-in component `name`, or import ``"package.module:name"``; `ConfigError` names the choices."""
    if name in choices:
        return choices[name]
    module, colon, attribute = name.partition(":")
    if not colon:
        raise ConfigError(
            f'unknown {what} {name!r}: choose one of {", ".join(sorted(choices))}, or "package.module:name"'
        )
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{what} {name!r} cannot be imported: {error}") from error
