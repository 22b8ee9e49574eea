"""Which changes a glance and a look see, and what they call them: each is made in a process of its own."""

import json
import subprocess
import sys

import pytest

HEAD = """
import abc, collections, copy, decimal, functools, gc, json, os, random, re, sys, textwrap, threading, types, warnings
import numpy as np
import numpy.random
from soar.execution.local import guard, triage, wire

class Slotted:
    __slots__ = ("slot",)
    def __init__(self): self.slot = object()

class Thing:
    shared = [1]
    def __init__(self): self.own = object()
    @classmethod
    def by_class(cls, x=1): return x
    @staticmethod
    def by_itself(x=1): return x
    def method(self, x=1): return x

def enclosing():
    held = [1]
    number = 1
    def inner(): return held, number
    return inner

def plain(x=1): return x
plain.kept = [1]

@functools.lru_cache
def cached(x): return x

for kind in (Slotted, Thing): kind.__module__ = "mine"
for each in (plain, Thing.method, Thing.by_itself, Thing.by_class.__func__): each.__module__ = "mine"
inner = enclosing()
inner.__module__ = "mine.part"
for name in ("mine", "ours", "farther"):
    module = sys.modules[name] = types.ModuleType(name)
    vars(module).update(table={"k": [object()]}, row=[{1}], array=np.zeros(4), value=object(), plain=plain, inner=inner)
mine, ours, farther = (sys.modules[name] for name in ("mine", "ours", "farther"))
vars(mine).update(Thing=Thing, thing=Thing(), slotted=Slotted(), cell=types.CellType(1), _cache={}, _private=[1])
def far(x=1): return x
far.__module__ = "farther"
farther.far = far
class Far: __module__ = "farther"
farther.thing = Far()
farther.thing.own = 1
sys.modules["program"] = types.ModuleType("program")
names = dict(globals())

def main():
    state = guard.Guard([mine, np, collections, copy, random], [ours, wire], triage.all_classes())
    out = {"before": [state.clean(), state.spotless(), state.traces()]}
    for name, code in json.loads(sys.argv[1]).items():
        reading, writing = os.pipe()
        if os.fork() == 0:
            exec(code, names)
            found = [state.clean(), state.spotless(), state.traces()]
            os.write(writing, json.dumps(found).encode())
            os._exit(0)
        os.wait()
        os.close(writing)
        out[name] = json.loads(os.read(reading, 1 << 16))
        os.close(reading)
    cached(1), cached(2), re.compile("some (pattern)")
    before = cached.cache_info().currsize, len(re._cache) > 0
    state.forget()
    out["forget"] = [before, [cached.cache_info().currsize, len(re._cache)]]
    guard.seed()
    first = [random.random(), float(np.random.rand())]
    guard.seed()
    out["seed"] = [first, [random.random(), float(np.random.rand())], random.Random(0).random() == first[0],
        float(np.random.RandomState(0).rand()) == first[1]]
    guard.make_entropy_fixed()
    out["entropy"] = [[int(np.random.default_rng().integers(1 << 40)) for _ in range(2)], int(
        np.random.bit_generator.randbits(8)) if hasattr(np.random.bit_generator, "randbits") else 0xED]
    json.dump(out, sys.stdout)

main()
"""
GLANCE = {
    "a name of a shared module": ("mine.value = 1", "mine"),
    "a new name": ("mine.new = 1", "mine"),
    "a name of NumPy": ("np.fliplr = 1", "numpy"),
    "a name of ours": ("ours.value = 1", "ours"),
    "a name that judges": ("wire.VALUE = 9", "soar.execution.local.wire"),
    "a builtin": ("import builtins; builtins.len = 1", "builtins"),
    "a name of the system": ("sys.new = 1", "sys"),
    "a name of the warnings": ("warnings.new = 1", "warnings"),
    "a name of a class": ("Thing.new = 1", "mine.Thing"),
    "a class of a value": ("Slotted.new = 1", "mine.Slotted"),
    "a method": ("collections.Counter.most_common = 1", "collections.Counter"),
    "an object's attribute": ("mine.thing.own = 1", "mine.thing"),
    "an object's new attribute": ("mine.thing.new = 1", "mine.thing"),
    "a function's attribute": ("plain.memo = 1", "mine.plain"),
    "a function's changed attribute": ("plain.kept = [1]", "mine.plain"),
    "a function's attribute, taken away": ("del plain.kept", "mine.plain"),
    "a method's attribute": ("Thing.method.memo = 1", "mine.Thing.method"),
    "a special method's attribute": ("Thing.__init__.memo = 1", "mine.Thing.__init__"),
    "a static method's attribute": ("Thing.by_itself.memo = 1", "mine.Thing.by_itself"),
    "an inherited method's attribute": ("collections.UserDict.items.memo = 1", "collections.abc.Mapping.items"),
    "an attribute of a function of NumPy's": ("np.pad.memo = 1", "numpy.pad"),
}
LOOK = {
    "a name of another module": ("textwrap.dedent = 1", "textwrap"),
    "a method of another class": ("textwrap.TextWrapper.wrap = 1", "textwrap.TextWrapper"),
    "a name of one that is far": ("farther.value = 1", "farther"),
    "a table": ("mine.table['new'] = 1", "mine.table"),
    "a list in a table": ("mine.table['k'].append(1)", "mine.table"),
    "a set in a list": ("mine.row[0].add(2)", "mine.row"),
    "an array": ("mine.array[2] = 1", "mine.array"),
    "a private list": ("mine._private.append(1)", "mine._private"),
    "a class's list": ("Thing.shared.append(1)", "mine.Thing.shared"),
    "a slot": ("mine.slotted.slot = 1", "mine.slotted"),
    "a cell": ("mine.cell.cell_contents = 2", "mine.cell"),
    "a function's defaults": ("plain.__defaults__ = (2,)", "mine.plain"),
    "a function's code": ("plain.__code__ = far.__code__.replace(co_name='new')", "mine.plain"),
    "a method's defaults": ("Thing.method.__defaults__ = (2,)", "mine.Thing.method"),
    "a class method's defaults": ("Thing.by_class.__func__.__defaults__ = (2,)", "mine.Thing.by_class"),
    "a static method's defaults": ("Thing.by_itself.__defaults__ = (2,)", "mine.Thing.by_itself"),
    "a function's list": ("plain.kept.append(2)", "mine.plain"),
    "an attribute of a method of a class in C": (
        "np.random.Generator.integers.memo = 1",
        "numpy.random._generator.Generator.integers",
    ),
    "a function's cell": ("inner.__closure__[1].cell_contents = 2", "mine.inner"),
    "another module of a name": ("sys.modules['textwrap'] = 1", "sys.modules"),
    "a table of the standard library": ("copy._copy_dispatch[list] = 1", "copy._copy_dispatch"),
    "the recursion limit": ("sys.setrecursionlimit(5000)", "settings"),
    "the length of integers": ("sys.set_int_max_str_digits(9999)", "settings"),
    "a trace function": ("sys.settrace(lambda *a: None)", "settings"),
    "a profile function": ("sys.setprofile(lambda *a: None)", "settings"),
    "no collections": ("gc.disable()", "settings"),
    "filters of warnings": ("warnings.simplefilter('error')", "settings"),
    "NumPy's errors": ("np.seterr(all='raise')", "settings"),
    "who hears of NumPy's errors": ("np.seterrcall(lambda *a: None)", "settings"),
    "how NumPy prints": ("np.set_printoptions(threshold=1)", "settings"),
    "the precision of decimals": ("decimal.getcontext().prec = 1", "settings"),
    "the rounding of decimals": ("decimal.getcontext().rounding = decimal.ROUND_UP", "settings"),
    "a class that is registered": ("collections.abc.Sized.register(Thing)", "settings"),
}
NEITHER = {
    "nothing": "pass",
    "what records the process": "threading.new = 1",
    "a cache that may grow": "mine._cache['new'] = 1",
    "the program": "sys.modules['program'] = types.ModuleType('program')",
    "a table of one that is far": "farther.thing.own = 2",
    "a function of one that is far": "far.__defaults__ = (2,)",
    "what was put back": "before = mine.value; mine.value = 1; mine.value = before",
}
CODES = {**{name: code for name, (code, _) in {**GLANCE, **LOOK}.items()}, **NEITHER}
CODES["a module more"] = "sys.modules['more'] = types.ModuleType('more')"


@pytest.fixture(scope="module")
def seen():
    """Return, for each change, whether a glance and a look found nothing, and what they found."""
    done = subprocess.run([sys.executable, "-c", HEAD, json.dumps(CODES)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_nothing_has_changed_at_first(seen):
    assert seen["before"] == [True, True, []]


@pytest.mark.parametrize("name", GLANCE)
def test_a_glance_sees_what_programs_reach_by_name(seen, name):
    clean, spotless, traces = seen[name]
    assert (clean, spotless) == (False, False)
    assert GLANCE[name][1] in traces


def test_a_glance_sees_a_module_more(seen):
    assert seen["a module more"][:2] == [False, False]


@pytest.mark.parametrize("name", LOOK)
def test_a_look_sees_what_programs_do_not_reach_by_name(seen, name):
    clean, spotless, traces = seen[name]
    assert not spotless
    assert LOOK[name][1] in traces
    assert clean


@pytest.mark.parametrize("name", NEITHER)
def test_what_may_change_is_not_seen(seen, name):
    assert seen[name] == [True, True, []]


def test_traces_are_named_each_once_and_in_order(seen):
    for name in (*GLANCE, *LOOK):
        traces = seen[name][2]
        assert traces == sorted({*traces}), name


def test_caches_that_may_hold_another_program_s_keys_are_emptied(seen):
    assert seen["forget"] == [[2, True], [0, 0]]


def test_random_numbers_begin_anew_with_the_seed_0(seen):
    first, second, *of_seed_0 = seen["seed"]
    assert first == second
    assert of_seed_0 == [True, True]


def test_unseeded_generators_begin_with_the_same_entropy(seen):
    (one, other), bits = seen["entropy"]
    assert one == other
    assert bits == 0x5EED % 256
