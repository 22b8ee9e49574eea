import asyncio
import ctypes
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from contained import GRID, descendants, examine
from hostile import HOSTILE
from shared import run_all, shared

import soar
from benchmarks.programs import read_programs
from soar.errors import SandboxError
from soar.execution import confirm, open_sandbox
from soar.types import Execution, Failure

HERE = Path(__file__).parent


def others() -> list[str]:
    """Return other Pythons here that have NumPy and SciPy; SOAR_TEST_PYTHONS names more, colon-separated."""
    named = os.environ.get("SOAR_TEST_PYTHONS", "").split(":")
    found = [shutil.which(name) for name in (*named, "python3.11", "python3.12", "python3.13") if name]
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    probe = "import numpy, scipy, sys; print('%d.%d' % sys.version_info[:2])"
    usable = {}
    for python in filter(None, found):
        said = subprocess.run([python, "-c", probe], capture_output=True, text=True).stdout.strip()
        if said and said != here and said >= "3.11":
            usable.setdefault(said, python)
    return list(usable.values())


def examine_as(python: str, **options) -> dict:
    """Run the hostile suite in a Python process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(Path(soar.__file__).parents[1]), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [python, str(HERE / "contained.py")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd="/", **options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_every_hostile_program_is_contained_and_good_ones_beside_it_are_not_touched():
    assert len(HOSTILE) >= 70
    complaints, hello = examine(cpu_seconds=0.3)
    assert complaints == []
    assert hello["open"] == []


@pytest.mark.slow
def test_every_hostile_program_is_contained_in_other_versions_of_python():
    pythons = others()
    if not pythons:
        pytest.skip("no other Python with NumPy and SciPy here (SOAR_TEST_PYTHONS can name some)")
    users = [None, become_nobody] if os.getuid() == 0 else [None]
    for python, user in product(pythons, users):
        found = examine_as(python, preexec_fn=user)
        assert found["complaints"] == [], found["python"]


@pytest.mark.slow
@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user; the other tests ran as one")
def test_every_hostile_program_is_contained_when_an_unprivileged_user_runs_them():
    found = examine_as(sys.executable, preexec_fn=become_nobody)
    assert found["uid"] == found["hello"]["uid"] == 65534
    assert found["complaints"] == []


def become_nobody() -> None:
    """Become an unprivileged user who may still read what the tests are made of, wherever root keeps it."""
    libc = ctypes.CDLL(None, use_errno=True)
    dac_read_search, keep_capabilities, ambient, raise_it = 2, 8, 47, 2
    libc.prctl(keep_capabilities, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
    only = 1 << dac_read_search
    libc.capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)(only, only, only, 0, 0, 0))
    libc.prctl(ambient, raise_it, dac_read_search, 0, 0)


def failure_of(execution: Execution, place: int = 0) -> Failure:
    output = execution.outputs[place]
    assert isinstance(output, Failure), output
    return output


def test_failures_name_type_line_source_and_stage():
    raised, loading, invalid, missing = run_all(
        [
            "def transform(grid):\n    x = 1\n    return x / 0",
            "x = 1\ny = x.z\ndef transform(grid): return grid",
            "def transform(grid):\n    return [[1, 2], [3, 1.5]]",
            "x = 1",
        ]
    )
    assert failure_of(raised) == Failure("ZeroDivisionError", "division by zero", 3, "return x / 0", "run")
    assert failure_of(loading) == Failure("AttributeError", "'int' object has no attribute 'z'", 2, "y = x.z", "load")
    assert (failure_of(invalid).type, failure_of(invalid).stage) == ("InvalidOutput", "result")
    assert "[1][1] is the float 1.5" in failure_of(invalid).message
    assert (failure_of(missing).type, failure_of(missing).stage) == ("NameError", "load")


def test_a_timeout_names_the_line_also_inside_c():
    python, c, regular = run_all(
        [
            "def transform(grid):\n    x = 0\n    while True:\n        x += 1",
            "def transform(grid):\n    x = 1\n    return list(map(len, iter(list, 1)))",
            "import re\ndef transform(grid):\n    return re.match('(a+)+$', 'a' * 40 + 'b')",
        ],
        cpu_seconds=0.3,
    )
    assert {failure_of(execution).type for execution in (python, c, regular)} == {"Timeout"}
    assert failure_of(python).line in (3, 4)
    assert failure_of(c).line == failure_of(regular).line == 3


def test_each_input_gets_its_own_verdict():
    code = "def transform(grid):\n    return [[1]] if len(grid) == 1 else grid[9]"
    outputs = run_all([code], inputs=(((5,),), GRID, ((6,),)))[0].outputs
    assert outputs[0] == outputs[2] == ((1,),)
    assert isinstance(outputs[1], Failure)


def test_floats_and_booleans_are_no_cells():
    """Trap 6: equal to a wanted integer, they still are none."""
    values = ("[[1, True]]", "[[1.0]]", "np.ones((2, 2))", "np.ones((2, 2), bool)", "[[np.float64(1)]]", "[np.ones(2)]")
    found = run_all([f"import numpy as np\ndef transform(grid):\n    return {value}" for value in values])
    assert [failure_of(execution).type for execution in found] == ["InvalidOutput"] * len(values)


def test_arrays_and_numpy_integers_are_grids():
    codes = [
        "import numpy as np\ndef transform(g): return np.array(g)",
        "import numpy as np\ndef transform(g): return [list(r) for r in np.array(g, dtype=np.uint8)]",
        "import numpy as np\ndef transform(g): return [r for r in np.array(g)]",
        "def transform(g): return tuple(tuple(r) for r in g)",
    ]
    assert all(execution.outputs == (GRID,) for execution in run_all(codes))


def test_a_program_may_recurse_as_deep_as_anywhere_else():
    codes = [f"def f(n):\n    return n and f(n - 1)\ndef transform(g): return [[f({n})]]" for n in (985, 1010)]
    deep, deeper = run_all(codes)
    assert deep.outputs == (((0,),),)
    assert failure_of(deeper).type == "RecursionError"


def test_endless_recursion_is_told_by_the_call_that_leads_round_again():
    code = """
import numpy as np
def turn(grid):
    return np.roll(len(grid), 1)
def len(grid):
    grid = turn(grid)
    return grid
def transform(grid):
    return [[len(grid)]]
"""
    own = "def transform(grid):\n    raise RecursionError('mine')"
    found = [failure_of(each) for each in run_all([code, code, own])]
    assert [(each.type, each.message, each.line) for each in found] == [
        *[("RecursionError", "maximum recursion depth exceeded", 4)] * 2,
        ("RecursionError", "mine", 2),
    ]
    assert found[0].source_line == "return np.roll(len(grid), 1)"


def test_a_program_cannot_change_the_input_of_the_next():
    code = "def transform(grid):\n    grid[0][0] = 9\n    return grid"
    found = run_all([code, "def transform(grid):\n    return grid"], inputs=(GRID, GRID))
    assert found[1].outputs == (GRID, GRID)


def test_other_values_than_grids_pass_as_json():
    code = "def transform(x):\n    return [x, {'a': 1}][len(x) > 2]"
    found = run_all([code], inputs=("ab", "abc"), codec="json")[0].outputs
    assert found[0] == "ab"
    assert isinstance(found[1], Failure)


def test_random_programs_are_repeatable_and_programs_that_are_not_are_marked():
    async def work():
        sandbox = shared()
        seeded = "import random\ndef transform(g): return [[random.randrange(10) for _ in range(20)]]"
        clock = "import time\ndef transform(g): return [[int(d) for d in str(time.perf_counter_ns())[-8:]]]"
        for code, differs in ((seeded, False), (clock, True)):
            first = await sandbox.run(code, (GRID,))
            assert (await confirm(sandbox, code, (GRID,), first)).nondeterministic == differs

    asyncio.run(work())


@pytest.mark.slow
def test_zygotes_and_workers_killed_at_random_lose_no_verdict_and_bring_none_twice():
    count = 5000
    codes = [
        f"def transform(grid):\n    return [[{i % 10}, {i // 10 % 10}, {i // 100 % 10}, {i // 1000}]]"
        for i in range(count)
    ]
    chance = random.Random(0)
    before = descendants()

    wanted = [((i % 10, i // 10 % 10, i // 100 % 10, i // 1000),) for i in range(count)]

    async def kill_a_hundred() -> None:
        kills = 0
        while kills < 100:
            await asyncio.sleep(chance.random())
            victims = sorted(descendants() - before)
            try:
                os.kill(chance.choice(victims), signal.SIGKILL)
                kills += 1
            except (ProcessLookupError, IndexError):
                pass

    async def work() -> None:
        async with open_sandbox(codec="arc") as sandbox:
            killing = asyncio.create_task(kill_a_hundred())
            while not killing.done():
                found = await asyncio.gather(*(sandbox.run(code, (GRID,)) for code in codes))
                assert [execution.outputs[0] for execution in found] == wanted
            await killing

    asyncio.run(work())
    assert descendants() == before


@pytest.mark.slow
def test_no_text_makes_the_supervisor_raise():
    chance = np.random.default_rng(0)
    seeds = [program for program, _ in HOSTILE.values() if "while" not in program and "**" not in program]
    seeds += [program["code"] for program in read_programs() if program["light"]]
    programs = []
    for _ in range(10_000):
        text = bytearray(seeds[chance.integers(len(seeds))].encode("utf-8", "replace"))
        for _ in range(chance.integers(1, 6)):
            if text:
                text[chance.integers(len(text))] = chance.integers(256)
        programs.append(bytes(text[: chance.integers(len(text) + 1)]).decode("utf-8", "replace"))
    found = run_all(programs, cpu_seconds=0.3)
    assert len(found) == 10_000
    assert all(len(execution.outputs) == 1 for execution in found)


def test_the_sandbox_refuses_to_start_where_it_cannot_confine(monkeypatch, tmp_path):
    """A zygote whose canary could open a socket stands for a kernel without seccomp."""
    script = tmp_path / "zygote.py"
    hello = '{"landlock": 0, "seccomp": false, "reason": "no seccomp", "open": ["open a socket"]}'
    script.write_text(f"import os, struct\nd = b'{hello}'\nos.write(0, b'h' + struct.pack('<I', len(d)) + d)\n")
    monkeypatch.setattr("soar.execution.local.link.SCRIPT", script)
    with pytest.raises(SandboxError, match=r"open a socket.*no seccomp.*weak"):
        open_sandbox(workers=1, codec="arc").__enter__()


def test_what_a_library_prints_past_python_goes_nowhere_and_is_no_error():
    code = "import os\ndef transform(grid):\n    return [[os.write(n, b'seen') for n in (1, 2)]]\n"
    (found,) = run_all([code])
    assert found.outputs == (((4, 4),),)
