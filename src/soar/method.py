"""From a configuration to a method: every name resolved once, every part checked, for its kind and for fitting to the
others, before anything is written. A mistake costs nothing.

The one file that imports concrete parts; below it nothing reads a configuration.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from soar.config import BACKENDS, EXECUTORS, TRAINERS, Config
from soar.domains.complete import complete
from soar.ensemble import FILTERS, VOTERS, Answering
from soar.errors import ConfigError
from soar.execution.codecs import CODECS
from soar.heuristics import closeness, heuristics
from soar.iterate import Method
from soar.learning.curate import CURATORS, PAIRINGS
from soar.learning.dedup import DEDUPLICATIONS, LIKENESSES, Deduplicate
from soar.learning.embed import embedder
from soar.learning.examples import REPLAY, every_row, replay_examples, shortest_per_prompt
from soar.learning.learn import LearningMethod
from soar.learning.select import Teaching, examples_of
from soar.prompts.chat import Chat
from soar.protocols import Backend, Contract, Domain, Executors, Filter, Rendering
from soar.run import steps, theta0_of
from soar.search import SearchMethod
from soar.search.selectors import SELECTORS, rex
from soar.settings import resolve

DOMAINS = {"arc": "soar.domains.arc.domain:Arc", "sequences": "soar.domains.sequences.domain:Sequences"}
RENDERINGS = {"chat": Chat}


def open_domain(name: str) -> Domain:
    """Return a domain by name, complete; `ConfigError` if it is none."""
    domain = complete(resolve(name, DOMAINS, "domain"), name)
    if domain.codec not in CODECS:
        raise ConfigError(f"domain {name!r} asks for the codec {domain.codec!r}: only {', '.join(CODECS)} are built in")
    if "(" not in domain.signature or not domain.signature.partition("(")[0].isidentifier():
        raise ConfigError(f"domain {name!r} has signature {domain.signature!r}, expected a call like 'transform(x)'")
    return domain


def open_answering(config: Config, domain: Domain) -> Answering:
    """Return how programs answer, by the configured vote and filters."""
    return Answering(
        chosen(config.answer.voter, VOTERS, "answer.voter", 1),
        open_filters(config, domain),
    )


def open_filters(config: Config, domain: Domain) -> dict[str, Filter]:
    """Return the configured filters by name."""
    choices = {**FILTERS, **domain.filters}
    return {name: chosen(name, choices, "answer.filters", 2) for name in config.answer.filters}


def open_backend(config: Config) -> Backend:
    """Return where the configured language model comes from."""
    return opened(config.lm.backend, BACKENDS, "lm.backend", config.lm, "open")


def identity(config: Config, backend: Backend) -> dict[str, Any]:
    """Return what identifies the configured model, for the run's manifest."""
    own = getattr(backend, "identity", None)
    settings = config.lm.model_dump(mode="json", exclude={"backend"}, exclude_none=True, serialize_as_any=True)
    return {"backend": config.lm.backend, **(own() if own else settings)}


def open_executors(config: Config) -> Executors:
    """Return where the configured programs run."""
    return opened(config.executor.kind, EXECUTORS, "executor.kind", config.executor, "open")


def contract(config: Config, domain: Domain) -> Contract:
    """Return what an executor must know of the programs of a run."""
    limits = config.sandbox
    return Contract(limits.cpu_seconds, limits.memory_mb, domain.signature, domain.codec, limits.stop_at_failure)


def open_rendering(config: Config, domain: Domain, backend: Backend) -> Rendering:
    """Return the configured rendering, or the one that the backend prefers; `ConfigError` where the model cannot read
    what it writes."""
    choices = {**RENDERINGS, **domain.renderings}
    name = rendering_of(config, backend)
    if config.prompt.rendering is None and name not in choices:
        raise ConfigError(
            f'lm.backend = "{config.lm.backend}" reads prompts of the rendering {name!r}, which the domain'
            f" {config.tasks.domain!r} does not have: choose another lm.backend"
        )
    rendering = chosen(name, choices, "prompt.rendering", 1)(domain)
    reads, writes = getattr(backend, "reads", ("text", "chat")), getattr(rendering, "writes", "chat")
    if writes not in reads:
        raise ConfigError(
            f'lm.backend = "{config.lm.backend}" reads {" or ".join(reads)}, and prompt.rendering = "{name}" writes'
            f" {writes}: choose another rendering ({', '.join(sorted(choices))}) or backend"
        )
    return rendering


def rendering_of(config: Config, backend: Backend) -> str:
    """Return the name of the rendering: the configured one, or the one that the backend prefers."""
    return config.prompt.rendering or getattr(backend, "rendering", "chat")


def resolved(config: Config, domain: Domain, backend: Backend) -> dict[str, Any]:
    """Return the settings as JSON values, with those filled in that follow from the domain and the backend."""
    found = config.as_dict()
    found["prompt"].setdefault("rendering", rendering_of(config, backend))
    if domain.sources:
        found["tasks"].setdefault("source", domain.sources[0])
    return found


def open_method(config: Config, domain: Domain, backend: Backend) -> Method:
    """Return what a run does; `ConfigError` where a name leads nowhere, or parts do not fit together."""
    if config.sampling.distinct and not getattr(backend, "distinct", False):
        raise ConfigError(
            f'lm.backend = "{config.lm.backend}" cannot draw without replacement: set sampling.distinct = false'
        )
    _refuse_model_of_another_domain(config, backend)
    _refuse_what_no_adapter_can_say(config, backend)
    answering = open_answering(config, domain)
    rendering = open_rendering(config, domain, backend)
    learning = config.learning
    theta0: Path | None = getattr(backend, "folder", None)
    return Method(
        steps=steps(config.plan()),
        search=_search_method(config, domain, rendering, backend),
        few_shot=config.prompt.few_shot,
        answering=answering,
        submission=domain.submission,
        learning=LearningMethod(
            seed=config.seed,
            from_all=learning.history == "all",
            examples=partial(examples_of, _teaching(config, domain, rendering, answering.filters)),
            pooled_examples=partial(examples_of, _teaching(config, domain, rendering, answering.filters, pooled=True)),
            kept=shortest_per_prompt if learning.per_prompt == "shortest" else every_row,
            replay=partial(replay_examples, theta0 or Path(), learning.replay),
            finetune=_finetune(config, theta0),
            parts={each: {each} for each in learning.operators} if learning.separate else {"": {"sample", "refine"}},
            keep=getattr(config.finetune, "keep", None),
        ),
        theta0=theta0,
    )


def _refuse_model_of_another_domain(config: Config, backend: Backend) -> None:
    """`ConfigError` where the model was made for one domain and the tasks are of another: it could not read them."""
    made_for = getattr(backend, "domain", None)
    if made_for not in (None, config.tasks.domain):
        raise ConfigError(
            f'lm.backend = "{config.lm.backend}" opens a model of the domain "{made_for}", and tasks.domain ='
            f' "{config.tasks.domain}": name another by lm.model (one that ships has its domain\'s name), or another'
            " lm.backend"
        )


def _refuse_what_no_adapter_can_say(config: Config, backend: Backend) -> None:
    """`ConfigError` where a model that others serve would have to be told more than an adapter to it."""
    if not getattr(backend, "needs_adapter", False) or getattr(backend, "folder", None) is None:
        return
    if getattr(config.finetune, "method", "lora") == "full":
        raise ConfigError(
            f'lm.backend = "{config.lm.backend}" lends the server an adapter, and finetune.method = "full" makes none:'
            ' take "lora" or "qlora", or lm.backend = "served"'
        )
    for step in steps(config.plan()):
        if step.learns and (before := theta0_of(steps(config.plan()), step)) is not None:
            raise ConfigError(
                f"stage {step.stage.name!r} learns from the base {before.stage.name!r}: its adapters belong to weights"
                f' that lm.backend = "{config.lm.backend}" cannot have served; take lm.backend = "served"'
            )


def _search_method(config: Config, domain: Domain, rendering: Rendering, backend: Backend) -> SearchMethod:
    selector = chosen(config.search.selector, SELECTORS, "search.selector", 2)
    return SearchMethod(
        seed=config.seed,
        open_lm=backend.open,
        operators=config.learning.operators,
        separate=config.learning.separate,
        budget=config.search,
        when_sampling=config.sampling.sampling(config.sampling.sample_tokens),
        when_refining=config.sampling.sampling(config.sampling.refine_tokens),
        selector=partial(rex, c=config.search.rex_c) if selector is rex else selector,
        heuristic=chosen(config.search.heuristic, heuristics(domain), "search.heuristic", 2),
        parse=domain.parse,
        rendering=rendering,
    )


def _teaching(
    config: Config, domain: Domain, rendering: Rendering, filters: Mapping[str, Filter], *, pooled: bool = False
) -> Teaching:
    """Return how examples are chosen and written, of the programs of a stage or of several pooled."""
    learning = config.learning
    return Teaching(
        settings=learning,
        rendering=rendering,
        filters=filters,
        deduplicate=_deduplication(config, "pooled_deduplicate" if pooled else "deduplicate"),
        curator=chosen(learning.curator, CURATORS, "learning.curator", 4),
        pairing=chosen(learning.pairing, PAIRINGS, "learning.pairing", 4),
        closeness=partial(closeness, similarity=domain.similarity) if learning.hindsight_parents == "closest" else None,
    )


def _deduplication(config: Config, setting: str) -> Deduplicate:
    """Return what drops programs that are alike, by the name of its setting, with its embedding and its bound."""
    learning, name = config.learning, getattr(config.learning, setting)
    found = chosen(name, DEDUPLICATIONS, f"learning.{setting}", 2)
    pooled = setting == "pooled_deduplicate"
    used = any(stage.learns_from if pooled else stage.iterations > 1 for stage in config.stages)
    if name in ("embeddings", "embeddings-code") and used:
        # Loaded now, so that what is missing is said before the first search.
        found = partial(found, embed=embedder(learning.embedding))
    if name in LIKENESSES and learning.alike_above is not None:
        found = partial(found, above=learning.alike_above)
    return found


def _finetune(config: Config, theta0: Path | None) -> Callable[..., Any]:
    """Return the trainer's function. Where no stage learns, one that nobody calls, and no trainer need be installed."""
    learning = [stage.name for stage in config.stages if stage.iterations > 1 or stage.learns_from]
    if not learning:
        return _nothing_to_learn
    if theta0 is None:
        raise ConfigError(
            f'lm.backend = "{config.lm.backend}" cannot be finetuned from here: set iterations = 1 in every stage'
            f" ({', '.join(learning)}) and no learns_from, or choose another backend{_or_weights(config)}"
        )
    if config.learning.replay and not (theta0 / REPLAY).is_file():
        raise ConfigError(f"learning.replay = {config.learning.replay}, but {theta0} holds no {REPLAY}: set it to 0")
    return opened(config.finetune.trainer, TRAINERS, "finetune.trainer", config.finetune, "finetune").finetune


def _or_weights(config: Config) -> str:
    return " (served runs an engine), or name the model's files by lm.weights" if hasattr(config.lm, "weights") else ""


def _nothing_to_learn(*_: object) -> None:
    raise AssertionError("no stage of this run learns")


def opened(name: str, choices: Mapping[str, Any], what: str, settings: object, member: str) -> Any:
    """Return a part made from its settings; `ConfigError` if it cannot be, or lacks the method `member`."""
    found = resolve(name, choices, what)
    try:
        part = found(settings)
    except TypeError as error:
        raise ConfigError(f"{what} {name!r} cannot be opened with its settings: {error}") from error
    if not callable(getattr(part, member, None)):
        raise ConfigError(f"{what} {name!r} has no method {member!r}")
    return part


def chosen(name: str, choices: Mapping[str, Any], what: str, arguments: int) -> Any:
    """Return the function that is named; `ConfigError` if it is none, or cannot take that many arguments."""
    found = resolve(name, choices, what)
    if not callable(found):
        raise ConfigError(f"{what} {name!r} is a {type(found).__name__}, expected a function of {arguments} arguments")
    try:
        inspect.signature(found).bind(*range(arguments))
    except TypeError:
        raise ConfigError(f"{what} {name!r} does not take {arguments} arguments") from None
    except ValueError:
        pass  # some built-in functions do not tell their signature
    return found
