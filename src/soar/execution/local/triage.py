"""Which programs may share a worker with others, read off their compiled code.

Knows names, constants and opcodes. A program alters what others see only through an attribute it stores, a name that
leads to shared state, a name made at run time, code that runs after its time, or a module that brings one of these. Who
could use any of them gets a process of its own. Sharing saves time and nothing else, so in doubt a program runs alone;
`guard` checks afterwards what slipped through, and the kernel's confinement holds for both.
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
"""Modules that programs of one worker share: preloaded, and without state that names outside `SHUNNED` reach."""

SHUNNED = frozenset(
    # Names made at run time, code made from text, the interpreter.
    "__import__ attrgetter breakpoint compile delattr dir eval exec exit format format_map formatter Formatter getattr"
    " get_field get_value globals help input license locals credits copyright methodcaller open quit setattr Template"
    " vars vformat check_unused_args convert_field"
    # Frames, classes and functions from behind.
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
"""Attributes of arrays whose assignment makes them look at other memory, or at the same as something else."""

PRIVATE_ALLOWED = frozenset(
    "__abs__ __add__ __and__ __annotations__ __bool__ __call__ __classcell__ __classdict__ __contains__ __doc__"
    " __enter__ __exit__ __firstlineno__ __floordiv__ __ge__ __getitem__ __gt__ __init__ __invert__"
    " __iter__ __le__ __len__ __lt__ __main__ __mod__ __module__ __mul__ __name__ __neg__ __next__ __or__"
    " __post_init__ __pow__ __qualname__ __radd__ __repr__ __rmul__ __rsub__ __setitem__ __slots__"
    " __static_attributes__ __str__ __sub__ __truediv__ __type_params__ __xor__".split()
)
"""Special names that a program in company may use. ``__eq__`` and ``__hash__`` are none: a key of a shared cache that
lies about them answers for another program's key. What copies, finalises, or describes memory is none either."""

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
_GENERATOR, _ASYNCHRONOUS = 0x20, 0x80 | 0x100 | 0x200


class Look(NamedTuple):
    """What a program's code says: whether it must run alone, whether it may draw random numbers, whether it makes
    classes, and what code that is the `same` has in common: its names and its operations."""

    alone: bool
    random: bool
    classes: bool
    kin: tuple[frozenset[str], bytes]


def look(code: CodeType, shunned: frozenset[str]) -> Look:
    """Return what there is to know of a program before it runs; `shunned` is what `shunned_names` found."""
    codes, texts = _unfolded(code)
    operations = [each.co_code for each in codes]
    raw = b"".join(operations)
    names = frozenset(chain.from_iterable([each.co_names for each in codes]))
    parts = list(zip(codes, operations, strict=True))
    alone = (
        not names.isdisjoint(shunned)
        or ("__" in " ".join(names) and not PRIVATE_ALLOWED.issuperset([name for name in names if name[:2] == "__"]))
        or not _named_by(_IMPORT, raw, parts) <= IMPORTABLE
        or _stores_badly(_named_by(_STORE, raw, parts) | _named_by(_DELETE, raw, parts), names)
        or _REFLECTING.search("\n".join(texts)) is not None
        or (_MATCH_CLASS in raw and any(_MATCH_CLASS in each[::2] for each in operations))
        or any(_outlives(each, done) for each, done in parts)
        or ("type" in names and any(_makes_class(each) for each in codes if "type" in each.co_names))
        or ("__annotations__" in names and any(map(_names_fields, codes)))
    )
    random = not names.isdisjoint(("random", "numpy.random", "samples"))
    return Look(alone, random, _BUILDS_CLASS in raw, (names, raw))


def _unfolded(code: CodeType) -> tuple[list[CodeType], list[str]]:
    """Return this code with all that it holds, and the texts in their constants."""
    codes, texts = [code], []
    for each in codes:  # grows meanwhile
        for item in each.co_consts:
            if type(item) is CodeType:
                codes.append(item)
            else:
                _read(item, texts)
    return codes, texts


def _named_by(operation: int, raw: bytes, parts: list[tuple[CodeType, bytes]]) -> set[str]:
    """Return the names that an operation is applied to, anywhere in a program; of modules, the dotted ones."""
    found: set[str] = set()
    # Arguments are among these bytes too: what is not there is not there, and what is there may be one of them.
    if operation in raw:
        for code, operations in parts:
            if operation in operations:
                found |= _operands(code, operation)
    return found


def _stores_badly(stored: set[str], names: frozenset[str]) -> bool:
    """Return whether one of the attributes that are stored or deleted may be another's."""
    if not stored:
        return False
    # A dataclass makes code of its fields' names.
    fields = "name" in stored and "dataclasses" in names
    return fields or not UNSETTABLE.isdisjoint(stored) or any(name[:2] == "__" for name in stored)


def _outlives(code: CodeType, operations: bytes) -> bool:
    """Return whether code may go on when it is thrown away, in the time of the next program, having been suspended for
    ever."""
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
    """Return whether ``type`` is used for more than asking one thing for its type: with three arguments, or handed on,
    it makes classes whose special methods no name in the code shows."""
    steps = [step for step in dis.get_instructions(code) if step.opname != "CACHE"]
    return any(step.argval == "type" and not _asks(steps[place + 1 :]) for place, step in enumerate(steps))


def _asks(steps: list[dis.Instruction]) -> bool:
    """Return whether what was just loaded is called with one argument, worked out without a jump."""
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
    """Return whether ``__annotations__`` is used for more than annotating names, or not by the compiler itself. A
    dataclass makes code of what it finds there."""
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


def shunned_names(modules: Iterable[ModuleType], classes: Iterable[type]) -> frozenset[str]:
    """Return the names that lead from `modules` and from objects of `classes` to shared state: other modules, private
    things, open containers, and what functions, frames and generators say of themselves."""
    found: set[str] = {*SHUNNED}
    for module in modules:
        for name, value in vars(module).items():
            if isinstance(value, ModuleType):
                found |= {name} if _stray(name, value) else set()
            elif name[:2] != "__" and (name[:1] == "_" or isinstance(value, dict | list | set | bytearray)):
                found.add(name)
    for kind in classes:
        found |= {name for name, value in _members(kind).items() if _inside(name, value)}
    return frozenset(found - _OF_NAMED_TUPLES)


def _stray(name: str, value: ModuleType) -> bool:
    """Return whether a module stands where nobody would look for it, or may not be shared."""
    if value.__name__ not in IMPORTABLE:
        return True
    return name != value.__name__.rpartition(".")[2]


def _members(kind: type) -> Mapping[str, object]:
    return type.__dict__["__dict__"].__get__(kind)


def _inside(name: str, value: object) -> bool:
    if name[:1] == "_":
        return name[:2] != "__"
    return isinstance(value, GetSetDescriptorType | MemberDescriptorType | property) and bool(_INTERNAL.match(name))


def shared_modules() -> list[ModuleType]:
    """Return the loaded modules that programs of one worker share."""
    return [module for name in sorted(IMPORTABLE) if isinstance(module := sys.modules.get(name), ModuleType)]


def all_classes() -> list[type]:
    """Return every class there is."""
    found: dict[type, None] = {}
    waiting: list[type] = [object]
    while waiting:
        kind = waiting.pop()
        if kind not in found:
            found[kind] = None
            waiting += type.__subclasses__(kind)
    return list(found)
