import asyncio
import random
import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest
from contained import GRID
from hostile import LEAKS, WITNESS
from shared import run_all

from benchmarks.programs import read_programs
from soar.execution import open_sandbox
from soar.execution.local import guard, triage

SHUNNED = triage.shunned_names(triage.shared_modules(), triage.all_classes())


def look(code: str) -> triage.Traits:
    return triage.traits_of(compile(code, "<program>", "exec"), SHUNNED)


def test_a_program_leaves_no_trace_in_the_next_of_its_batch():
    witness = WITNESS.replace("FIRST", repr(random.Random(0).random()))
    assert not look(witness).alone
    programs = [program for name, leak in LEAKS.items() for program in (leak, f"{witness}# {name!r}")]
    found = run_all(programs)
    for name, leaked, seen in zip(LEAKS, found[::2], found[1::2], strict=True):
        assert seen.outputs == (((1,) * 16,),), name
        assert leaked.outputs == (GRID,), name


def test_common_programs_share_a_worker():
    assert not any(look(program["code"]).alone for program in read_programs())


@pytest.mark.parametrize(
    "code",
    [
        "import os",
        "import scipy.signal",
        "from numpy import ctypeslib",
        "getattr(1, 'real')",
        "f.__globals__",
        "match f:\n    case object(__globals__=g): pass",
        "import random\nrandom._os",
        "np.lib.format.os",
        "def f():\n    def g():\n        return [eval for _ in '1']",
        "class A:\n    def __del__(self): pass",
        "\n".join(f"a{i} = b{i}" for i in range(300)) + "\nimport os",
        "import copy\ncopy._deepcopy_dispatch[1] = 2",
    ],
)
def test_a_program_that_reaches_for_shared_state_runs_alone(code):
    assert look(code).alone


def test_the_same_code_is_known_wherever_it_stands_and_other_code_is_not():
    def same(one, other):
        return triage.same(*(compile(code, "<program>", "exec") for code in (one, other)))

    assert same("def f(x):\n    return [x, 1]", "# a comment\n\ndef f( x ):\n    return [ x,1 ]")
    for one, other in (("x = 1", "x = True"), ("x = 1.0", "x = 1"), ("x = 0.0", "x = -0.0"), ("x = 1", "y = 1")):
        assert not same(one, other)
    assert not same("x = (1, 2)", "x = (True, 2)")
    assert not same("def f(x, y=1): return x", "def f(x, *, y=1): return x")
    assert not same("def f(x):\n    return [x, 1]", "def f(x):\n    return [x, 2]")


SHARED = (
    "np.pad",
    "np.random.Generator.integers",
    "np.vectorize.__call__",
    "statistics.mean",
    "statistics.NormalDist.pdf",
    "collections.UserDict.get",
)


@pytest.mark.parametrize("after", ["pass", "del THING.memo"])
def test_an_attribute_that_a_program_leaves_on_what_all_share_is_not_there_for_the_next(after):
    head = "import collections, statistics\nimport numpy as np\ndef transform(grid):\n    "
    leaving, found = (
        head + "THING.memo = [7]\n    return grid",
        f"{head}x = THING.memo[0]\n    {after}\n    return [[x]]",
    )
    programs = [code.replace("THING", thing) + f"  # {after}, {thing}" for thing in SHARED for code in (leaving, found)]
    assert not any(look(code).alone for code in programs)
    said = run_all(programs)
    assert [each.outputs for each in said[::2]] == [(GRID,)] * len(SHARED)
    assert [each.outputs[0].type for each in said[1::2]] == ["AttributeError"] * len(SHARED)


def test_equal_programs_get_equal_verdicts_of_their_own():
    programs = [f"# {i}\ndef transform(grid):\n    return [[len(grid), {i % 2}]]" for i in range(20)]
    assert [e.outputs for e in run_all(programs)] == [(((2, i % 2),),) for i in range(20)]


def test_a_guard_sees_replaced_values_though_they_claim_to_be_equal(monkeypatch):
    class Equal:
        def __eq__(self, other):
            return True

        __hash__ = object.__hash__

    module = ModuleType("watched")
    module.__dict__["value"] = np.array([1])
    watch = guard.Guard([module], [], [])
    assert watch.clean()
    monkeypatch.setitem(vars(module), "value", Equal())
    assert not watch.clean()


def test_random_numbers_without_a_seed_and_sets_of_text_are_the_same_in_every_zygote():
    programs = [
        "import numpy as np\ndef transform(g): return np.random.default_rng().integers(0, 10, (1, 20))",
        "import numpy as np\ndef transform(g): return np.random.randint(0, 10, (1, 20))",
        "def transform(g): return [[int(x) for x in set('0123456789')]]",
    ]

    async def work(sandbox):
        async with sandbox:
            return [(await sandbox.run(code, (GRID,))).outputs for code in programs]

    first, second = (asyncio.run(work(open_sandbox(workers=1, codec="arc"))) for _ in range(2))
    assert first == second


def bare(code: str, inputs) -> tuple:
    namespace: dict = {"__name__": "program"}
    exec(compile(code, "<program>", "exec"), namespace)
    grids = [namespace["transform"]([list(row) for row in grid]) for grid in inputs]
    return tuple(tuple(tuple(map(int, row)) for row in grid) for grid in grids)


@pytest.mark.slow
def test_verdicts_equal_bare_execution_in_any_order_in_batches_and_alone():
    programs = read_programs()
    assert len(programs) >= 300
    wanted = {program["name"]: bare(program["code"], program["inputs"]) for program in programs}

    async def mismatches(seed: int, alone: bool) -> list[str]:
        order = random.Random(seed).sample(programs, len(programs))
        async with open_sandbox(codec="arc") as sandbox:
            found = await asyncio.gather(*(sandbox.run(p["code"], p["inputs"], alone=alone) for p in order))
        return [p["name"] for p, e in zip(order, found, strict=True) if e.outputs != wanted[p["name"]]]

    for seed in range(5):
        for alone in (False, True):
            assert asyncio.run(mismatches(seed, alone)) == []


def test_importing_the_zygote_changes_nothing():
    code = """
import os, sys, soar.execution
def state(): return dict(os.environ), sys.stdout, sys.getrecursionlimit(), sys.modules["soar.execution"], list(sys.path)
before = state()
import soar.execution.local.zygote
assert state() == before
"""
    subprocess.run([sys.executable, "-c", code], check=True)
