"""Which programs may share a worker: what each reason for running alone catches, and what it leaves in company."""

import dis
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from soar.execution.local import triage

SHUNNED = triage.shunned_names(triage.shared_modules(), triage.all_classes())
STORES = "x.{} = 1", "del x.{}"


def traits(code: str) -> triage.Traits:
    return triage.traits_of(compile(code, "<program>", "exec"), SHUNNED)


def alone(code: str) -> bool:
    return traits(code).alone


@pytest.mark.parametrize("name", ["__abs__", "__doc__", "__enter__", "__iter__", "__or__", "__slots__", "__xor__"])
def test_a_special_name_that_leads_nowhere_is_no_reason_to_run_alone(name):
    assert not alone(f"x.{name}")


@pytest.mark.parametrize(
    "name",
    "__import__ Formatter getattr get_field Template vars convert_field mro tb_next ABCMeta ForwardRef get_type_hints"
    " make_dataclass runtime_checkable singledispatch wraps WRAPPER_ASSIGNMENTS WRAPPER_UPDATES cache_clear"
    " set_printoptions setbufsize set_numeric_ops LowLevelCallable DataSource bmat ctypeslib resize savetxt savez"
    " tofile sys threading eval exec open globals format_map purge".split(),
)
def test_a_name_that_leads_to_shared_state_is_shunned(name):
    assert name in triage.SHUNNED
    assert alone(f"x.{name}")
    assert alone(f"def f(x):\n    return [lambda: x.{name}]")


def test_a_module_that_is_not_shared_runs_alone_and_one_that_is_does_not():
    shared = (
        "__future__ abc array bisect cmath collections collections.abc copy dataclasses fractions functools heapq"
        " itertools math numbers numpy numpy.lib.stride_tricks numpy.linalg numpy.random numpy.typing operator random"
        " re scipy scipy.ndimage statistics string typing"
    )
    assert set(shared.split()) == triage.IMPORTABLE
    assert not any(alone(f"import {name}") for name in shared.split() if name != "__future__")
    assert all(alone(f"import {name}") for name in ("json", "os.path", "scipy.linalg", "numpy.ma", "typing_extensions"))
    assert alone("def f():\n    import json")
    assert [module.__name__ for module in triage.shared_modules()] == sorted({*shared.split()} & {*sys.modules})


@pytest.mark.parametrize("how", STORES)
def test_an_attribute_that_an_array_shares_is_not_set_and_others_are(how):
    for name in ("aligned", "dtype", "strides", "writeable", "__class__", "__len"):
        assert alone(how.format(name)), name
    for name in ("shape", "value", "_own", "x__"):
        assert not alone(how.format(name)), name


def test_what_is_only_read_may_have_any_harmless_name():
    assert not alone("x.dtype; x.strides; y.value = 1")


def test_a_dataclass_may_not_have_its_field_renamed():
    assert alone("import dataclasses\nx.name = 1")
    assert alone("from dataclasses import fields\nx.name = 1")
    assert not alone("x.name = 1")
    assert not alone("import dataclasses\nx.value = 1\ny = x.name")


def test_special_methods_outside_a_short_list_run_alone():
    for name in ("__del__", "__eq__", "__reduce__", "__getattr__", "__set_name__", "__init_subclass__", "__x__"):
        assert alone(f"class A:\n    def {name}(self): pass"), name
    for name in sorted(triage.PRIVATE_ALLOWED - {"__annotations__"}):
        assert not alone(f"x = {name}"), name
    assert not alone("a__b = 1\nx.c__ = 2")
    assert not alone("class A:\n    def __init__(self): self.x = 1\nif __name__ == '__main__': A()")


@pytest.mark.parametrize(
    "text", ["__", "a__dict__", "gi_frame", "cr_await", "ag_x", "tb_lasti", "co_code", "f_globals", "func_globals"]
)
def test_text_that_could_become_a_hidden_name_runs_alone_wherever_it_stands(text):
    for code in ("x = {!r}", "x = ('a', {!r})", "x in {{{!r}, 'b'}}", "def f():\n    return ('a', (2, {!r}))"):
        assert alone(code.format(text)), code
    assert alone(f"x = b{text!r}")
    assert alone(f"x = {text!r}\ny = 'more'")


def test_harmless_text_shares_a_worker():
    for text in ("__main__", "of_x", "a_b", "_x_", "function", "half_turn"):
        assert not alone(f"x = {text!r}"), text
    assert not alone("x = (1, 2.5, None, ..., b'abc', frozenset, 'abc')\nif x in {1, 2}: pass")


def test_a_class_pattern_runs_alone():
    assert alone("match x:\n    case A(b=1): pass")
    assert alone("def f(x):\n    match x:\n        case int(): pass")
    assert not alone("match x:\n    case [1, *rest]: pass\n    case {'a': 1}: pass")


def test_code_that_could_go_on_after_its_turn_runs_alone():
    for body in (
        "async def f(): pass",
        "async def f():\n    yield 1",
        "def f():\n    try:\n        yield\n    finally: pass",
    ):
        assert alone(body), body
    assert alone("def f():\n    with x:\n        yield 1")
    assert not alone("def f():\n    yield 1")
    assert not alone("def f():\n    try:\n        return 1\n    finally: pass")
    assert not alone("def g():\n    yield 1\ndef f():\n    try:\n        g()\n    except ValueError: pass")
    code = compile("def f(): pass", "", "exec").co_consts[0]
    for flag, outlives in ((0x20, False), (0x80, True), (0x100, True), (0x200, True), (0x10, False), (0x40, False)):
        assert triage._outlives(code.replace(co_flags=code.co_flags & ~0x20 | flag), b"") is outlives, hex(flag)


@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        ("x = type(y)", False),
        ("x = type(y.z[0])", False),
        ("x = type(y + 3) is int", False),
        ("def f(x):\n    return type(x).count", False),
        ("x = type('A', (), {})", True),
        ("x = type(*y)", True),
        ("x = type(y, **z)", True),
        ("x = type()", True),
        ("x = type", True),
        ("x = map(type, y)", True),
        ("f(type)", True),
        ("x = type(1 if y else 2)", True),
        ("x = type(y); z = type", True),
        ("t = 1\nx = [type(y), type]", True),
        ("x = y.type", True),
        ("def f():\n    return type\nx = type(y)", True),
    ],
)
def test_asking_for_a_type_is_harmless_and_making_one_is_not(code, wanted):
    assert alone(code) is wanted


def steps(text: str) -> list:
    """Return instructions from their names and arguments, whichever this Python compiles to."""
    read = [each.partition(" ") for each in text.split(", ")]
    return [
        SimpleNamespace(opname=name, arg=int(arg) if arg else None, opcode=dis.opmap.get(name, dis.opmap["NOP"]))
        for name, _, arg in read
    ]


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("LOAD_CONST 0, CALL 1", True),
        ("LOAD_CONST 0, PRECALL 1", True),
        ("PUSH_NULL, LOAD_CONST 0, CALL 1", True),
        ("LOAD_CONST 0, LOAD_CONST 0, CALL 2", False),
        ("CALL 0", False),
        ("LOAD_CONST 0", False),
        ("LOAD_CONST 0, POP_TOP, POP_TOP, LOAD_CONST 0, LOAD_CONST 0, CALL 1", False),
        ("LOAD_CONST 0, LOAD_CONST 0, POP_TOP, CALL 1", True),
        ("LOAD_CONST 0, JUMP_FORWARD 1, CALL 1", False),
        ("LOAD_CONST 0, FOR_ITER 1, POP_TOP, CALL 1", False),
    ],
)
def test_a_call_asks_if_its_one_argument_is_computed_without_a_jump(text, asks):
    assert triage._asks(steps(text)) is asks


@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        ("x: int = 1", False),
        ("class A:\n    x: int\n    y: str = 'a'", False),
        ("__annotations__['x y'] = 1", True),
        ("x = __annotations__", True),
        ("__annotations__ = {}", True),
        ("x: int\n__annotations__['a' + y] = 1", True),
        ("x: int\n__annotations__[y] = 1", True),
        ("x.__annotations__", True),
        ("def f():\n    return __annotations__", True),
        ("x: int\n__annotations__['x']", True),
        ("x: int\ndel __annotations__['x']", True),
        ("x: int\nf(__annotations__)", True),
    ],
)
def test_annotations_are_the_compiler_s_alone(code, wanted):
    assert alone(code) is wanted


def test_what_draws_random_numbers_or_makes_classes_is_known():
    for code in ("import random", "import numpy.random", "from numpy.random import default_rng", "np.random.rand(3)"):
        assert traits(code).random, code
    for code in ("import math", "x = np.array(1)", "randoms = 1"):
        assert not traits(code).random, code
    assert traits("class A: pass").classes
    assert traits("def f():\n    class A: pass").classes
    assert not traits("def f(): pass").classes


def test_kin_have_names_and_operations_in_common():
    one, same, other = (traits(code).kin for code in ("x = 1", "\n\nx = 1", "y = 1"))
    assert one == same != other
    assert one[0] == frozenset(["x"])
    assert traits("def f(): return a.b").kin[0] == {"f", "a", "b"}
    assert traits("def f(): return a.b").kin != traits("def f(): return lambda: a.b").kin


@pytest.mark.parametrize("count", [1, 255, 256, 257, 70_000])
def test_names_are_found_however_far_their_numbers_go(count):
    text = "\n".join(f"a{number}" for number in range(count)) + "\nimport zlib\nx.dtype = 1"
    code = compile(text, "", "exec")
    assert triage._operands(code, triage._IMPORT) == {"zlib"}
    assert triage._operands(code, triage._STORE) == {"dtype"}
    assert triage._operands(code, triage._DELETE) == set()


def test_every_use_of_an_operation_is_found():
    code = compile("x.a = x.b = 1\ndef f(x):\n    x.c = 2\n    del x.d\n    import e.f, g", "", "exec")
    codes, _ = triage._flattened(code)
    parts = [(each, each.co_code) for each in codes]
    raw = b"".join(each for _, each in parts)
    assert triage._named_by(triage._STORE, raw, parts) == {"a", "b", "c"}
    assert triage._named_by(triage._DELETE, raw, parts) == {"d"}
    assert triage._named_by(triage._IMPORT, raw, parts) == {"e.f", "g"}


DIFFERENT = {
    "a name": ("x = 1", "y = 1"),
    "a constant": ("x = 300", "x = 301"),
    "a type": ("x = 1", "x = True"),
    "a sign": ("x = 0.0", "x = -0.0"),
    "how many constants": ("x = 1\n1.5", "x = 1\nx = 2"),
    "an inner function's name": ("def f(x): return x\n", "def f(x): return x\nf.a"),
    "an argument's name": ("lambda x: 1", "lambda y: 1"),
    "a keyword": ("lambda x: x", "lambda *, x: x"),
    "a position": ("lambda x: x", "lambda x, /: x"),
    "a starred argument": ("lambda x: x", "lambda *x: x"),
    "a free variable": ("def f(a, b):\n    return lambda: a", "def f(a, b):\n    return lambda: b"),
    "an inner constant": ("def f(x):\n    return lambda: 300", "def f(x):\n    return lambda: 301"),
    "a tuple in a tuple": ("x = (1, (2, 3))", "x = (1, (2, 3.0))"),
    "code for a constant": ("x = 1; lambda: 1", "x = 1; 1"),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_programs_that_differ_are_not_the_same(name):
    one, other = (compile(code, "", "exec") for code in DIFFERENT[name])
    assert not triage.same(one, other)
    assert not triage.same(other, one)
    assert triage.same(one, compile("\n\n" + DIFFERENT[name][0], "other", "exec"))


def test_each_part_of_code_that_decides_how_it_is_called_counts():
    code = compile("def f(x, y):\n    try:\n        return x\n    except ValueError: pass", "", "exec").co_consts[0]
    changes = {
        "co_name": "g",
        "co_argcount": 1,
        "co_posonlyargcount": 1,
        "co_flags": code.co_flags ^ 0x10000000,
        "co_varnames": ("x", "z"),
        "co_exceptiontable": b"",
        "co_names": ("Value",),
        "co_consts": (*code.co_consts, 1),
    }
    assert triage.same(code, code.replace(co_firstlineno=9, co_filename="other"))
    for name, value in changes.items():
        assert not triage.same(code, code.replace(**{name: value})), name


def module(**names: object) -> ModuleType:
    made = ModuleType("made")
    vars(made).update(names)
    return made


def test_names_of_other_modules_private_names_and_containers_are_shunned():
    import json
    import math

    found = triage.shunned_names(
        [
            module(
                json=json,
                math=math,
                m=math,
                linalg=np.linalg,
                _private=1,
                __dunder=1,
                table={},
                row=[],
                group=set(),
                data=bytearray(),
                pair=(),
                text="",
                number=1,
            )
        ],
        [],
    )
    assert found - triage.SHUNNED == {"json", "m", "_private", "table", "row", "group", "data"}
    assert found >= triage.SHUNNED


def test_internal_members_of_classes_are_shunned():
    class Made:
        __slots__ = ("_own", "f_slot", "slot")
        f_text = 1
        f_property = property(lambda self: 1)
        plain = property(lambda self: 1)
        _asdict = 1

        def __len__(self):
            return 1

        def f_method(self):
            return 1

    found = triage.shunned_names([], [Made, type((lambda: (yield))()), type(lambda: 1)])
    assert {"f_slot", "_own", "f_property", "gi_frame", "gi_code"} <= found
    assert not {"f_text", "plain", "slot", "f_method", "__len__", "_asdict", "_fields", "_make", "_replace"} & found
    assert not {name for name in found if name[:2] == "__"} - triage.SHUNNED


def test_all_classes_are_found_each_once():
    class One:
        pass

    class Two(One, dict):
        pass

    found = triage.all_classes()
    assert {object, type, int, bool, One, Two, np.ndarray} <= {*found}
    assert len(found) == len({*found})
