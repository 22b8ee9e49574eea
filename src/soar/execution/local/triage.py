"""Decides from compiled code which programs may share a worker with others.

Knows names, constants and opcodes. A program alters what others see only through an attribute it stores, a name that
leads to shared state, a name made at run time, code that runs after its turn, or a module that offers one of these. A
program that could use any of them gets its own process. Sharing only saves time, so in doubt a program runs alone;
`guard` catches what slips through, and the kernel's confinement holds for both.
"""

import dis
import opcode
import re
import sys
from collections.abc import Iterable, Mapping
from itertools import chain
from types import CodeType, GetSetDescriptorType, MemberDescriptorType, ModuleType
from typing import NamedTuple

IMPORTABLE = frozenset(
    "__future__ abc array bisect cmath collections collections.abc copy dataclasses fractions functools heapq"
    " itertools math numbers numpy numpy.lib.stride_tricks numpy.linalg numpy.random numpy.typing operator random re"
    " scipy scipy.ndimage statistics string typing".split()
)
"""Modules that programs of one worker share: preloaded, and without state that a name outside `SHUNNED` reaches."""

SHUNNED = frozenset(
    # Names made at run time, code made from text, the interpreter.
    "__import__ attrgetter breakpoint compile delattr dir eval exec exit format format_map formatter Formatter getattr"
    " get_field get_value globals help input license locals credits copyright methodcaller open quit setattr Template"
    " vars vformat check_unused_args convert_field"
    # The insides of frames, classes and functions.
    " mro register cell_contents fget fset fdel tb_frame tb_next"
    # What sets attributes of whatever it is given, makes classes from dicts, or evaluates text.
    " ABCMeta ForwardRef cached_property clear_overloads dataclass_transform final get_overloads get_type_hints"
    " make_dataclass no_type_check no_type_check_decorator overload partialmethod recursive_repr runtime_checkable"
    " singledispatch singledispatchmethod total_ordering update_abstractmethods update_wrapper wraps"
    " WRAPPER_ASSIGNMENTS WRAPPER_UPDATES"
    # Settings and caches that all share.
    " cache_clear errstate get_state getstate printoptions purge register_at_fork set_bit_generator set_printoptions"
    " set_state set_string_function setbufsize seterr seterrcall seterrobj setstate set_numeric_ops"
    # Memory that is not the program's own, and files.
    " LowLevelCallable DataSource add_docstring add_newdoc add_newdoc_ufunc as_strided bmat capsule cffi ctypes"
    " ctypeslib f2py fromfile frombuffer fromregex from_dlpack genfromtxt load loadtxt lock memmap resize save savetxt"
    " savez savez_compressed setfield setflags test testing tofile"
    " sys os builtins gc inspect importlib signal threading".split()
)

UNSETTABLE = frozenset("aligned dtype strides writeable".split())
"""Array attributes whose assignment makes an array view other memory, or memory that something else holds."""

PRIVATE_ALLOWED = frozenset(
    "__abs__ __add__ __and__ __annotations__ __bool__ __call__ __classcell__ __classdict__ __contains__ __doc__"
    " __enter__ __exit__ __firstlineno__ __floordiv__ __ge__ __getitem__ __gt__ __init__ __invert__"
    " __iter__ __le__ __len__ __lt__ __main__ __mod__ __module__ __mul__ __name__ __neg__ __next__ __or__"
    " __post_init__ __pow__ __qualname__ __radd__ __repr__ __rmul__ __rsub__ __setitem__ __slots__"
    " __static_attributes__ __str__ __sub__ __truediv__ __type_params__ __xor__".split()
)
"""Special names that a program may use in a shared worker. Not ``__eq__`` and ``__hash__``: a key that lies about them
matches another program's key in a shared cache. Nor names that copy, finalise, or describe memory."""

_REFLECTING = re.compile(r"__|\b(?:f|gi|cr|ag|tb|co|func)_")
"""Text that could become the name of an attribute of a frame, a generator, a traceback, code or a function."""

_OF_NAMED_TUPLES = frozenset("_asdict _fields _make _replace".split())
_HARMLESS_TEXT = frozenset(["__main__"])
_INTERNAL = re.compile(r"(?:f|gi|cr|ag|tb|co|func)_")
_OP = opcode.opmap
_IMPORT = _OP["IMPORT_NAME"]
_EXTENDED = _OP["EXTENDED_ARG"]
_STORE, _DELETE, _MATCH_CLASS = _OP["STORE_ATTR"], _OP["DELETE_ATTR"], _OP["MATCH_CLASS"]
_CATCHES, _BUILDS_CLASS = _OP["PUSH_EXC_INFO"], _OP["LOAD_BUILD_CLASS"]
# CO_GENERATOR; CO_COROUTINE, CO_ITERABLE_COROUTINE and CO_ASYNC_GENERATOR.
_GENERATOR, _ASYNCHRONOUS = 0x20, 0x80 | 0x100 | 0x200


class Traits(NamedTuple):
    """What a program's code shows: whether it must run alone, may draw random numbers, makes classes; and its `kin`,
    the names and operations that all code that is the `same` has in common."""

    alone: bool
    random: bool
    classes: bool
    kin: tuple[frozenset[str], bytes]


def traits_of(code: CodeType, shunned: frozenset[str]) -> Traits:
    """Return a program's traits before it runs; `shunned` comes from `shunned_names`."""
    codes, texts = _flattened(code)
    operations = [each.co_code for each in codes]
    raw = b"".join(operations)
    names = frozenset(chain.from_iterable([each.co_names for each in codes]))
    parts = list(zip(codes, operations, strict=True))
    alone = (
        not names.isdisjoint(shunned)
        or ("__" in " ".join(names) and not PRIVATE_ALLOWED.issuperset([name for name in names if name[:2] == "__"]))
        or not _named_by(_IMPORT, raw, parts) <= IMPORTABLE
        or _stores_shared(_named_by(_STORE, raw, parts) | _named_by(_DELETE, raw, parts), names)
        or _REFLECTING.search("\n".join(texts)) is not None
        or (_MATCH_CLASS in raw and any(_MATCH_CLASS in each[::2] for each in operations))
        or any(_outlives(each, done) for each, done in parts)
        or ("type" in names and any(_makes_class(each) for each in codes if "type" in each.co_names))
        or ("__annotations__" in names and any(map(_names_fields, codes)))
    )
    random = not names.isdisjoint(("random", "numpy.random", "samples"))
    return Traits(alone, random, _BUILDS_CLASS in raw, (names, raw))


def _flattened(code: CodeType) -> tuple[list[CodeType], list[str]]:
    """Return this code and all code nested in it, and the texts in their constants."""
    codes, texts = [code], []
    for each in codes:  # grows in the loop
        for item in each.co_consts:
            if type(item) is CodeType:
                codes.append(item)
            else:
                _read(item, texts)
    return codes, texts


def _named_by(operation: int, raw: bytes, parts: list[tuple[CodeType, bytes]]) -> set[str]:
    """Return the names that an operation is applied to, anywhere in a program; modules with dotted names."""
    found: set[str] = set()
    # These bytes include arguments: an operation that is absent is not used, one that is present may be an argument.
    if operation in raw:
        for code, operations in parts:
            if operation in operations:
                found |= _operands(code, operation)
    return found


def _stores_shared(stored: set[str], names: frozenset[str]) -> bool:
    """Return whether an attribute that is stored or deleted may belong to something shared."""
    if not stored:
        return False
    # A dataclass generates code from its fields' names.
    fields = "name" in stored and "dataclasses" in names
    return fields or not UNSETTABLE.isdisjoint(stored) or any(name[:2] == "__" for name in stored)


def _outlives(code: CodeType, operations: bytes) -> bool:
    """Return whether code, left suspended, may run on when it is discarded, during the next program's turn."""
    return bool(code.co_flags & _ASYNCHRONOUS or (code.co_flags & _GENERATOR and _CATCHES in operations))


def _read(constant: object, texts: list[str]) -> None:
    """Collect the texts in a constant."""
    if type(constant) is str:
        if constant not in _HARMLESS_TEXT:
            texts.append(constant)
    elif type(constant) is bytes:
        texts.append(constant.decode("latin-1"))
    elif type(constant) is tuple or type(constant) is frozenset:
        for item in constant:
            _read(item, texts)


def _makes_class(code: CodeType) -> bool:
    """Return whether ``type`` is used for more than asking one object's type: with three arguments, or passed on, it
    makes classes whose special methods no name in the code shows."""
    steps = [step for step in dis.get_instructions(code) if step.opname != "CACHE"]
    return any(step.argval == "type" and not _asks(steps[place + 1 :]) for place, step in enumerate(steps))


def _asks(steps: list[dis.Instruction]) -> bool:
    """Return whether what was just loaded is called with one argument that is computed without a jump."""
    depth = 0
    for place, step in enumerate(steps):
        if step.opname == "PUSH_NULL" and place == 0:
            continue
        if step.opname in ("CALL", "PRECALL") and step.arg == depth:
            return depth == 1
        if step.opcode in dis.hasjrel or step.opcode in dis.hasjabs or depth < 0:
            return False
        depth += dis.stack_effect(step.opcode, step.arg, jump=False)
    return False


def _names_fields(code: CodeType) -> bool:
    """Return whether ``__annotations__`` is used other than by the compiler to annotate names. A dataclass generates
    code from what it finds there."""
    steps = [step for step in dis.get_instructions(code) if step.opname not in ("CACHE", "EXTENDED_ARG")]
    for place, step in enumerate(steps):
        if step.argval == "__annotations__":
            key, store = [*steps[place + 1 : place + 3], None, None][:2]
            if step.opname != "LOAD_NAME" or key is None or store is None or store.opname != "STORE_SUBSCR":
                return True
            if key.opname != "LOAD_CONST" or not str(key.argval).isidentifier():
                return True
    return False


def same(one: CodeType, other: CodeType) -> bool:
    """Return whether two programs are the same code, wherever it is in their texts. Constants are compared by type and
    repr, since 0.0 equals -0.0."""
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
    """Return the names that an operation is applied to in this code; modules with dotted names."""
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


def shunned_names(modules: Iterable[ModuleType], classes: Iterable[type]) -> frozenset[str]:
    """Return the names that lead from `modules` and from objects of `classes` to shared state: other modules, private
    names, exposed containers, and what functions, frames and generators reveal of themselves."""
    found: set[str] = {*SHUNNED}
    for module in modules:
        for name, value in vars(module).items():
            if isinstance(value, ModuleType):
                found |= {name} if _is_stray(name, value) else set()
            elif name[:2] != "__" and (name[:1] == "_" or isinstance(value, dict | list | set | bytearray)):
                found.add(name)
    for kind in classes:
        found |= {name for name, value in _members(kind).items() if _is_internal(name, value)}
    return frozenset(found - _OF_NAMED_TUPLES)


def _is_stray(name: str, value: ModuleType) -> bool:
    """Return whether a module may not be shared, or is bound to a name that is not its own."""
    if value.__name__ not in IMPORTABLE:
        return True
    return name != value.__name__.rpartition(".")[2]


def _members(kind: type) -> Mapping[str, object]:
    return type.__dict__["__dict__"].__get__(kind)


def _is_internal(name: str, value: object) -> bool:
    if name[:1] == "_":
        return name[:2] != "__"
    return isinstance(value, GetSetDescriptorType | MemberDescriptorType | property) and bool(_INTERNAL.match(name))


def shared_modules() -> list[ModuleType]:
    """Return the loaded modules that programs of one worker share."""
    return [module for name in sorted(IMPORTABLE) if isinstance(module := sys.modules.get(name), ModuleType)]


def all_classes() -> list[type]:
    """Return every class in the process."""
    found: dict[type, None] = {}
    waiting: list[type] = [object]
    while waiting:
        kind = waiting.pop()
        if kind not in found:
            found[kind] = None
            waiting += type.__subclasses__(kind)
    return list(found)
