"""Tells whether a program left a trace that the next one in its worker could notice.

Knows modules, classes, containers and the interpreter's settings, our own included; compares identities, so a lying
``__eq__`` fools nobody. A glance after every program covers what programs reach by name. A look covers all modules and
classes and what they hold; it costs a hundred times as much, so it is taken only now and then. Runs in the worker
beside the programs, so it binds builtins here before any program can replace them.
"""

import abc
import builtins
import decimal
import functools
import gc
import random
import re
import sys
import warnings
from builtins import getattr, isinstance, len, list, type  # noqa: A004, UP029
from collections.abc import Callable, Iterable
from types import CellType, FunctionType, ModuleType
from typing import Any

import numpy as np

from soar.execution.local import words

_HEAP_TYPE, _IMMUTABLE_TYPE = 1 << 9, 1 << 8
_WATCHED_OTHERWISE = (type, ModuleType, classmethod)
"""What has attributes that are watched with its class or module already, or that no program reaches by name."""

_CONTAINERS = (dict, list, set, np.ndarray)
_GROWING = frozenset(["_cache", "_cache2", "_template_cache", "__warningregistry__"])
"""Caches that may grow; `forget` empties those that a program could have poisoned."""

_PER_PROCESS = frozenset(["threading"])
"""Modules that record their process, anew after every fork."""

_RUN_FOR_PROGRAMS = frozenset("numpy scipy soar builtins sys warnings copyreg re _collections_abc contextlib".split())
"""Packages whose values are watched too, besides the modules that programs share."""


class Guard:
    """A snapshot of what programs share, to compare against later."""

    def __init__(self, modules: Iterable[ModuleType], ours: Iterable[ModuleType], classes: Iterable[type]) -> None:
        modules, ours, classes = list(modules), list(ours), list(classes)
        self._modules = sys.modules
        self._loaded = len(sys.modules)
        loose = [kind for kind in classes if kind.__flags__ & _HEAP_TYPE and not kind.__flags__ & _IMMUTABLE_TYPE]
        near = [builtins, sys, warnings, *modules, *ours]
        self._near, self._far = words.Words(), words.Words()
        _watch(self._near, near, _classes_of(near, loose))
        for place, own in _attributes(_named(modules)):
            self._near.add(place, own)
        loaded = [module for name, module in sys.modules.items() if name not in _PER_PROCESS]
        everything = {id(module): module for module in (*loaded, *near) if isinstance(module, ModuleType)}
        inner = {*_RUN_FOR_PROGRAMS, *(module.__name__.partition(".")[0] for module in modules)}
        held = _watch(self._far, everything.values(), loose)
        held += [each for kind in classes for each in _members(kind)]
        _watch_held(self._far, [(place, thing) for place, thing in held if place.partition(".")[0] in inner], inner)
        self._far.add("sys.modules", sys.modules, omit=("program",))
        self._settings = _settings()
        self._forget: list[Callable[[], object]] = [
            *[thing.cache_clear for thing in gc.get_objects() if type(thing) is functools._lru_cache_wrapper],
            *[cache.clear for name in ("_cache", "_cache2") if isinstance(cache := getattr(re, name, None), dict)],
        ]
        self._near.seal()
        self._far.seal()

    def clean(self) -> bool:
        """Return whether all that programs reach by name is unchanged: a glance."""
        return len(self._modules) == self._loaded and self._near.unchanged()

    def spotless(self) -> bool:
        """Return whether everything is unchanged, including what programs do not reach by name: a look."""
        return self.clean() and self._far.unchanged() and _settings() == self._settings

    def forget(self) -> None:
        """Empty the caches in which an object of one program's class may match another program's key."""
        for clear in self._forget:
            clear()

    def traces(self) -> list[str]:
        """Return the labels of what changed, to explain why a verdict did not count."""
        settings = [] if _settings() == self._settings else ["settings"]
        return sorted({*self._near.changed(), *self._far.changed(), *settings})


def _classes_of(modules: Iterable[ModuleType], loose: list[type]) -> list[type]:
    """Return the classes in modules, and the classes of their values."""
    found = {id(each) for module in modules for value in vars(module).values() for each in (value, type(value))}
    return [kind for kind in loose if id(kind) in found]


def _watch(watch: words.Words, modules: Iterable[ModuleType], classes: Iterable[type]) -> list[tuple[str, Any]]:
    """Watch the names in modules and classes; return the values in the modules, each with its place."""
    held = []
    for module in modules:
        watch.add(module.__name__, vars(module))
        held += [(f"{module.__name__}.{name}", value) for name, value in vars(module).items() if name[:2] != "__"]
    for kind in classes:
        (members,) = gc.get_referents(vars(kind))
        watch.add(f"{kind.__module__}.{kind.__qualname__}", members)
    return held


def _members(kind: type) -> list[tuple[str, Any]]:
    """Return what a class itself holds, each with its place."""
    return [(f"{kind.__module__}.{kind.__qualname__}.{name}", value) for name, value in vars(kind).items()]


def _named(modules: Iterable[ModuleType]) -> list[tuple[str, Any]]:
    """Return what programs reach by name in modules and in the classes there, each with its place."""
    found = [
        (f"{module.__name__}.{name}", value)
        for module in modules
        for name, value in vars(module).items()
        if name[:2] != "__"
    ]
    kinds = {kind: None for _, value in found for kind in (value if isinstance(value, type) else type(value)).__mro__}
    return found + [each for kind in kinds for each in _members(kind)]


def _attributes(things: Iterable[tuple[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Return the dicts of the attributes that objects, functions above all, have of their own."""
    found: dict[int, tuple[str, dict[str, Any]]] = {}
    for place, thing in things:
        thing = thing.__func__ if type(thing) is staticmethod else thing
        own = None if isinstance(thing, _WATCHED_OTHERWISE) else _own_attributes(thing)
        if own is not None:
            found.setdefault(id(own), (place, own))
    return list(found.values())


def _own_attributes(thing: Any) -> dict[str, Any] | None:
    """Return the dict of an object's attributes, None if it can have none. It is made here if need be: made later, by
    a library that asks for it, it would look like a trace."""
    own = getattr(thing, "__dict__", None) if type(thing).__dictoffset__ else None
    return own if type(own) is dict else None


def _watch_held(watch: words.Words, held: list[tuple[str, Any]], inner: set[str]) -> None:
    """Watch values: containers and, in turn, their contents, objects' own attributes, functions that programs run or
    that judge them, and those functions' cells and attributes."""
    seen: set[int] = {id(sys.modules)}
    while held:
        place, thing = held.pop()
        if id(thing) in seen or place.rpartition(".")[2] in _GROWING:
            continue
        seen.add(id(thing))
        if isinstance(thing, _CONTAINERS):
            watch.add(place, thing)
            if not isinstance(thing, np.ndarray):
                held += [(place, each) for each in (thing.values() if isinstance(thing, dict) else thing)]
        elif isinstance(thing, FunctionType):
            if (thing.__module__ or "").partition(".")[0] in inner:
                watch.add(place, thing)
                watch.add(place, vars(thing))
                held += [(place, each) for each in (*(thing.__closure__ or ()), *vars(thing).values())]
        elif isinstance(thing, CellType):
            watch.add(place, thing)
        elif isinstance(thing, classmethod | staticmethod):
            held.append((place, thing.__func__))
        elif not isinstance(thing, type | ModuleType):
            own = _own_attributes(thing)
            if own is not None:
                watch.add(place, own)
            if type(thing).__flags__ & _HEAP_TYPE:
                watch.add_slots(place, thing)


def _settings() -> list[Any]:
    context = decimal.getcontext()
    return [
        # Changes with every class registered with an abstract one.
        abc.get_cache_token(),
        sys.getrecursionlimit(),
        sys.get_int_max_str_digits(),
        sys.gettrace(),
        sys.getprofile(),
        gc.isenabled(),
        list(warnings.filters),
        np.geterr(),
        np.geterrcall(),
        np.get_printoptions(),
        (context.prec, context.rounding),
    ]


def seed() -> None:
    """Give every program the same random numbers."""
    random.seed(0)
    np.random.seed(0)


def make_entropy_fixed() -> None:
    """Make NumPy's unseeded generators start from the same entropy, if this NumPy allows it."""
    from numpy.random import bit_generator

    if hasattr(bit_generator, "randbits"):
        bit_generator.randbits = lambda bits: 0x5EED % (1 << bits)  # type: ignore[attr-defined]
