"""Which programs may share a worker with others, read off their compiled code.

Knows names and opcodes. A program alters what others see only through an attribute it stores, a name that leads to
shared state, or a module that brings one; who uses any of these gets a process of its own. Not a line of defence (the
kernel's confinement is), and `guard` checks afterwards what slipped through.
"""

import opcode
import sys
from collections.abc import Iterable
from types import CodeType, ModuleType
from typing import NamedTuple

IMPORTABLE = frozenset(
    "__future__ abc array bisect cmath collections collections.abc copy dataclasses enum fractions functools heapq"
    " itertools math numbers numpy numpy.lib.stride_tricks numpy.linalg numpy.random operator random re scipy"
    " scipy.ndimage statistics string typing".split()
)
"""Modules that programs of one worker share: preloaded, and without state that names outside `SHUNNED` reach."""

SHUNNED = frozenset(
    "__import__ attrgetter breakpoint compile delattr eval exec exit f_back f_builtins f_globals f_locals"
    " get_type_hints getattr gi_code gi_frame globals input locals make_dataclass methodcaller open quit setattr"
    " tb_frame tb_next vars"
    " ForwardRef cr_frame ag_frame mro register errstate seterr seterrcall set_printoptions setbufsize printoptions"
    " as_strided ctypeslib f2py fromfile frombuffer genfromtxt load loadtxt memmap save savetxt savez savez_compressed"
    " testing tofile DataSource fromregex setflags set_state get_state setstate set_string_function"
    " cache_clear purge setfield ctypes".split()
)

PRIVATE_ALLOWED = frozenset(
    "__abs__ __add__ __and__ __annotations__ __bool__ __call__ __classcell__ __classdict__ __contains__ __doc__"
    " __enter__ __eq__ __exit__ __firstlineno__ __floordiv__ __ge__ __getitem__ __gt__ __hash__ __init__ __invert__"
    " __iter__ __le__ __len__ __lt__ __main__ __mod__ __module__ __mul__ __name__ __ne__ __neg__ __next__ __or__"
    " __post_init__ __pow__ __qualname__ __radd__ __repr__ __rmul__ __rsub__ __setitem__ __slots__"
    " __static_attributes__ __str__ __sub__ __truediv__ __type_params__ __xor__".split()
)

_OP = opcode.opmap
_IMPORT = _OP["IMPORT_NAME"]
_EXTENDED = _OP["EXTENDED_ARG"]
_STORE, _DELETE, _MATCH_CLASS = _OP["STORE_ATTR"], _OP["DELETE_ATTR"], _OP["MATCH_CLASS"]


class Look(NamedTuple):
    """What a program's code says: whether it must run alone, which attributes it stores or deletes, whether it may draw
    random numbers, and what code that is the `same` has in common: its names and its operations."""

    alone: bool
    stores: frozenset[str]
    random: bool
    kin: tuple[frozenset[str], bytes]


def look(code: CodeType, shunned: frozenset[str]) -> Look:
    """Return what there is to know of a program before it runs; `shunned` is what `shunned_names` found."""
    names: set[str] = set()
    stored: set[str] = set()
    raw: list[bytes] = []
    alone = _walk(code, names, stored, raw) or not names.isdisjoint(shunned)
    if not alone and "__" in " ".join(names):
        alone = not PRIVATE_ALLOWED.issuperset([name for name in names if name[:2] == "__"])
    random = "random" in names or "numpy.random" in names
    return Look(alone, frozenset(stored), random, (frozenset(names), b"".join(raw)))


def _walk(code: CodeType, names: set[str], stored: set[str], raw: list[bytes]) -> bool:
    """Collect names and operations of this code and of all that it holds; return whether it must run alone."""
    operations = code.co_code
    raw.append(operations)
    names.update(code.co_names)
    # Arguments are among these bytes too: what is not there is not there, and what is there may be one of them.
    for operation in (_STORE, _DELETE):
        if operation in operations:
            stored |= _operands(code, operation)
    alone = _MATCH_CLASS in operations and _MATCH_CLASS in operations[::2]
    if _IMPORT in operations:
        alone = alone or not _operands(code, _IMPORT) <= IMPORTABLE
    for item in code.co_consts:
        if type(item) is CodeType:
            alone = _walk(item, names, stored, raw) or alone
    return alone


def same(one: CodeType, other: CodeType) -> bool:
    """Return whether two programs are the same code, wherever it stands in its text. A constant is told by its type
    too, and by its text, since 0.0 equals -0.0."""
    return (
        one.co_code == other.co_code
        and one.co_names == other.co_names
        and len(one.co_consts) == len(other.co_consts)
        and all(map(_same_constant, reversed(one.co_consts), reversed(other.co_consts)))
        and _calling(one) == _calling(other)
    )


def _same_constant(one: object, other: object) -> bool:
    if type(one) is CodeType and type(other) is CodeType:
        return same(one, other)
    return type(one) is type(other) and repr(one) == repr(other)


def _calling(code: CodeType) -> tuple:
    counts = (code.co_name, code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    return (counts, code.co_varnames, code.co_freevars, code.co_cellvars, code.co_exceptiontable)


def _operands(code: CodeType, operation: int) -> set[str]:
    """Return the names that an operation is applied to in this code; of modules, the dotted ones."""
    raw = code.co_code
    operations, arguments = raw[::2], raw[1::2]
    found = set()
    at = operations.find(operation)
    while at >= 0:
        index, before, shift = arguments[at], at - 1, 8
        while before >= 0 and operations[before] == _EXTENDED:
            index |= arguments[before] << shift
            before, shift = before - 1, shift + 8
        found.add(code.co_names[index])
        at = operations.find(operation, at + 1)
    return found


def shunned_names(modules: Iterable[ModuleType]) -> frozenset[str]:
    """Return the names that lead from `modules` to shared state: other modules, private things, open containers."""
    found: set[str] = {*SHUNNED}
    for module in modules:
        for name, value in vars(module).items():
            if isinstance(value, ModuleType):
                if value.__name__ not in IMPORTABLE:
                    found.add(name)
            elif name[:2] != "__" and (name[:1] == "_" or type(value) in (dict, list, set, bytearray)):
                found.add(name)
    return frozenset(found | {"sys", "os", "builtins", "gc", "inspect", "ctypes", "importlib", "signal", "threading"})


def shared_modules() -> list[ModuleType]:
    """Return the loaded modules that programs of one worker share."""
    return [module for name in sorted(IMPORTABLE) if isinstance(module := sys.modules.get(name), ModuleType)]
