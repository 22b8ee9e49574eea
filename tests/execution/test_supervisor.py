import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from contained import GOOD, GRID, MIRRORED, descendants
from shared import run_all as run_everywhere
from shared import shared

import soar
from soar.errors import ConfigError, SandboxError
from soar.execution import open_sandbox, run_all
from soar.execution.local import supervisor
from soar.execution.local.supervisor import ConfinedSandbox
from soar.types import Failure


def test_one_sandbox_serves_several_event_loops_one_after_the_other():
    with soar.open_sandbox(workers=1, codec="arc") as sandbox:
        for number in range(3):
            assert asyncio.run(sandbox.run(f"{GOOD}# {number}", (GRID,))).outputs == (MIRRORED,)
        pids = sandbox.zygote_pids()
        assert len(pids) == 1
    assert not descendants().intersection(pids)


def test_a_loop_that_ends_in_the_middle_of_a_program_leaves_a_sandbox_that_works():
    async def hurried(sandbox):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(sandbox.run("def transform(g):\n    while True: pass", (GRID,)), 0.2)

    with open_sandbox(workers=1, cpu_seconds=0.5, codec="arc") as sandbox:
        asyncio.run(hurried(sandbox))
        assert asyncio.run(sandbox.run(GOOD, (GRID,))).outputs == (MIRRORED,)


def test_inputs_after_one_that_ends_the_process_are_still_tried_but_not_for_ever():
    crash = "import ctypes\ndef transform(g):\n    if g[0][0] in (1, 3): ctypes.string_at(0)\n    return g"
    inputs = (((0,),), ((1,),), ((2,),), ((3,),), ((4,),))
    outputs = run_everywhere([crash], inputs)[0].outputs
    assert outputs[0] == ((0,),)
    assert outputs[2] == ((2,),)
    assert [type(output) is Failure and output.type for output in outputs] == [False, "Crash", False, "Crash", "Crash"]
    assert isinstance(outputs[4], Failure)
    assert "not run" in outputs[4].message


def test_a_program_that_is_slow_on_one_input_is_judged_on_the_others():
    slow = "def transform(g):\n    while g[0][0] == 1: pass\n    return g"
    outputs = run_everywhere([slow], (((0,),), ((1,),), ((2,),)), cpu_seconds=0.3)[0].outputs
    assert (outputs[0], outputs[2]) == (((0,),), ((2,),))
    assert isinstance(outputs[1], Failure)
    assert (outputs[1].type, outputs[1].line) == ("Timeout", 2)


def test_no_more_programs_wait_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr(supervisor, "MAX_WAITING", 20)

    async def work():
        most = 0
        async with open_sandbox(workers=1, codec="arc") as sandbox:
            tasks = [asyncio.create_task(sandbox.run(f"{GOOD}# {i}", (GRID,))) for i in range(200)]
            while not all(task.done() for task in tasks):
                most = max(most, len(sandbox._waiting))
                await asyncio.sleep(0)
            assert all(task.result().outputs == (MIRRORED,) for task in tasks)
        return most

    assert 1 <= asyncio.run(work()) <= 20


def test_programs_in_bulk_come_back_in_their_order():
    async def work():
        programs = ((f"def transform(g): return [[{i % 10}, {i // 10}]]", (GRID,)) for i in range(99))
        return [execution.outputs[0] async for execution in run_all(shared(), programs, in_flight=10)]

    assert asyncio.run(work()) == [((i % 10, i // 10),) for i in range(99)]


def test_an_unknown_level_or_kind_of_result_is_refused():
    with pytest.raises(ConfigError, match="full, weak"):
        open_sandbox(level="none")
    with pytest.raises(ConfigError, match="arc, json"):
        open_sandbox(codec="pickle")  # type: ignore[arg-type]


def test_another_system_is_refused_with_an_explanation(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(SandboxError, match="Linux"):
        open_sandbox(workers=1, codec="arc").__enter__()


def test_without_landlock_a_program_can_open_nothing_and_still_run():
    sandbox = ConfinedSandbox(
        workers=1,
        cpu_seconds=1.0,
        memory_mb=512,
        level="full",
        codec="arc",
        signature="transform(grid)",
        landlock=False,
    )
    reading = "import string\ndef transform(g): return [[len(open(string.__file__).read()) % 10]]"
    usual = "import numpy as np\nfrom scipy import ndimage\ndef transform(g): return ndimage.label(np.array(g))[0]"
    with sandbox:
        assert sandbox.achieved == "full without files"
        refused, labelled = (asyncio.run(sandbox.run(code, (GRID,))).outputs[0] for code in (reading, usual))
    assert isinstance(refused, Failure)
    assert refused.type == "PermissionError"
    assert labelled == ((1, 1), (1, 1))


def test_a_parent_with_threads_is_no_hindrance():
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        with open_sandbox(workers=1, codec="arc") as sandbox:
            assert asyncio.run(sandbox.run(GOOD, (GRID,))).outputs == (MIRRORED,)
            assert sandbox.achieved == "full"
    finally:
        stop.set()
        thread.join()


def test_no_process_outlives_a_supervisor_that_is_killed():
    code = (
        "import asyncio, sys\nfrom soar.execution import open_sandbox\n"
        "sandbox = open_sandbox(workers=1, cpu_seconds=60).__enter__()\nprint(*sandbox.zygote_pids(), flush=True)\n"
        "asyncio.run(sandbox.run('def transform(g):\\n    while True: pass', [((1,),)]))\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        zygote = int(process.stdout.readline())
        worker: set[int] = set()
        while not worker:
            time.sleep(0.02)
            worker = descendants(zygote)
        process.kill()
    for pid in (zygote, *worker):
        for _ in range(500):
            if not alive(pid):
                break
            time.sleep(0.02)
        assert not alive(pid)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_a_zygote_that_is_killed_between_programs_is_replaced():
    with open_sandbox(workers=1, codec="arc") as sandbox:
        assert asyncio.run(sandbox.run(GOOD, (GRID,))).outputs == (MIRRORED,)
        os.kill(sandbox.zygote_pids()[0], signal.SIGKILL)
        assert asyncio.run(sandbox.run(f"{GOOD}# again", (GRID,))).outputs == (MIRRORED,)


def test_values_of_other_kinds_pass_as_json_of_exact_types():
    cases = {
        "return x": ("añb", 3, (1, (2.5, None, True))),
        "return {'a': 1}": None,
        "return float('inf')": None,
        "return [1, object()]": None,
        "return '\\ud800'": None,
        "x = []\n    x.append(x)\n    return x": None,
        "return 'y' * 2 ** 21": None,
        "return 10 ** 5000": None,
    }
    for body, wanted in cases.items():
        outputs = run_everywhere([f"def transform(x):\n    {body}"], wanted or ("x",), codec="json")[0].outputs
        assert outputs == wanted if wanted else isinstance(outputs[0], Failure), body


def test_inputs_that_are_changed_in_place_are_new_inputs():
    grid: list = [[1, 2]]

    async def work():
        first = await shared().run(GOOD, (grid,))  # type: ignore[arg-type]
        grid[0][0] = 5
        return first, await shared().run(GOOD, (grid,))  # type: ignore[arg-type]

    first, second = asyncio.run(work())
    assert first.outputs == (((2, 1),),)
    assert second.outputs == (((2, 5),),)


def test_programs_that_come_one_by_one_share_a_worker(monkeypatch):
    sizes = []
    serve = ConfinedSandbox._serve

    async def counted(self, zygote, batch):
        sizes.append(len(batch.jobs))
        return await serve(self, zygote, batch)

    monkeypatch.setattr(ConfinedSandbox, "_serve", counted)

    async def work(sandbox):
        running = []
        for number in range(8):
            running.append(asyncio.create_task(sandbox.run(f"{GOOD}# {number}", (GRID,))))
            for _ in range(5):
                await asyncio.sleep(0)
        return await asyncio.gather(*running)

    with open_sandbox(workers=1, codec="arc") as sandbox:
        sandbox.hello["fork_seconds"] = 0.02
        assert [each.outputs for each in asyncio.run(work(sandbox))] == [(MIRRORED,)] * 8
    assert sizes == [8]


def test_inputs_after_a_failure_are_not_run_where_that_is_asked_for():
    inputs = (0, 1, 2, 3)
    fails = "def transform(x):\n    return 6 // (x - 1)"
    dies = "import os\ndef transform(x):\n    return x if x < 1 else os.abort()"
    fine = "def transform(x):\n    return x + 1"
    with open_sandbox(workers=1, stop_at_failure=True) as sandbox:
        found = asyncio.run(all_of(sandbox, [fails, dies, fine, fails + "\n"], inputs))
    assert [[type(each) is int and each for each in one.outputs] for one in found] == [
        [-6, False, False, False],
        [0, False, False, False],
        [1, 2, 3, 4],
        [-6, False, False, False],
    ]
    failures = [each for each in found[0].outputs + found[1].outputs if isinstance(each, Failure)]
    assert [each.type for each in failures[:4]] == ["ZeroDivisionError", "NotRun", "NotRun", "Crash"]
    assert "not run: an earlier input ended the process" in failures[4].message
    with open_sandbox(workers=1) as sandbox:
        assert asyncio.run(all_of(sandbox, [fails], inputs))[0].outputs[2:] == (6, 3)


async def all_of(sandbox, programs, inputs):
    return [execution async for execution in run_all(sandbox, [(code, inputs) for code in programs])]


def test_no_more_programs_in_bulk_are_read_ahead_than_may_be_in_flight():
    found, ahead = [], []

    class Sandbox:
        def submit(self, code, inputs):
            answer = asyncio.get_running_loop().create_future()
            answer.get_loop().call_soon(answer.set_result, code)
            ahead.append(int(code) + 1 - len(found))
            return answer

    async def work():
        async for each in run_all(Sandbox(), ((str(i), ()) for i in range(9)), in_flight=3):  # type: ignore[arg-type]
            found.append(each)  # noqa: PERF401 — one by one: `submit` counts them

    asyncio.run(work())
    assert found == [str(i) for i in range(9)]
    assert max(ahead) == 3
