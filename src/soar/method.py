"""From a configuration to a method: resolves every name once and checks that every part is of its kind and fits the
others, before anything is written, so that a mistake costs nothing.

The one file that imports concrete parts; nothing below it reads a configuration.
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
from soar.learning.dedup import BY_COSINE, DEDUPLICATIONS, Deduplicate
from soar.learning.embed import embedder
from soar.learning.examples import REPLAY, every_row, replay_examples, shortest_per_prompt
from soar.learning.learn import LearningMethod
from soar.learning.select import Teaching, examples_of
from soar.own_parts import Wrong, held, wrong_choice, wrong_pairs, wrong_vote
from soar.prompts.chat import Chat
from soar.protocols import Backend, Contract, Domain, Executors, Filter, Rendering
from soar.run import steps, theta0_of
from soar.search import SearchMethod
from soar.search.selectors import SELECTORS, rex
from soar.settings import resolve

DOMAINS = {"arc": "soar.domains.arc.domain:Arc", "sequences": "soar.domains.sequences.domain:Sequences"}
RENDERINGS = {"chat": Chat}

JUDGES = ("task", "program")
CHOOSES = ("task", "programs", "n", "rng")
"""What functions of a program, and those that choose programs, are called with."""


def open_domain(name: str) -> Domain:
    """Return a domain by name, with defaults for what it lacks; `ConfigError` if it is no domain."""
    domain = complete(resolve(name, DOMAINS, "domain"), name)
    if domain.codec not in CODECS:
        raise ConfigError(f"domain {name!r} has codec {domain.codec!r}, expected one of: {', '.join(CODECS)}")
    if "(" not in domain.signature or not domain.signature.partition("(")[0].isidentifier():
        raise ConfigError(f"domain {name!r} has signature {domain.signature!r}, expected a call like 'transform(x)'")
    return domain


def open_answering(config: Config, domain: Domain) -> Answering:
    """Return the configured vote and filters."""
    return Answering(
        own(config.answer.voter, VOTERS, "answer.voter", ("programs",), wrong_vote),
        open_filters(config, domain),
    )


def open_filters(config: Config, domain: Domain) -> dict[str, Filter]:
    """Return the configured filters by name."""
    choices = {**FILTERS, **domain.filters}
    return {name: chosen(name, choices, "answer.filters", JUDGES) for name in config.answer.filters}


def open_backend(config: Config) -> Backend:
    """Return the backend of the configured language model."""
    return opened(config.lm.backend, BACKENDS, "lm.backend", config.lm, "open")


def identity(config: Config, backend: Backend) -> dict[str, Any]:
    """Return what identifies the configured model, for the run's manifest."""
    own = getattr(backend, "identity", None)
    settings = config.lm.model_dump(mode="json", exclude={"backend"}, exclude_none=True, serialize_as_any=True)
    return {"backend": config.lm.backend, **(own() if own else settings)}


def open_executors(config: Config) -> Executors:
    """Return the configured executors."""
    return opened(config.executor.kind, EXECUTORS, "executor.kind", config.executor, "open")


def contract(config: Config, domain: Domain) -> Contract:
    """Return what an executor must know about a run's programs."""
    limits = config.sandbox
    return Contract(limits.cpu_seconds, limits.memory_mb, domain.signature, domain.codec, limits.stop_at_failure)


def open_rendering(config: Config, domain: Domain, backend: Backend) -> Rendering:
    """Return the configured rendering, or the one that the backend prefers; `ConfigError` if the model cannot read its
    prompts."""
    choices = {**RENDERINGS, **domain.renderings}
    name = rendering_of(config, backend)
    if config.prompt.rendering is None and name not in choices:
        raise ConfigError(
            f'lm.backend = "{config.lm.backend}" reads prompts of the rendering {name!r}, which the domain'
            f" {config.tasks.domain!r} lacks: choose another lm.backend"
        )
    rendering = chosen(name, choices, "prompt.rendering", ("domain",))(domain)
    reads, writes = getattr(backend, "reads", ("text", "chat")), getattr(rendering, "writes", "chat")
    if writes not in reads:
        raise ConfigError(
            f'lm.backend = "{config.lm.backend}" reads {" or ".join(reads)}, and prompt.rendering = "{name}" writes'
            f" {writes}: choose another rendering ({', '.join(sorted(choices))}) or backend"
        )
    return rendering


def rendering_of(config: Config, backend: Backend) -> str:
    """Return the name of the configured rendering, or of the one that the backend prefers."""
    return config.prompt.rendering or getattr(backend, "rendering", "chat")


def resolved(config: Config, domain: Domain, backend: Backend) -> dict[str, Any]:
    """Return the settings as JSON values, filling in those that the domain and the backend determine."""
    found = config.as_dict()
    found["prompt"].setdefault("rendering", rendering_of(config, backend))
    if domain.sources:
        found["tasks"].setdefault("source", domain.sources[0])
    return found


def means_place(name: str, value: str, domain: Domain, backend: Backend) -> bool:
    """Return whether a setting's value is the file or folder of this name, rather than a set of tasks or a model that
    is called the same."""
    if name.endswith(".source"):
        return value not in domain.sources
    if not name.startswith("lm.") or value.endswith(".gguf"):
        return True
    folder: Path | None = getattr(backend, "folder", None)
    return folder is None or folder.resolve() == Path(value).resolve()


def open_method(config: Config, domain: Domain, backend: Backend) -> Method:
    """Return what a run does; `ConfigError` if a name is unknown or parts do not fit together."""
    if config.sampling.distinct and not getattr(backend, "distinct", False):
        raise ConfigError(
            f'lm.backend = "{config.lm.backend}" cannot draw without replacement: set sampling.distinct = false'
        )
    _refuse_model_of_another_domain(config, backend)
    _refuse_more_than_an_adapter(config, backend)
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


def refuse_doomed(config: Config, backend: Backend) -> None:
    """Raise `ConfigError` for what would show only when a run is under way, if at all: a limit that cannot hold, a
    server that could not serve what is learnt."""
    config.budget.refuse_without_prices()
    check = getattr(backend, "check_learning", None)
    if check is not None and any(step.learns for step in steps(config.plan())):
        check()


def _refuse_model_of_another_domain(config: Config, backend: Backend) -> None:
    """Raise `ConfigError` if the model was made for another domain than that of the tasks: it could not read them."""
    made_for = getattr(backend, "domain", None)
    if made_for not in (None, config.tasks.domain):
        raise ConfigError(
            f'lm.backend = "{config.lm.backend}" opens a model of the domain "{made_for}", and tasks.domain ='
            f' "{config.tasks.domain}": set lm.model to another (a shipped one has the name of its domain), or'
            " lm.backend"
        )


def _refuse_more_than_an_adapter(config: Config, backend: Backend) -> None:
    """Raise `ConfigError` if learning needs more than an adapter, and a server that SOAR does not own takes no more."""
    learning = [step for step in steps(config.plan()) if step.learns]
    if not learning or not getattr(backend, "needs_adapter", False) or getattr(backend, "folder", None) is None:
        return
    if getattr(config.finetune, "method", "lora") == "full":
        raise ConfigError(
            f'lm.backend = "{config.lm.backend}" lends the server an adapter, and finetune.method = "full" makes none:'
            ' set "lora" or "qlora", or lm.backend = "served"'
        )
    for step in learning:
        if (before := theta0_of(steps(config.plan()), step)) is not None:
            raise ConfigError(
                f"stage {step.stage.name!r} learns from the base {before.stage.name!r}: its adapters need weights that"
                f' the server of lm.backend = "{config.lm.backend}" does not have; set lm.backend = "served"'
            )


def _search_method(config: Config, domain: Domain, rendering: Rendering, backend: Backend) -> SearchMethod:
    selector = chosen(config.search.selector, SELECTORS, "search.selector", ("pool", "rng"))
    return SearchMethod(
        seed=config.seed,
        open_lm=backend.open,
        operators=config.learning.operators,
        separate=config.learning.separate,
        budget=config.search,
        when_sampling=config.sampling.sampling(config.sampling.sample_tokens),
        when_refining=config.sampling.sampling(config.sampling.refine_tokens),
        selector=partial(rex, c=config.search.rex_c) if selector is rex else selector,
        heuristic=chosen(config.search.heuristic, heuristics(domain), "search.heuristic", JUDGES),
        parse=domain.parse,
        rendering=rendering,
    )


def _teaching(
    config: Config, domain: Domain, rendering: Rendering, filters: Mapping[str, Filter], *, pooled: bool = False
) -> Teaching:
    """Return how examples are chosen and written, from the programs of one stage or of several pooled."""
    learning = config.learning
    return Teaching(
        settings=learning,
        rendering=rendering,
        filters=filters,
        deduplicate=_deduplication(config, "pooled_deduplicate" if pooled else "deduplicate"),
        curator=own(learning.curator, CURATORS, "learning.curator", CHOOSES, wrong_choice),
        pairing=own(learning.pairing, PAIRINGS, "learning.pairing", ("task", "pairs", "n", "rng"), wrong_pairs),
        closeness=partial(closeness, similarity=domain.similarity) if learning.hindsight_parents == "closest" else None,
    )


def _deduplication(config: Config, setting: str) -> Deduplicate:
    """Return the deduplication that a setting names, with its embedding and its bound."""
    learning, name = config.learning, getattr(config.learning, setting)
    found = chosen(name, DEDUPLICATIONS, f"learning.{setting}", ("task", "programs"))
    pooled = setting == "pooled_deduplicate"
    used = any(stage.learns_from if pooled else stage.iterations > 1 for stage in config.stages)
    if name in ("embeddings", "embeddings-code") and used:
        # Loaded now, so that a missing model is reported before the first search.
        found = partial(found, embed=embedder(learning.embedding))
    if name in BY_COSINE and learning.alike_above is not None:
        found = partial(found, above=learning.alike_above)
    return found


def _finetune(config: Config, theta0: Path | None) -> Callable[..., Any]:
    """Return the trainer's function. If no stage learns, return one that nobody calls: no trainer need be installed."""
    learning = [stage.name for stage in config.stages if stage.iterations > 1 or stage.learns_from]
    if not learning:
        return _nothing_to_learn
    if theta0 is None:
        raise ConfigError(
            f'lm.backend = "{config.lm.backend}" cannot be finetuned from here: set iterations = 1 in every stage'
            f" ({', '.join(learning)}) and no learns_from, or choose another backend{_weights_hint(config)}"
        )
    if config.learning.replay and not (theta0 / REPLAY).is_file():
        raise ConfigError(f"learning.replay = {config.learning.replay}, but {theta0} holds no {REPLAY}: set it to 0")
    return opened(config.finetune.trainer, TRAINERS, "finetune.trainer", config.finetune, "finetune").finetune


def _weights_hint(config: Config) -> str:
    return " (served runs an engine), or set lm.weights to the model's files" if hasattr(config.lm, "weights") else ""


def _nothing_to_learn(*_: object) -> None:
    raise AssertionError("no stage of this run learns")


def opened(name: str, choices: Mapping[str, Any], what: str, settings: object, member: str) -> Any:
    """Return a part made from its settings; `ConfigError` if that fails, or the part lacks the method `member`."""
    found = resolve(name, choices, what)
    try:
        part = found(settings)
    except TypeError as error:
        raise ConfigError(f"{what} {name!r} cannot be opened with its settings: {error}") from error
    if not callable(getattr(part, member, None)):
        raise ConfigError(f"{what} {name!r} has no method {member!r}")
    return part


def chosen(name: str, choices: Mapping[str, Any], what: str, arguments: tuple[str, ...]) -> Any:
    """Return the function of that name; `ConfigError` if it is none, or does not take these arguments."""
    found = resolve(name, choices, what)
    takes = f"({', '.join(arguments)})"
    if not callable(found):
        raise ConfigError(f"{what} {name!r} is a {type(found).__name__}, expected a function of {takes}")
    try:
        inspect.signature(found).bind(*arguments)
    except TypeError:
        raise ConfigError(f"{what} {name!r} does not take {len(arguments)} arguments {takes}") from None
    except ValueError:
        pass  # some built-in functions have no signature to inspect
    return found


def own(name: str, choices: Mapping[str, Any], what: str, arguments: tuple[str, ...], wrong: Wrong) -> Any:
    """Return `chosen`; a function that is not built in is held to what it must return."""
    found = chosen(name, choices, what, arguments)
    return found if name in choices else held(found, f"{what} {name!r}", wrong)
