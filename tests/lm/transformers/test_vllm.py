"""vLLM with a real model: `make test-engine` makes its environment and runs this.

``SOAR_ENGINE_PYTHON`` names the interpreter that has it."""

import asyncio
import json
import os
import shutil
import subprocess
import time
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
from killing import kill_in
from test_served_smollm2 import ASK, RANK, folder, gguf, learnt, lerped
from test_smollm2 import SOAR, soar

from soar.archive.reader import ArchiveReader
from soar.errors import ConfigError, StoreError
from soar.lm.openai import Backend as Lending
from soar.lm.openai.learnt import COLD_ANSWERS
from soar.lm.served import Backend
from soar.shipped import configuration
from soar.types import Completion, Sampling

pytestmark = pytest.mark.engine
__all__ = ["folder", "gguf", "learnt"]
ARGUMENTS = ("--max-model-len", "1024", "--max-num-seqs", "32", "--dtype", "float32", "--enforce-eager")


@pytest.fixture(autouse=True)
def little_memory(monkeypatch):
    if "SOAR_ENGINE_PYTHON" not in os.environ:
        pytest.fail("SOAR_ENGINE_PYTHON is not set: make test-engine")
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")


def served(theta0: Path, kept: Path, *more: str) -> Backend:
    python = os.environ["SOAR_ENGINE_PYTHON"]
    backend = Backend(Backend.Settings(model=str(theta0), engine_python=python, engine_args=(*ARGUMENTS, *more)))
    backend.keep_in(kept)
    return backend


async def ask(lm, count: int = 3) -> list[Completion]:
    return [each async for _, each in lm.generate(ASK, range(count), Sampling(1.0, 0.05, 40))]


def use(lm, count: int = 3) -> tuple[list[Completion], dict[str, int]]:
    async def run():
        try:
            return await ask(lm, count), lm.requests()
        finally:
            await lm.close()

    return asyncio.run(run())


def test_sixteen_completions_are_one_request_and_no_field_is_refused(folder, tmp_path):
    found, requests = use(served(folder, tmp_path / "engines").open(None), 16)
    assert requests == {"issued": 1 + COLD_ANSWERS, "retried": 0, "failed": 0}
    assert len({each.text for each in found}) > 8
    (known,) = json.loads((tmp_path / "engines/endpoints.json").read_text()).values()
    assert not known["dropped"]
    assert known["differ"]
    assert known["heeds_temperature"]


def test_merged_weights_are_recognised_and_others_refused(folder, learnt, tmp_path, caplog):
    backend = served(folder, tmp_path / "engines")
    found, _ = use(backend.open(learnt))
    assert any("def transform(xs):" in each.text for each in found)
    assert not [record for record in caplog.records if "log-probabilities" in record.message]
    with pytest.raises(StoreError, match="the finetuning is not applied"):
        use(backend.open(lerped(folder, learnt, tmp_path / "2", 0.0)))


def test_an_adapter_is_lent_at_run_time_and_scaled_right(folder, learnt, tmp_path, monkeypatch):
    monkeypatch.setenv("VLLM_ALLOW_RUNTIME_LORA_UPDATING", "True")
    lora = ("--enable-lora", "--max-lora-rank", str(RANK))

    async def run():
        server = served(folder, tmp_path / "engines", *lora).open(None)
        try:
            await ask(server)
            lending = Lending(Lending.Settings(model="soar", base_url=f"{server.address}/v1", weights=str(folder)))
            lending.check_learning()
            lending.keep_in(tmp_path / "lent")
            lm = lending.open(learnt)
            try:
                found = await ask(lm)
            finally:
                await lm.close()
            wrong = shutil.copytree(learnt, tmp_path / "wrong")
            config = wrong / "adapter" / "adapter_config.json"
            config.write_text(json.dumps({**json.loads(config.read_text()), "use_rslora": False}))
            lm = lending.open(wrong)
            try:
                with pytest.raises(StoreError, match="alpha / rank"):
                    await ask(lm)
            finally:
                await lm.close()
            return found
        finally:
            await server.close()

    assert any("def transform(xs):" in each.text for each in asyncio.run(run()))


def test_a_server_that_may_not_load_adapters_is_refused(folder, tmp_path):
    async def run():
        server = served(folder, tmp_path / "engines").open(None)
        try:
            await ask(server)
            lending = Lending(Lending.Settings(model="soar", base_url=f"{server.address}/v1", weights=str(folder)))
            with pytest.raises(ConfigError, match="VLLM_ALLOW_RUNTIME_LORA_UPDATING"):
                lending.check_learning()
        finally:
            await server.close()

    asyncio.run(run())


def rows(run: Path) -> set[tuple]:
    """Return what is stored of completions."""
    if not (run / "archive.sqlite").exists():
        return set()
    with closing(ArchiveReader(run / "archive.sqlite")) as reader:
        return set(reader.query("SELECT iteration, task_id, phase, step, place, text FROM completions"))


def still_there(mark: str) -> list[psutil.Process]:
    """Return the processes that were begun, by whomever, with a mark in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            pass
    return found


def has_come_to(run: Path, iteration: int, phase: str) -> bool:
    """Return whether a run has come as far as a phase of an iteration."""
    if phase == "finetune":
        return (run / "adapters" / f"{iteration}.work").exists()
    if phase == "start":
        return any(file.stem.isdecimal() == bool(iteration) for file in (run / "engines").glob("*.log"))
    return any(row[0] == iteration for row in rows(run))


PHASES = [(0, "start"), (0, "sample"), (1, "finetune"), (1, "start"), (1, "sample")]
MARK = "SOAR_TEST_MARK"


def test_the_loop_runs_with_vllm_and_killed_in_each_phase_loses_no_row_and_leaves_no_engine(folder, tmp_path):
    run, config = tmp_path / "run", tmp_path / "config.toml"
    shipped = configuration(Path("smollm2")).read_text()
    config.write_text(shipped.partition("[[stages]]                       # test-time training")[0])
    changes = {
        "lm.model": folder,
        "lm.backend": "served",
        "lm.engine": "vllm",
        "lm.engine_python": os.environ["SOAR_ENGINE_PYTHON"],
        "lm.engine_args": json.dumps(ARGUMENTS),
        "search.samples": 12,
        "search.samples_per_request": 4,
        "search.refinements": 0,
        "search.tasks_in_flight": 1,
    }
    settings = [part for name, value in changes.items() for part in ("--set", f"{name}={value}")]
    command = [*SOAR, "run", str(config), str(run), *settings]
    environment = {**os.environ, MARK: str(tmp_path)}
    stored: list[set[tuple]] = []

    def after() -> None:
        until = time.monotonic() + 30
        while still_there(str(tmp_path)):
            assert time.monotonic() < until, still_there(str(tmp_path))
            time.sleep(0.2)
        stored.append(rows(run))

    killed = kill_in(PHASES, command, environment, lambda phase: has_come_to(run, *phase), after)
    assert killed == PHASES
    subprocess.run(command, env=environment, check=True)
    assert not still_there(str(tmp_path))
    for earlier, later in pairwise([*stored, rows(run)]):
        assert earlier <= later
    assert 0 < len(stored[1]) < 36
    searches = json.loads(soar("report", run, "--json"))["iterations"]
    assert [(search["completions"], search["finished"]) for search in searches] == [(36, True), (36, True)]
    assert not list((run / "engines").glob("*.pid"))
