"""What a run was started with: written once, compared with what it resumes with, changed only where things have moved,
and in what else a run remembers when it resumes.

Knows JSON values and their differences; does not know which settings may change.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w

from soar.errors import ConfigError, DataError, StoreError
from soar.files import write_atomically
from soar.run import SEAL, RunDirectory, hash_of
from soar.types import canonical_json


def freeze(directory: RunDirectory, config: Mapping[str, Any], manifest: Mapping[str, Any]) -> None:
    """Write what a new run is started with. The run has begun once its manifest is there."""
    text = tomli_w.dumps(config)
    write_atomically(directory.path / "config.toml", text)
    write_atomically(directory.path / "manifest.json", _manifest_text(manifest, text))


def move(
    directory: RunDirectory, now: Mapping[str, Any], names: Collection[str], places: Mapping[str, str] | None = None
) -> None:
    """Give settings of the frozen configuration, those in `names`, the values that they have `now`; `places` (None: as
    they were) say where settings with relative paths point."""
    config, before = directory.config(), (directory.path / "config.toml").read_text(encoding="utf-8")
    for name in names:
        *path, key = name.split(".")
        section, given = _inside(config, path), _inside(now, path)
        section.pop(key, None)
        section.update({key: given[key]} if key in given else {})
    after = tomli_w.dumps(config)
    # The manifest comes first and names both, so that a kill between the two files leaves a whole run.
    manifest = directory.manifest() if places is None else with_places(directory.manifest(), places)
    write_atomically(directory.path / "manifest.json", _manifest_text(manifest, after, before))
    write_atomically(directory.path / "config.toml", after)


def with_places(manifest: Mapping[str, Any], places: Mapping[str, str]) -> dict[str, Any]:
    """Return a manifest that says where settings with relative paths point."""
    rest = {key: value for key, value in manifest.items() if key != "places"}
    return {**rest, "places": dict(places)} if places else rest


def _inside(config: Any, path: Sequence[str]) -> Any:
    """Return the section at a path of names and places."""
    for name in path:
        config = config[int(name)] if isinstance(config, list) else config[name]
    return config


def _manifest_text(manifest: Mapping[str, Any], *configs: str) -> str:
    """Return a manifest with the seal on it and on the configurations that may stand beside it."""
    named = [hash_of(config) for config in configs]
    seal = {"config.toml": named if len(named) > 1 else named[0], "manifest": hash_of(canonical_json(manifest))}
    return json.dumps({**manifest, SEAL: seal}, indent=1)


def compare(
    directory: RunDirectory,
    config: Mapping[str, Any],
    manifest: Mapping[str, Any],
    *,
    then: Mapping[str, Any] | None,
    free: Collection[str] = (),
) -> list[str]:
    """Refuse a configuration, model or task set that differs from what the run was started with; the error says how.

    `then` is the configuration that it was started with, None for a new run. Settings named in `free` may differ, and
    are returned with their old and new values; the manifest's ``versions`` may differ too.
    """
    if then is not None:
        differing = differences(then, config)
        kept = [line for line in differing if _is_free(line.split(" ")[0], free)]
        _refuse(ConfigError, directory.path, "configuration", [line for line in differing if line not in kept])
        found = differences(_identity(directory.manifest()), _identity(manifest))
        _refuse(DataError, directory.path, "tasks or model", found)
        return kept
    if directory.archive.exists():
        raise StoreError(
            f"{directory.path} has an archive but no manifest.json, which says what it was started with: restore it"
        )
    return []


def _is_free(setting: str, free: Collection[str]) -> bool:
    """Return whether a setting, or the list that it is a place of (``lm.engine_args.1``), is among those named."""
    return setting in free or setting.rpartition(".")[0] in free


def _identity(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a manifest no resumed run may change: a model is its weights, wherever they are, and tasks are
    their ids and one hash."""
    model = dict(manifest["model"])
    if "weights_sha256" in model:
        model.pop("model", None)
    tasks = {name: {key: entry.get(key) for key in ("hash", "ids")} for name, entry in manifest["tasks"].items()}
    rest = {key: value for key, value in manifest.items() if key not in ("versions", "places")}
    return {**rest, "model": model, "tasks": tasks}


def _refuse(error: type[ConfigError] | type[DataError], path: Path, what: str, found: list[str]) -> None:
    if found:
        more = f" and {len(found) - 8} more" if len(found) > 8 else ""
        listed = "; ".join(found[:8])
        raise error(
            f"{path} was started with a different {what}: {listed}{more}. Change it back, or start a new run directory"
        )


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
    # Its end stays, too: two long paths often differ only there.
    return text if len(text) <= 60 else f"{text[:27]}...{text[-30:]}"
