"""The engines that are known by name, and any other by its command line: how each is started and asked.

Pure: starts nothing. Corrects what engines silently get wrong: sampling defaults in a model's folder are switched off,
and the name of the model is always the same.
"""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from soar.errors import ConfigError
from soar.lm.openai.learnt import Fields

NAME = "soar"
"""The name that a model is served under, if the engine leaves the choice."""


@dataclass(frozen=True)
class Engine:
    """How an engine is started (`parts` of a command line with {python}, {weights}, {port} and {name}) and asked.

    `model` is the model's name in a request, with the same placeholders; `leaves_out` are fields that the engine
    silently ignores; `at_once` caps the requests in flight to an engine that answers one after the other. `modules` are
    what its interpreter must have.
    """

    name: str
    parts: tuple[str, ...]
    model: str = "{name}"
    fields: Fields = dict
    leaves_out: frozenset[str] = frozenset()
    at_once: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    modules: tuple[str, ...] = ()

    def command(self, python: str, weights: Path, port: int, more: Sequence[str]) -> list[str]:
        """Return the command line that serves a folder of weights on a port of this machine."""
        return [*(_filled(part, python, weights, port) for part in self.parts), *more]

    def asked_for(self, weights: Path) -> str:
        """Return the name of the model in a request."""
        return _filled(self.model, "", weights, 0)


def transformers_fields(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields as transformers' server accepts them: it draws at random only if a complete generation
    configuration says so, and accepts min_p nowhere else."""
    drawn = fields["temperature"] > 0
    how = {"temperature": fields["temperature"], "top_p": 1.0, "top_k": 0, "min_p": fields.get("min_p")}
    config = {"do_sample": drawn, "repetition_penalty": 1.0, "max_new_tokens": fields["max_tokens"]}
    whole = json.dumps({**config, **(how if drawn else {})})
    return {"max_tokens": fields["max_tokens"], "seed": fields["seed"], "generation_config": whole}


VLLM = Engine(
    "vllm",
    (
        *("{python}", "-m", "vllm.entrypoints.openai.api_server", "--model", "{weights}"),
        *("--served-model-name", "{name}", "--host", "127.0.0.1", "--port", "{port}", "--generation-config", "vllm"),
    ),
    environment={"VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"},
    modules=("vllm",),
)
SGLANG = Engine(
    "sglang",
    (
        *("{python}", "-m", "sglang.launch_server", "--model-path", "{weights}", "--served-model-name", "{name}"),
        *("--host", "127.0.0.1", "--port", "{port}", "--sampling-defaults", "openai"),
    ),
    environment={"HF_HUB_OFFLINE": "1"},
    modules=("sglang",),
)
TRANSFORMERS = Engine(
    "transformers",
    (
        *("{python}", "-c", "from transformers.cli.transformers import main; main()", "serve", "{weights}"),
        *("--host", "127.0.0.1", "--port", "{port}"),
    ),
    model="{weights}",
    fields=transformers_fields,
    leaves_out=frozenset({"n"}),
    at_once=1,  # it has one random number generator, which each request reseeds
    environment={"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
    modules=("transformers", "torch", "fastapi", "uvicorn"),
)
ENGINES = {engine.name: engine for engine in (VLLM, SGLANG, TRANSFORMERS)}


def engine_of(named: str) -> Engine:
    """Return an engine by name, or by a command line with {weights} and {port}; `ConfigError` if it is neither."""
    if named in ENGINES:
        return ENGINES[named]
    missing = [mark for mark in ("{weights}", "{port}") if mark not in named]
    if missing:
        raise ConfigError(
            f"lm.engine = {named!r} is neither {', '.join(ENGINES)} nor a command line with {{weights}} and {{port}}"
            f" (it lacks {' and '.join(missing)})"
        )
    try:
        parts = shlex.split(named)
    except ValueError as error:
        raise ConfigError(f"lm.engine = {named!r} is not a valid command line: {error}") from None
    return Engine(named, tuple(parts))


def _filled(part: str, python: str, weights: Path, port: int) -> str:
    marks = {"{python}": python, "{weights}": str(weights), "{port}": str(port), "{name}": NAME}
    for mark, value in marks.items():
        part = part.replace(mark, value)
    return part
