"""A real model behind a real engine, transformers' own server: search, learn, serve what was learnt, search with it;
and an engine that serves anything else is refused."""

import asyncio
import importlib.util
import json
import shutil
from pathlib import Path

import pytest
from test_smollm2 import folder, gguf, soar, write

from soar.errors import StoreError
from soar.files import MANIFEST
from soar.learning.trainers.settings import FinetuneSettings
from soar.lm.served import Backend
from soar.shipped import configuration
from soar.types import Completion, Message, Sampling

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("fastapi") is None, reason="pip install fastapi uvicorn"),
]
__all__ = ["folder", "gguf"]
RANK = 16
ASK = (Message("user", "Write transform(xs): every third item, each of them doubled."),)


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="module")
def learnt(folder, tmp_path_factory):
    """What SmolLM2 has learnt from eight lessons."""
    from soar.learning.trainers.trl import Trl

    out = tmp_path_factory.mktemp("learnt") / "1"
    settings = FinetuneSettings(
        rank=RANK, alpha=RANK, lr=1e-3, batch_size=2, accumulation=1, epochs=2.0, max_length=256
    )
    Trl(settings).finetune(write(out.with_name("lessons")), folder, out, 0, lambda _: None)
    return out


def asked(theta0: Path, weights: Path, kept: Path, count: int = 3) -> list[Completion]:
    """Serve weights and ask for completions."""
    backend = Backend(Backend.Settings(model=str(theta0), engine="transformers", engine_args=("--device", "cpu")))
    backend.keep_in(kept)

    async def run():
        lm = backend.open(weights)
        try:
            return [each async for _, each in lm.generate(ASK, range(count), Sampling(1.5, 0.02, 40))]
        finally:
            await lm.close()

    return asyncio.run(run())


def test_what_was_learnt_is_served_and_drawn_at_random(folder, learnt, tmp_path, caplog):
    noted = json.loads((learnt / "probe.json").read_text())["sure"]
    assert noted["learnt"] != noted["base"]
    found = asked(folder, learnt, tmp_path / "engines", 4)
    assert sum("def transform(xs):" in each.text for each in found) >= 3
    assert len({each.text for each in found}) > 1
    assert not [record for record in caplog.records if "do not tell" in record.message]
    assert [each.text for each in asked(folder, learnt, tmp_path / "engines", 4)] == [each.text for each in found]


def lerped(folder: Path, learnt: Path, out: Path, share: float) -> Path:
    """Return a copy of what was learnt whose weights lie between the base's and its own."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(learnt, out)
    base, own = (load_file(each / "model.safetensors") for each in (folder, learnt))
    between = {name: (base[name] + share * (own[name] - base[name])).contiguous() for name in own}
    save_file(between, out / "model.safetensors", {"format": "pt"})
    return out


@pytest.mark.parametrize(
    ("share", "reason"),
    [(0.0, "the finetuning is not applied"), (RANK**-0.5, "alpha / rank")],
    ids=["the base's", "an adapter's wrong scale"],
)
def test_an_engine_that_serves_other_weights_is_refused(share, reason, folder, learnt, tmp_path):
    with pytest.raises(StoreError, match=reason):
        asked(folder, lerped(folder, learnt, tmp_path / "2", share), tmp_path / "engines")


def test_an_engine_that_tells_chats_by_another_template_is_refused(folder, learnt, tmp_path):
    other = shutil.copytree(learnt, tmp_path / "3")
    template = other / "chat_template.jinja"
    template.write_text(template.read_text().replace("assistant\n", "assistant:\n"))
    assert template.read_text() != (learnt / "chat_template.jinja").read_text()
    with pytest.raises(StoreError, match="chat template"):
        asked(folder, other, tmp_path / "engines")


def test_the_loop_runs_with_an_engine_of_its_own(folder, tmp_path):
    run, config = tmp_path / "run", tmp_path / "config.toml"
    shipped = configuration(Path("smollm2")).read_text()
    train = shipped.partition("[[stages]]                       # test-time training")[0]
    assert train != shipped
    config.write_text(train)
    changes = {"lm.model": folder, "lm.backend": "served", "lm.engine": "transformers"}
    fewer = {"search.samples": 5, "search.refinements": 0}
    soar(
        "run",
        config,
        run,
        *[part for name, value in (changes | fewer).items() for part in ("--set", f"{name}={value}")],
    )
    searches = json.loads(soar("report", run, "--json"))["iterations"]
    assert [(s["stage"], s["iteration"], s["finished"]) for s in searches] == [("train", 0, True), ("train", 1, True)]
    for search in searches:
        assert search["completions"] == 3 * 5 == sum(search["status"].values())
        assert 0 < search["programs"] <= search["completions"]
        assert 0 < search["tokens"]["completion"] <= 112 * search["completions"]
    assert json.loads((run / "adapters" / "1" / MANIFEST).read_text())["examples"] > 0
    engines = run / "engines"
    assert {file.name for file in engines.glob("*.log")} == {f"{folder.name}.log", "1.log"}
    assert not list(engines.glob("*.pid"))
