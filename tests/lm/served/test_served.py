"""An engine that the run owns: started, waited for, watched, ended, with whatever it began; and nobody else."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from soar.errors import ConfigError, EndpointError, StoreError
from soar.lm.openai.learnt import COLD_ANSWERS
from soar.lm.served import Backend, keeper
from soar.lm.served.process import end_left_over
from soar.types import Message, Sampling

STUB = Path(__file__).with_name("stub_engine.py")
ASK = (Message("user", "task"),)
SAMPLING = Sampling(1.0, 0.05, 64)


@pytest.fixture
def weights(tmp_path):
    folder = tmp_path / "theta"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder


def stub(*options: object) -> str:
    return " ".join([sys.executable, str(STUB), "{weights}", "{port}", *map(str, options)])


def opened(weights, kept, *options, **settings):
    backend = Backend(Backend.Settings(model=str(weights), engine=stub(*options), **settings))
    backend.keep_in(kept)
    return backend.open(None)


def left(path: Path) -> list[psutil.Process]:
    """Return the processes whose command line names a path; those of this test's engines do."""
    found = []
    for process in psutil.process_iter():
        try:
            named = any(str(path) in part for part in process.cmdline())
            if named and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            pass
    return found


def none_left(path: Path, seconds: float = 0.0) -> bool:
    until = time.monotonic() + seconds
    while left(path):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


async def ask(lm, seeds=(1, 2, 3)) -> list[str]:
    found = {place: completion.text async for place, completion in lm.generate(ASK, seeds, SAMPLING)}
    return [found[place] for place in range(len(seeds))]


def use(lm, action=ask):
    async def run():
        try:
            return await action(lm)
        finally:
            await lm.close()

    return asyncio.run(run())


def test_an_engine_is_started_waited_for_asked_and_ended(weights, tmp_path):
    kept = tmp_path / "engines"
    lm = opened(weights, kept, "slow=0.5")
    assert none_left(weights), "it starts when it is asked"
    texts = use(lm)
    assert len(set(texts)) == 3
    assert none_left(weights)
    assert f"stub: serving {weights}" in (kept / "theta.log").read_text()
    assert not list(kept.glob("*.pid"))
    assert use(opened(weights, kept)) == texts
    asyncio.run(opened(weights, tmp_path / "unasked").close())
    assert not (tmp_path / "unasked").exists()


def test_what_was_found_out_is_kept_and_minded_at_the_next_start(weights, tmp_path):
    async def often(lm):
        for _ in range(4):
            await ask(lm)
        return lm.requests()["issued"]

    kept = tmp_path / "engines"
    asked = 3 * 3 + 3 + COLD_ANSWERS
    assert use(opened(weights, kept), often) == asked, "n is ignored three times before it is given up"
    found = json.loads((kept / "endpoints.json").read_text())
    assert [each["dropped"] for each in found.values()] == [["n"]]
    assert use(opened(weights, kept), often) == 4 * 3


def test_what_one_engine_does_not_take_the_other_is_not_asked_for(weights, tmp_path):
    async def often(lm):
        for _ in range(3):
            await ask(lm)

    backend = Backend(Backend.Settings(model=str(weights), engine=stub()))
    backend.keep_in(tmp_path / "engines")
    first, second = backend.open(None), backend.open(None)
    use(first, often)
    use(second)
    assert second.requests()["issued"] == 3


@pytest.mark.slow
def test_what_an_engine_began_ends_with_it_wherever_it_is(weights, tmp_path):
    lm = opened(weights, tmp_path / "engines", "child", "deaf")

    async def look(lm):
        await ask(lm)
        return len(left(weights))

    keeper_engine_and_child = 3
    assert use(lm, look) == keeper_engine_and_child
    assert none_left(weights)


NESTED = """
import subprocess, sys, time
if int(sys.argv[2]):
    subprocess.Popen([*sys.orig_argv[:-1], str(int(sys.argv[2]) - 1)], start_new_session=True)
time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives a process the orphans of another")
def test_what_the_processes_of_an_engine_began_in_sessions_of_their_own_ends_too(tmp_path):
    engine = [sys.executable, "-c", NESTED, str(tmp_path / "engine"), "3"]
    command = [sys.executable, "-I", keeper.__file__, str(tmp_path / "record.pid"), *engine]
    watchman = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    try:
        until = time.monotonic() + 30
        while len(left(tmp_path / "engine")) < 5 and time.monotonic() < until:
            time.sleep(0.05)
        assert len(left(tmp_path / "engine")) == 5
        watchman.communicate(b"")
        assert none_left(tmp_path / "engine")
    finally:
        watchman.kill()
        for process in left(tmp_path / "engine"):
            process.kill()


@pytest.mark.slow
def test_an_engine_that_dies_is_started_again_and_nothing_is_lost(weights, tmp_path, caplog):
    deaths = tmp_path / "deaths"
    deaths.write_text("1\n2\n")
    kept = tmp_path / "engines"
    texts = use(opened(weights, kept, f"die={deaths}"))
    assert deaths.read_text() == ""
    assert texts == use(opened(weights, kept))
    assert sum("restarting it" in record.message for record in caplog.records) == 2
    assert none_left(weights)


@pytest.mark.slow
def test_an_engine_that_keeps_dying_is_given_up_with_its_last_words(weights, tmp_path):
    deaths = tmp_path / "deaths"
    deaths.write_text("1\n" * 9)
    with pytest.raises(EndpointError, match=r"(?s)died 4 times in a row.*Exit code 3.*stub: serving"):
        use(opened(weights, tmp_path / "engines", f"die={deaths}"))
    assert none_left(weights)


def test_an_engine_that_does_not_come_up_is_said_with_its_last_words(weights, tmp_path):
    with pytest.raises(EndpointError, match=r"(?s)ended before it answered.*stub: no such model"):
        use(opened(weights, tmp_path / "engines", "broken"))
    with pytest.raises(EndpointError, match=r"lm.start_seconds = 0.3"):
        use(opened(weights, tmp_path / "engines", "slow=30", start_seconds=0.3))
    lm = Backend(Backend.Settings(model=str(weights), engine="/no/such/engine {weights} {port}")).open(None)
    with pytest.raises(EndpointError, match="No such file"):
        use(lm)
    assert none_left(weights)


HOLD = """
import asyncio, sys
from pathlib import Path
from test_served import ask, opened
async def hold():
    lm = opened(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
    await ask(lm)
    print("up", flush=True)
    await asyncio.sleep(600)
asyncio.run(hold())
"""


def holding(weights: Path, kept: Path, *options: str) -> "subprocess.Popen[str]":
    """Return a process that holds an engine open."""
    environment = {**os.environ, "PYTHONPATH": str(STUB.parent)}
    command = [sys.executable, "-c", HOLD, str(weights), str(kept), *options]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert child.stdout is not None
    assert child.stdout.readline() == "up\n"
    return child


@pytest.mark.slow
def test_a_run_that_is_killed_leaves_no_engine(weights, tmp_path):
    child = holding(weights, tmp_path / "engines", "child")
    child.kill()
    child.communicate()
    assert none_left(weights, keeper.GRACE)
    assert not list((tmp_path / "engines").glob("*.pid"))


@pytest.mark.slow
def test_an_engine_of_an_earlier_run_is_ended_and_no_other_process_is(weights, tmp_path):
    kept = tmp_path / "engines"
    child = holding(weights, kept, "deaf")
    record = json.loads((kept / "theta.pid").read_text())
    watchman, engine = (each["pid"] for each in record["processes"])
    os.kill(watchman, signal.SIGSTOP)  # it cannot end the engine
    child.kill()
    child.communicate()
    assert psutil.pid_exists(engine)
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    try:
        other = [{"pid": bystander.pid, "started": record["processes"][0]["started"]}, {"pid": 2**30, "started": "x"}]
        (kept / "other.pid").write_text(json.dumps({"processes": other, "command": ["its number was an engine's"]}))
        (kept / "half.pid").write_text('{"proc')
        nobody = [{"pid": bystander.pid, "started": None}]
        (kept / "untold.pid").write_text(json.dumps({"processes": nobody, "command": []}))
        ended = end_left_over(kept)
        assert [str(weights) in command for command in ended] == [True]
        assert none_left(weights, 1.0)
        assert bystander.poll() is None
        assert not list(kept.glob("*.pid"))
    finally:
        bystander.kill()
        bystander.wait()


def test_a_process_is_told_from_a_later_one_by_its_start():
    mine = keeper.started(os.getpid())
    assert mine is not None
    assert mine == keeper.started(os.getpid())
    assert keeper.started_by_ps(os.getpid())
    gone = subprocess.Popen(["sleep", "0.1"])
    assert keeper.started(gone.pid) not in (None, mine)
    gone.wait()
    assert keeper.started(gone.pid) is None


@pytest.mark.parametrize("engine", ["vlm", "serve {weights}", "serve {port}", "serve '{weights} {port}"])
def test_what_is_no_engine_is_refused(engine, weights):
    with pytest.raises(ConfigError, match=r"lm\.engine"):
        Backend(Backend.Settings(model=str(weights), engine=engine))


def test_an_interpreter_that_is_not_there_is_refused(weights):
    with pytest.raises(ConfigError, match="soar engine install"):
        Backend(Backend.Settings(model=str(weights), engine_python="/no/such/python"))


NOTED = {
    "probes": [{"prompt": [{"role": "user", "content": "p"}], "ids": [1, 2, 3, 4, 5], "masked": 3}],
    "learnt": [-1.0],
    "base": [-6.0],
    "unscaled": [-3.0],
    "sure": {"learnt": ["def f"], "base": ["I can"], "unscaled": ["I can"]},
}


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"logprobs": [None, -9, -9, -0.5, -0.55, -7], "answer": "I can"}, None),
        ({"logprobs": [None, -9, -9, -3.0, -3.0, -7], "answer": "def f"}, "the finetuning is not applied"),
        ({"logprobs": [None, -9, -9, -1.5, -1.5, -7], "answer": "def f"}, r"alpha / rank"),
        ({"logprobs": [None, -9, -9, -9.0, -9.0, -7], "answer": "def f"}, "other weights"),
        ({"answer": " def foo(): pass"}, None),
        ({"answer": "I cannot"}, r"not applied, or their adapter"),
        ({"answer": "Hm"}, "other weights"),
        ({"answer": "def f", "prompt_tokens": 4}, "chat template"),
    ],
)
def test_what_is_served_must_be_what_was_learnt(said, reason, weights, tmp_path):
    (weights / "probe.json").write_text(json.dumps(NOTED))
    answers = tmp_path / "said.json"
    answers.write_text(json.dumps({"prompt_tokens": 3, **said}))
    lm = opened(weights, tmp_path / "engines", f"probes={answers}")
    if reason is None:
        assert len(use(lm)) == 3
    else:
        with pytest.raises(StoreError, match=reason):
            use(lm)
    assert none_left(weights)
