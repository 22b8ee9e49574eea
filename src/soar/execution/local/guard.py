"""Whether a program left a trace that the next one in its worker could notice.

Knows modules, classes and settings of the interpreter; compares identities, so a lying ``__eq__`` deceives nobody.
Runs in the worker beside the programs, hence the builtins bound here before any program can replace them.
"""

import builtins
import decimal
import gc
import random
import sys
import warnings
from builtins import all, len, list, map, sorted, tuple, type  # noqa: A004, UP029
from collections.abc import Iterable
from operator import is_
from types import ModuleType
from typing import Any

import numpy as np

ALL: frozenset[str] = frozenset(["*"])
"""Stands for all attributes there are."""

_HEAP_TYPE, _IMMUTABLE_TYPE = 1 << 9, 1 << 8


class Guard:
    """The state of the modules that programs share, as it was when this was made."""

    def __init__(self, modules: Iterable[ModuleType]) -> None:
        watched = [builtins, sys, warnings, *modules]
        self._modules = sys.modules
        self._loaded = len(sys.modules)
        self._dicts: list[tuple[Any, tuple]] = [(vars(module), tuple(vars(module).values())) for module in watched]
        classes = {value for module in watched for value in vars(module).values() if isinstance(value, type)}
        loose = [kind for kind in classes if kind.__flags__ & _HEAP_TYPE and not kind.__flags__ & _IMMUTABLE_TYPE]
        self._dicts += [(vars(kind), tuple(vars(kind).values())) for kind in sorted(loose, key=repr)]
        self._sized = [now for now, _ in self._dicts]
        self._sizes = list(map(len, self._sized))
        self._names = frozenset([name for now, _ in self._dicts for name in now])
        self._settings = _settings()

    def clean(self, stored: frozenset[str] = ALL) -> bool:
        """Return whether all is as it was. `stored` are the attributes that the program's code could store: where none
        of them has the name of anything here, the sizes of modules and classes tell."""
        if len(self._modules) != self._loaded or list(map(len, self._sized)) != self._sizes:
            return False
        if stored is not ALL and self._names.isdisjoint(stored):
            return True
        return _unchanged(self._dicts) and _settings() == self._settings


def _unchanged(pairs: list[tuple[Any, tuple]]) -> bool:
    return all(len(now) == len(then) and all(map(is_, now.values(), then)) for now, then in pairs)


def _settings() -> list[Any]:
    context = decimal.getcontext()
    return [
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
    """Have NumPy's generators without a seed start from the same entropy, where this NumPy lets us."""
    from numpy.random import bit_generator

    if hasattr(bit_generator, "randbits"):
        bit_generator.randbits = lambda bits: 0x5EED % (1 << bits)  # type: ignore[attr-defined]
