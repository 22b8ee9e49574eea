"""The run directory: who may write to it, what it was begun with, where everything lies.

Knows files and refuses what does not fit; knows nothing of searching or learning.

    runs/<name>/
      config.toml  manifest.json   frozen when the run begins; another configuration or task set is refused
      archive.sqlite               every completion and execution
      data/<i>/  adapters/<i>/     what the model of search i was finetuned on, and its weights
      answers/<i>.json             search i's answers in the ARC Prize submission format
"""

import fcntl
import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from soar.config import Config, StageConfig, validated
from soar.errors import ConfigError, DataError, StoreError
from soar.files import write_atomically


@dataclass(frozen=True, slots=True)
class Step:
    """One search of a run: its number over all stages, its stage, and the iteration within the stage."""

    number: int
    stage: StageConfig
    iteration: int


def steps(config: Config) -> tuple[Step, ...]:
    """Return all searches of a run, in order."""
    places = [(stage, iteration) for stage in config.stages for iteration in range(stage.iterations)]
    return tuple(Step(number, stage, iteration) for number, (stage, iteration) in enumerate(places))


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """The paths of one run."""

    path: Path

    @property
    def archive(self) -> Path:
        """The archive's file."""
        return self.path / "archive.sqlite"

    def data(self, number: int) -> Path:
        """The finetuning examples for the model of search `number`."""
        return self.path / "data" / str(number) / "examples.jsonl"

    def adapter(self, number: int) -> Path:
        """The folder of the weights that search `number` uses, if it does not use its stage's base."""
        return self.path / "adapters" / str(number)

    def answers(self, number: int) -> Path:
        """The answers of search `number`."""
        return self.path / "answers" / f"{number}.json"

    def config(self) -> Config:
        """Return the frozen configuration; `ConfigError` if this is no run directory."""
        return validated(self._read_toml(), self.path / "config.toml")

    def manifest(self) -> dict[str, Any]:
        """Return what the run was begun with: versions, model, task sets by stage."""
        return json.loads(self._read("manifest.json"))

    def _read_toml(self) -> dict[str, Any]:
        try:
            return tomllib.loads(self._read("config.toml"))
        except tomllib.TOMLDecodeError as error:
            raise StoreError(f"{self.path}/config.toml is damaged: {error}") from None

    def _read(self, name: str) -> str:
        try:
            return (self.path / name).read_text(encoding="utf-8")
        except OSError:
            raise ConfigError(f"{self.path} is not a run directory: it has no {name}") from None


@contextmanager
def locked(path: Path) -> Iterator[RunDirectory]:
    """Make the run directory if needed and hold it; `StoreError` while another process does."""
    if path.exists() and (not path.is_dir() or (any(path.iterdir()) and not (path / "lock").exists())):
        raise ConfigError(f"{path} exists and is not a run directory: name another, or a new one")
    try:
        path.mkdir(parents=True, exist_ok=True)
        handle = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    except OSError as error:
        raise StoreError(f"cannot use {path} as a run directory: {error}") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield RunDirectory(path)
    except BlockingIOError:
        raise StoreError(f"{path} is in use by another process: wait for it or stop it") from None
    finally:
        os.close(handle)


def freeze(directory: RunDirectory, config: Config, manifest: Mapping[str, Any]) -> None:
    """Write what the run is begun with; on resume refuse another configuration, model or task set, with the difference.

    The manifest's ``versions`` may differ: a run may go on with newer software.
    """
    wanted = config.model_dump(mode="json", exclude_none=True)
    if (directory.path / "manifest.json").exists():
        found = directory.config().model_dump(mode="json", exclude_none=True)
        _refuse(ConfigError, directory.path, "configuration", differences(found, wanted))
        then = {key: value for key, value in directory.manifest().items() if key != "versions"}
        now = {key: value for key, value in manifest.items() if key != "versions"}
        _refuse(DataError, directory.path, "tasks or model", differences(then, now))
        return
    write_atomically(directory.path / "config.toml", tomli_w.dumps(wanted))
    write_atomically(directory.path / "manifest.json", json.dumps(manifest, indent=1))


def _refuse(error: type[ConfigError] | type[DataError], path: Path, what: str, found: list[str]) -> None:
    if found:
        more = f" and {len(found) - 8} more" if len(found) > 8 else ""
        listed = "; ".join(found[:8])
        raise error(f"{path} was begun with another {what}: {listed}{more}. Restore it, or begin a new run directory")


def differences(then: Any, now: Any, where: str = "") -> list[str]:
    """Return one sentence per leaf that differs between two JSON values."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        keys = sorted({*then, *now})
        return [line for key in keys for line in differences(then.get(key), now.get(key), f"{where}.{key}".strip("."))]
    if isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        pairs = enumerate(zip(then, now, strict=True))
        return [line for place, (a, b) in pairs for line in differences(a, b, f"{where}.{place}")]
    return [] if then == now else [f"{where} was {_short(then)}, now {_short(now)}"]


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
