"""The run directory: who may write to it, what it was started with, where everything is.

Knows files and refuses what does not match; knows nothing of searching or learning.

    runs/<name>/
      config.toml  manifest.json   frozen when the run starts; another configuration or task set is refused
      archive.sqlite               every completion and execution
      data/<i>/  adapters/<i>/     what the model of search i was finetuned on, and its weights
      answers/<i>.json             search i's answers in the ARC Prize submission format
      results/<i>.json             finished search i's results by task, so that a report need not read its programs
      import.json                  if programs were imported as the first search: from where
      engines/                     of engines and endpoints: logs, what is running, what was found out
"""

import fcntl
import hashlib
import json
import os
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from soar.errors import ConfigError, StoreError
from soar.files import keep_only, write_atomically
from soar.types import Task, canonical_json

SEAL = "sha256"
"""The manifest's entry with the hashes of the configuration and of the rest of the manifest."""

LOOKED_AT = 0.5
"""Seconds that others who only look whether a run is in use may hold its lock: each does for an instant."""

UNFINISHED = (".work", ".tmp")
"""How the names of folders end in which a model is being made."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Iterations on one task set; `base` is "model" or the stage whose last model is this one's θ0. With `learns_from`,
    earlier stages, θ0 is first finetuned on all their programs ("all train", §3.4)."""

    name: str
    iterations: int = 1
    answers: Literal["known", "hidden"] = "known"
    base: str = "model"
    learns_from: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """Whether learning may see the answers."""
        return self.answers == "known"

    def visible(self, tasks: Sequence[Task]) -> list[Task]:
        """Return tasks as learning may see them: the one place where hidden answers are removed."""
        return [task if self.known else task.without_answers() for task in tasks]


@dataclass(frozen=True, slots=True)
class Step:
    """One search of a run: its number over all stages, its stage, and the iteration within the stage."""

    number: int
    stage: Stage
    iteration: int

    @property
    def key(self) -> tuple[str, int]:
        """The search's key in the archive: the stage's name and the iteration."""
        return self.stage.name, self.iteration

    @property
    def learns(self) -> bool:
        """Whether a model is finetuned for the search."""
        return self.iteration > 0 or bool(self.stage.learns_from)


def steps(stages: Sequence[Stage]) -> tuple[Step, ...]:
    """Return all searches of a run, in order."""
    places = [(stage, iteration) for stage in stages for iteration in range(stage.iterations)]
    return tuple(Step(number, stage, iteration) for number, (stage, iteration) in enumerate(places))


def base_of(plan: Sequence[Step], stage: Stage) -> Step | None:
    """Return the search whose weights a stage starts from, None for the configured model itself: the last search of the
    stage's base, or what that started from if it learnt nothing."""
    if stage.base == "model":
        return None
    last = [step for step in plan if step.stage.name == stage.base][-1]
    return last if last.learns else base_of(plan, last.stage)


def theta0_of(plan: Sequence[Step], step: Step) -> Step | None:
    """Return the search whose weights are θ0 of a step, None for the configured model: what its stage starts from, or
    what `learns_from` made of that."""
    if step.stage.learns_from and step.iteration > 0:
        return next(each for each in plan if each.stage == step.stage)
    return base_of(plan, step.stage)


def to_come(plan: Sequence[Step], step: Step, tasks: Mapping[str, Sequence[Task]]) -> tuple[list[int], int]:
    """Return how many tasks a step and each that follows it search, and how many of the following ones learn first."""
    following = plan[step.number :]
    return [len(tasks[each.stage.name]) for each in following], sum(each.learns for each in following[1:])


def superseded(plan: Sequence[Step], done: int, keep: int) -> list[int]:
    """Return the searches up to number `done` whose weights are no longer needed: neither the newest `keep` nor θ0 of a
    later search."""
    learnt = [step.number for step in plan[: done + 1] if step.learns]
    bases = [theta0_of(plan, step) for step in plan[done + 1 :]]
    needed = {base.number for base in bases if base is not None}
    return [number for number in learnt[:-keep] if number not in needed]


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """The paths of one run."""

    path: Path

    @property
    def archive(self) -> Path:
        """The archive's file."""
        return self.path / "archive.sqlite"

    def data(self, number: int, part: str = "") -> Path:
        """The training examples for the model of search `number`, or for a part of it."""
        return self.path / "data" / str(number) / (f"{part}.jsonl" if part else "examples.jsonl")

    def examples(self, number: int) -> list[Path]:
        """All files of training examples for the model of search `number`."""
        return sorted(self.data(number).parent.glob("*.jsonl"))

    def weights(self, number: int) -> Path:
        """The folder of the weights that search `number` uses, if it does not use its stage's base; each part of a
        model in parts has a folder in it."""
        return self.path / "adapters" / str(number)

    def prune(self, numbers: Sequence[int]) -> None:
        """Remove the full weights of searches; a model learnt as an adapter keeps the adapter."""
        for number in numbers:
            for folder in models_in(self.weights(number)):
                keep_only(folder, "adapter")

    def answers(self, number: int) -> Path:
        """The answers of search `number`."""
        return self.path / "answers" / f"{number}.json"

    @property
    def engines(self) -> Path:
        """The folder in which a backend may keep logs, what it has running and what it found out."""
        return self.path / "engines"

    def write_answers(self, number: int, answers: object) -> None:
        """Write the answers of search `number`, completely or not at all."""
        write_atomically(self.answers(number), json.dumps(answers))

    def results(self, number: int) -> Path:
        """The results of search `number`, task by task."""
        return self.path / "results" / f"{number}.json"

    def write_results(self, number: int, results: object) -> None:
        """Write the results of search `number`, completely or not at all."""
        write_atomically(self.results(number), json.dumps(results))

    @property
    def begun(self) -> bool:
        """Whether a run was started here: its configuration is frozen."""
        return (self.path / "manifest.json").exists()

    def config(self) -> dict[str, Any]:
        """Return the frozen configuration as it was written; `ConfigError` if this is not a run directory, `StoreError`
        if the file was changed."""
        text = self._read("config.toml")
        seal = self._manifest().get(SEAL)
        if seal is not None and hash_of(text) not in _known(seal):
            raise self._damaged("config.toml", "it was changed after the run started")
        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise self._damaged("config.toml", error) from None

    def manifest(self) -> dict[str, Any]:
        """Return what the run was started with: versions, model, task sets by stage; errors as for `config`."""
        found = self._manifest()
        seal = found.pop(SEAL, None)
        if seal is not None and seal.get("manifest") != hash_of(canonical_json(found)):
            raise self._damaged("manifest.json", "it was changed after the run started")
        return found

    def _manifest(self) -> dict[str, Any]:
        text = self._read("manifest.json")
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self._damaged("manifest.json", error) from None
        if not _is_manifest(found):
            raise self._damaged("manifest.json", "expected an object with model, versions, and tasks by stage")
        return found

    def refuse_lost_archive(self) -> None:
        """Raise `StoreError` if the archive of a run that has got further is gone: the run would start over."""
        made = [name for name in ("data", "adapters", "answers") if (self.path / name).exists()]
        if made and not (self.archive.exists() and self.archive.stat().st_size):
            raise StoreError(
                f"{self.archive} is missing or empty, but the run has made {' and '.join(made)} from it: restore a"
                " copy of it, or start a new run directory"
            )

    def _damaged(self, name: str, why: object) -> StoreError:
        return StoreError(
            f"{self.path / name} is damaged ({why}): restore a copy of it. The archive beside it is not affected"
        )

    def _read(self, name: str) -> str:
        try:
            return (self.path / name).read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise self._damaged(name, error) from None
        except (FileNotFoundError, NotADirectoryError):
            if self.archive.exists() or (name == "config.toml" and self.begun):
                raise StoreError(f"{self.path / name} is missing, but a run was started here: restore a copy") from None
            raise ConfigError(f"{self.path} is not a run directory: it has no {name}") from None
        except OSError as error:
            raise StoreError(f"{self.path / name} cannot be read: {error}") from None


def models_in(folder: Path) -> list[Path]:
    """Return the folders of the models that a search uses: its own folder, or one inside it for each part. None while
    the first part is being made: all that is there then is where it is made."""
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    if inside and all(each.suffix in UNFINISHED for each in inside):
        return []
    parts = [each for each in inside if each.name in ("sample", "refine")]
    return parts or ([folder] if folder.is_dir() else [])


def _is_manifest(found: object) -> bool:
    """Return whether a JSON value has all that a manifest must have, with the right types."""
    if not isinstance(found, dict) or not isinstance(found.get(SEAL, {}), dict):
        return False
    tasks = found.get("tasks")
    return (
        isinstance(found.get("model"), dict)
        and isinstance(tasks, dict)
        and all(
            isinstance(entry, dict)
            and isinstance(entry.get("hash"), str)
            and isinstance(entry.get("ids"), list)
            and all(isinstance(id_, str) for id_ in entry["ids"])
            for entry in tasks.values()
        )
    )


def _known(seal: Mapping[str, Any]) -> Sequence[Any]:
    """Return the hashes that a frozen configuration may have: two, if one was about to replace another."""
    known = seal.get("config.toml")
    return known if isinstance(known, list) else [known]


def hash_of(text: str) -> str:
    """Return the hash by which a seal knows a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def refuse_other(path: Path) -> None:
    """Raise `ConfigError` if this path exists and is neither a run directory nor an empty one."""
    if path.exists() and (not path.is_dir() or (any(path.iterdir()) and not (path / "lock").exists())):
        raise ConfigError(f"{path} exists and is not a run directory: name a run directory, or a new one")


@contextmanager
def locked(path: Path) -> Iterator[RunDirectory]:
    """Create the run directory if needed and lock it; `StoreError` while another process holds the lock."""
    try:
        refuse_other(path)
        path.mkdir(parents=True, exist_ok=True)
        handle = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    except OSError as error:
        raise StoreError(f"cannot use {path} as a run directory: {error}") from None
    try:
        _lock(handle, path)
        yield RunDirectory(path)
    finally:
        os.close(handle)


def in_use(path: Path) -> bool:
    """Return whether a process holds the run directory: if none does, an unfinished run was stopped."""
    try:
        handle = os.open(path / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False


def _lock(handle: int, path: Path) -> None:
    until = time.monotonic() + LOOKED_AT
    try:
        while not _locks(handle):
            if time.monotonic() > until:
                raise StoreError(f"{path} is in use by another process: wait for it or stop it")
            time.sleep(LOOKED_AT / 10)
    except OSError as error:
        raise StoreError(f"{path} cannot be locked: {error}; use a local disk") from None


def _locks(handle: int) -> bool:
    """Lock the file unless another process does; return whether it is locked now."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
