"""A server that somebody else runs is lent what was learnt, asked for it by a new name, and left as it was."""

import asyncio
import json
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from loopback import as_json, choices, error, serving
from rich.console import Console

from soar import session
from soar.config import validated
from soar.errors import ConfigError, EndpointError, StoreError
from soar.files import publish
from soar.learning.trainers.scripted import Scripted
from soar.lm.openai import Backend
from soar.lm.openai.adapters import LoadedAdapters
from soar.lm.openai.client import COLD_TOKENS
from soar.method import open_backend, open_domain, open_method
from soar.types import Message, Sampling


class AdapterServer:
    """Speaks vLLM's two requests: what it has loaded, all it was asked, and how it answers probes."""

    def __init__(self, probabilities=(), sees=True):
        self.loaded, self.log, self.probabilities = {}, [], list(probabilities)
        self.server: Any = None
        self.sees = sees

    def __call__(self, body, number):
        path = self.server.paths[number].removeprefix("/v1")
        if body.get("max_tokens") == COLD_TOKENS:  # whether temperature acts is another test's
            return choices("cold")
        self.log.append((path, body.get("lora_name") or body.get("model")))
        if path == "/load_lora_adapter":
            if "lora_name" not in body:
                return error(422, "lora_name: field required")
            if body["lora_name"] in self.loaded:
                return error(400, f"The lora adapter '{body['lora_name']}' has already been loaded.")
            if not (self.sees and Path(body["lora_path"]).is_dir()):
                return error(404, "No adapter found")
            self.loaded[body["lora_name"]] = body["lora_path"]
            return as_json("Success: LoRA adapter added successfully.")
        if path == "/unload_lora_adapter":
            found = self.loaded.pop(body["lora_name"], None)
            return as_json("Success.") if found else error(404, "no such adapter")
        if body["model"] not in {"base-model", *self.loaded}:
            return error(404, f"The model {body['model']} does not exist.")
        if path == "/completions":
            return as_json({"choices": [{"text": "", "logprobs": {"token_logprobs": self.probabilities}}]})
        return choices(f"{body['model']} {body.get('seed')}", prompt=3)


@pytest.fixture
def theta0(tmp_path):
    folder = tmp_path / "theta"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder


def published(folder: Path, content: str, **files: object) -> Path:
    aside = folder.with_name("aside")
    (aside / "adapter").mkdir(parents=True)
    (aside / "adapter" / "weights").write_text(content)
    for name, value in files.items():
        (aside / f"{name}.json").write_text(json.dumps(value))
    publish(aside, folder, {})
    return folder


def backend(url, theta0, kept=None):
    found = Backend(Backend.Settings(model="base-model", base_url=url, weights=str(theta0)))
    if kept:
        found.check_learning()
        found.keep_in(kept)
    return found


async def ask(lm):
    try:
        prompt = (Message("user", "x"),)
        return [each.text async for _, each in lm.generate(prompt, (5,), Sampling(1.0, 0.05, 8))]
    finally:
        await lm.close()


def test_an_adapter_is_lent_asked_for_by_name_and_taken_back(theta0, tmp_path):
    weights = published(tmp_path / "1", "one")
    behave = AdapterServer()
    with serving(behave) as behave.server:
        found = backend(behave.server.url, theta0, tmp_path / "kept")
        (text,) = asyncio.run(ask(found.open(weights)))
        assert asyncio.run(ask(found.open(None))) == ["base-model 5"]
    name = text.split()[0]
    assert name.startswith("soar-1-")
    log = [("/load_lora_adapter", None), ("/load_lora_adapter", name), ("/chat/completions", name)]
    assert behave.log == [*log, ("/unload_lora_adapter", name), ("/chat/completions", "base-model")]
    assert not behave.loaded


def test_what_a_killed_session_lent_is_taken_back_and_the_same_is_used_again(theta0, tmp_path, monkeypatch):
    async def nothing(lent, name, asked_for):
        return None

    first, second = published(tmp_path / "1", "one"), published(tmp_path / "2", "two")
    behave, kept = AdapterServer(), tmp_path / "kept"
    with serving(behave) as behave.server:
        behave.loaded["somebody's"] = "x"
        with monkeypatch.context() as killed:
            killed.setattr(LoadedAdapters, "leave", nothing)
            asyncio.run(ask(backend(behave.server.url, theta0, kept).open(first)))
            (lent,) = set(behave.loaded) - {"somebody's"}
            assert asyncio.run(ask(backend(behave.server.url, theta0, kept).open(first))) == [f"{lent} 5"]
            asyncio.run(ask(backend(behave.server.url, theta0, kept).open(second)))
        assert lent not in behave.loaded
        assert len(behave.loaded) == 2
        shutil.rmtree(second)
        asyncio.run(ask(backend(behave.server.url, theta0, kept).open(published(tmp_path / "2", "other"))))
    assert set(behave.loaded) == {"somebody's"}
    assert len({name for path, name in behave.log if path == "/load_lora_adapter" and name}) == 3


def test_what_one_of_two_models_uses_is_not_taken_back_for_the_other(theta0, tmp_path, monkeypatch):
    async def nothing(lent, name, asked_for):
        return None

    async def both(found, *orders):
        models = [found.open(each) for each in weights]
        try:
            prompt = (Message("user", "x"),)
            for which in orders:
                assert [each async for each in models[which].generate(prompt, (5,), Sampling(1.0, 0.05, 8))]
        finally:
            for each in models:
                await each.close()

    weights, behave, kept = (
        [published(tmp_path / "1", "one"), published(tmp_path / "2", "two")],
        AdapterServer(),
        tmp_path,
    )
    with serving(behave) as behave.server:
        with monkeypatch.context() as killed:
            killed.setattr(LoadedAdapters, "leave", nothing)
            asyncio.run(both(backend(behave.server.url, theta0, kept), 0, 1))
        (record,) = json.loads((kept / "adapters.json").read_text()).values()
        assert sorted(record) == sorted(behave.loaded)
        assert len(record) == 2
        asyncio.run(both(backend(behave.server.url, theta0, kept), 1, 0, 1))
        assert not behave.loaded
        found = backend(behave.server.url, theta0, kept)
        asyncio.run(both(found, 0))
        asyncio.run(both(found, 1, 0))
    assert not behave.loaded
    assert list(json.loads((kept / "adapters.json").read_text()).values()) == [[]]


def test_an_adapter_stays_on_record_while_its_server_cannot_be_reached(theta0, tmp_path, caplog):
    async def go_away(lm, server):
        try:
            assert [each async for each in lm.generate((Message("user", "x"),), (5,), Sampling(1.0, 0.05, 8))]
            server.close()
        finally:
            await lm.close()

    weights, behave, kept = published(tmp_path / "1", "one"), AdapterServer(), tmp_path
    with ExitStack() as server:
        behave.server = server.enter_context(serving(behave))
        asyncio.run(go_away(backend(behave.server.url, theta0, kept).open(weights), server))
    (record,) = json.loads((kept / "adapters.json").read_text()).values()
    assert record == list(behave.loaded)
    assert "to unload the adapter" in caplog.text


@pytest.mark.parametrize("status", [404, 405])
def test_a_server_that_loads_no_adapters_is_refused_before_the_start_with_the_alternatives(status, theta0, tmp_path):
    with serving(lambda *_: error(status, "Not Found")) as server, pytest.raises(ConfigError) as caught:
        backend(server.url, theta0, tmp_path / "kept")
    for words in ("VLLM_ALLOW_RUNTIME_LORA_UPDATING", 'lm.backend = "served"', "iterations = 1"):
        assert words in str(caught.value)
    with serving(lambda *_: error(401, "who?")) as server, pytest.raises(EndpointError, match="who"):
        backend(server.url, theta0, tmp_path / "kept")


def test_an_adapter_that_the_server_does_not_see_is_said(theta0, tmp_path):
    weights = published(tmp_path / "1", "one")
    behave = AdapterServer(sees=False)
    with serving(behave) as behave.server:
        lm = backend(behave.server.url, theta0).open(weights)
        with pytest.raises(EndpointError, match="must see this folder"):
            asyncio.run(ask(lm))


def test_weights_without_an_adapter_are_refused(theta0, tmp_path):
    with pytest.raises(StoreError, match="no published weights"):
        backend("http://127.0.0.1:1/v1", theta0).open(tmp_path / "9")


PROBE = {"prompt": [{"role": "user", "content": "p"}], "ids": [1, 2, 3, 4, 5], "masked": 3}
NOTED = {"probes": [PROBE], "learnt": [-1.0], "base": [-6.0], "unscaled": [-3.0]}


@pytest.mark.parametrize(
    ("found", "reason"), [(-0.5, None), (-3.0, "the finetuning is not applied"), (-1.5, "alpha / rank")]
)
def test_an_adapter_that_the_server_applies_wrongly_is_refused(found, reason, theta0, tmp_path):
    weights = published(tmp_path / "1", "one", probe=NOTED)
    behave = AdapterServer([None, -9, -9, found, found, -7])
    with serving(behave) as behave.server:
        lm = backend(behave.server.url, theta0).open(weights)
        if reason is None:
            assert len(asyncio.run(ask(lm))) == 1
        else:
            with pytest.raises(StoreError, match=reason):
                asyncio.run(ask(lm))
    assert not behave.loaded


STAGES = [{"name": "train", "iterations": 2}, {"name": "target", "iterations": 2, "base": "train"}]


def test_what_no_step_learns_needs_no_adapter(theta0):
    url = "http://127.0.0.1:1/v1"
    raw = {"lm": {"backend": "openai", "model": "m", "base_url": url, "weights": str(theta0)}}
    config = validated({**raw, "finetune": {"trainer": "trl", "method": "full"}})
    assert open_method(config, open_domain("arc"), open_backend(config)).steps


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"finetune": {"trainer": "scripted", "method": "full"}}, 'method = "full"'),
        ({"stages": STAGES}, "stage 'target' learns from the base 'train'"),
        ({"lm": {"weights": None}}, "lm.weights"),
    ],
)
def test_what_an_adapter_cannot_say_is_refused_before_the_start(change, words, theta0):
    raw = {
        "lm": {"backend": "openai", "model": "m", "base_url": "http://127.0.0.1:1/v1", "weights": str(theta0)},
        "finetune": {"trainer": "scripted"},
        "stages": [{"name": "train", "iterations": 2}],
    }
    raw = {name: {**raw[name], **change.get(name, {})} if name != "stages" else raw[name] for name in raw}
    raw["stages"] = change.get("stages", raw["stages"])
    config = validated(raw)
    with pytest.raises(ConfigError, match=words):
        open_method(config, open_domain("arc"), open_backend(config))


class AdapterTrainer(Scripted):
    """Publishes weights that are an adapter alone."""

    def finetune(self, rows, base, out, seed, on_log):
        published(out, rows.read_text())


def configured(tmp_path, theta0, url, iterations=2):
    """Return the configuration of searches of one task, with learning between them, against a server."""
    grids = [[[number, 1], [2, 3]] for number in range(4)]
    pairs = [{"input": grid, "output": grid[::-1]} for grid in grids]
    (tmp_path / "tasks").mkdir(exist_ok=True)
    (tmp_path / "tasks" / "turn.json").write_text(json.dumps({"train": pairs[:3], "test": pairs[3:]}))
    raw = {
        "tasks": {"source": str(tmp_path / "tasks")},
        "lm": {"backend": "openai", "model": "base-model", "base_url": url, "weights": str(theta0)},
        "search": {"samples": 4, "refinements": 0, "samples_per_request": 1},
        "finetune": {"trainer": "test_openai_adapters:AdapterTrainer"},
        "stages": [{"name": "train", "iterations": iterations}],
    }
    return validated(raw)


def begun(tmp_path, theta0, url, iterations=2) -> Path:
    asyncio.run(session.run(configured(tmp_path, theta0, url, iterations), tmp_path / "run", Console(quiet=True)))
    return tmp_path / "run"


def test_a_run_learns_and_searches_with_what_a_server_was_lent(theta0, tmp_path):
    programs = ("return grid[::-1]", "return grid", "return grid[0]")

    class Programs(AdapterServer):
        def __call__(self, body, number):
            found = super().__call__(body, number)
            if "messages" not in body or body["max_tokens"] == COLD_TOKENS:
                return found
            return choices(f"```python\ndef transform(grid):\n    {programs[body['seed'] % 3]}\n```")

    behave = Programs()
    with serving(behave) as behave.server:
        run = begun(tmp_path, theta0, behave.server.url)
    asked = [name for path, name in behave.log if path == "/chat/completions"]
    assert asked[:4] == ["base-model"] * 4
    assert len(set(asked[4:])) == 1
    assert asked[4].startswith("soar-1-")
    assert not behave.loaded
    assert {path for path, _ in behave.log} == {"/load_lora_adapter", "/unload_lora_adapter", "/chat/completions"}
    assert (run / "answers" / "1.json").is_file()


def test_a_refused_server_leaves_no_run_behind(theta0, tmp_path):
    with serving(lambda *_: error(404, "Not Found")) as server:
        with pytest.raises(ConfigError, match="iterations = 1"):
            begun(tmp_path, theta0, server.url)
        with pytest.raises(ConfigError, match="iterations = 1"):
            asyncio.run(session.try_parts(configured(tmp_path, theta0, server.url), None))
    assert not (tmp_path / "run" / "config.toml").exists()


def test_a_server_that_loads_no_adapters_will_do_for_a_run_that_learns_nothing(theta0, tmp_path):
    def behave(body, number):
        return (
            choices("```python\ndef transform(grid):\n    return grid\n```") if "messages" in body else error(404, "no")
        )

    with serving(behave) as server:
        run = begun(tmp_path, theta0, server.url, iterations=1)
    assert set(server.paths) == {"/v1/chat/completions"}
    assert (run / "answers" / "0.json").is_file()
