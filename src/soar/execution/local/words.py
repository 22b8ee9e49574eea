"""Where in memory the interpreter keeps what programs share, and whether a word of it has changed.

Knows how CPython lays out dicts, lists and functions, and checks that knowledge against the objects themselves: what
another version lays out differently is compared item by item, which is slower and no less strict. Reading memory costs
a tenth of asking the objects: no reference is counted, so no page that a fork shares is copied. Knows no program and no
module. Runs beside the programs, so it binds builtins here.
"""

import ctypes
from builtins import all, dict, id, isinstance, list, map, set, tuple, type  # noqa: A004, UP029
from collections.abc import Collection
from types import CellType, FunctionType, MemberDescriptorType
from typing import Any

import numpy as np

WORD = 8
_AFTER_HEADER = 16
"""Bytes before an object's own fields: its reference count, which changes all the time, and its type."""

_USED, _VERSION, _KEYS, _VALUES = 16, 24, 32, 40
"""A dict's number of items, its version, its table, and the array that holds the values instead for instances of one
class."""

_TABLE_HEADER, _LOG_INDEX_BYTES = 32, 9
_SIZE, _ITEMS = 16, 24
_FUNCTION_FIELDS = range(4, 8)
"""The fields of a function that are its code, defaults, keyword defaults and closure. Globals, builtins and two names
precede them and do not change; its attributes are a dict, to be watched as such."""

_MOST_ARRAY_BYTES = 1 << 16
_MOST_SHARED_KEYS = 64


def _has_versions() -> bool:
    """Return whether each change gives a dict a version that no dict ever had before (PEP 509; CPython up to 3.13)."""
    tried: dict[object, object] = {number: object() for number in range(9)}
    found = {_word(id(tried) + _VERSION)}
    for change in (lambda: tried.update({3: 1}), lambda: tried.pop(4), lambda: tried.setdefault("x", 1), tried.clear):
        change()
        found.add(_word(id(tried) + _VERSION))
    before = _word(id(tried) + _VERSION)
    return len(found) == 5 and all(found) and _word(id(tried) + _VERSION) == before


def _empty_table() -> int:
    """Return the address of the table that all dicts share which never held anything, 0 if there is none."""
    tried: list[dict[object, object]] = [{}, {}]
    found = {_word(id(each) + _KEYS) for each in tried}
    tried[0][1] = 1
    return found.pop() if len(found) == 1 and _word(id(tried[0]) + _KEYS) not in found else 0


class Words:
    """Objects to watch: `add` and `seal` record how they are, `changed` tells which have changed."""

    def __init__(self) -> None:
        self._addresses: list[int] = []
        self._quick: list[int] = []
        self._labels: list[tuple[int, str]] = []
        self._slow: list[tuple[str, Any, object]] = []
        self._kept: list[Any] = []
        self._all = self._fewer = _Snapshot([])

    def add(self, label: str, thing: Any, omit: Collection[str] = ()) -> None:
        """Watch a dict (but for the keys in `omit`), a list, a set, an array, a function or a cell."""
        self._labels.append((len(self._addresses), label))
        # Kept alive, or a new object could take an old value's address and look like it.
        self._kept += [thing, *_items(thing)]
        found = _places(thing, omit)
        if found is not None:
            self._addresses += found
            versioned = VERSIONS and not omit and len(found) > 1 and _is_combined(thing)
            self._quick += [id(thing) + _VERSION] if versioned else found
        elif not omit:
            self._slow.append((label, thing, _state(thing)))

    def add_slots(self, label: str, thing: Any) -> None:
        """Watch the slots that an object's classes define."""
        slots = [
            value
            for kind in type(thing).__mro__
            for name, value in type.__dict__["__dict__"].__get__(kind).items()
            if type(value) is MemberDescriptorType and name[:2] != "__"
        ]
        values = [getattr(thing, slot.__name__, None) for slot in slots]
        body = range(id(thing) + _AFTER_HEADER, id(thing) + type(thing).__basicsize__, WORD)
        places = [place for place in body if any(_word(place) == id(value) for value in values)]
        if places:
            self._labels.append((len(self._addresses), label))
            self._kept += [thing, *values]
            self._addresses += places
            self._quick += places

    def seal(self) -> None:
        """Record how everything is now. What is added later is watched from the next `seal` on."""
        self._all, self._fewer = _Snapshot(self._addresses), _Snapshot(self._quick)

    def unchanged(self) -> bool:
        """Return whether everything is unchanged. If no dict has been touched, fewer words suffice to tell."""
        return (self._fewer.unchanged() or self._all.unchanged()) and all(
            _state(thing) == then for _, thing, then in self._slow
        )

    def changed(self) -> set[str]:
        """Return the labels of what has changed."""
        found = {label for label, thing, then in self._slow if _state(thing) != then}
        starts = [start for start, _ in self._labels]
        for place in self._all.changed():
            found.add(self._labels[int(np.searchsorted(starts, place, side="right")) - 1][1])
        return found

    def __len__(self) -> int:
        return len(self._addresses)


class _Snapshot:
    """Words of memory and what they held when this was made."""

    def __init__(self, addresses: list[int]) -> None:
        first = min(addresses, default=0)
        count = (max(addresses, default=0) - first) // WORD + 1
        # One array spans all the memory between: nothing is allocated, and only the given addresses are ever read.
        whole = (ctypes.c_uint64 * count).from_address(first) if addresses else (ctypes.c_uint64 * 1)()
        self._memory = np.frombuffer(memoryview(whole), np.uint64)
        self._memory.setflags(write=False)
        # In the order of addresses: in any other, successive words are too far apart for the processor's caches.
        self._order = np.argsort(addresses)
        self._at = ((np.array(addresses, np.int64) - first) // WORD)[self._order]
        self._then = self._memory[self._at].tobytes()

    def unchanged(self) -> bool:
        return self._memory[self._at].tobytes() == self._then

    def changed(self) -> np.ndarray:
        """Return the places, in the list of addresses, of those that hold something else."""
        return self._order[self._memory[self._at] != np.frombuffer(self._then, np.uint64)]


def _is_combined(thing: Any) -> bool:
    """Return whether an object is a dict with its values in its own table: only these are known to change their version
    with every change."""
    return isinstance(thing, dict) and not _word(id(thing) + _VALUES)


def _items(thing: Any) -> tuple:
    """Return what an object holds."""
    if isinstance(thing, dict):
        return (*dict.keys(thing), *dict.values(thing))
    if isinstance(thing, FunctionType):
        return thing.__code__, thing.__defaults__, thing.__kwdefaults__, thing.__closure__
    if isinstance(thing, CellType):
        return (_word(id(thing) + _AFTER_HEADER) and thing.cell_contents,)
    return tuple(thing) if isinstance(thing, list | set) else ()


def _state(thing: Any) -> object:
    """Return an object's state, for comparison: the identities of what it holds, or its data."""
    if type(thing) is np.ndarray:
        return thing.tobytes() if thing.nbytes <= _MOST_ARRAY_BYTES else thing.shape
    return tuple(map(id, _items(thing)))


def _places(thing: Any, omit: Collection[str]) -> list[int] | None:
    """Return the addresses of the words that say what an object holds, None if they are not where we expect."""
    if isinstance(thing, dict):
        return _dict_places(thing, omit)
    if isinstance(thing, list):
        return _list_places(thing)
    if isinstance(thing, FunctionType):
        places = [id(thing) + _AFTER_HEADER + WORD * field for field in _FUNCTION_FIELDS]
        return places if _word(places[0]) == id(thing.__code__) else None
    if isinstance(thing, CellType):
        return [id(thing) + _AFTER_HEADER]
    return None


def _dict_places(thing: dict, omit: Collection[str]) -> list[int] | None:
    start = id(thing)
    if not omit and _word(start + _KEYS) == _EMPTY_TABLE:
        return [start + _KEYS]  # the first item brings a table of its own
    places = [start + _KEYS, start + _VALUES] if omit else [start + _USED, start + _KEYS, start + _VALUES]
    if _word(start + _USED) != len(thing):
        return None
    wanted = {id(value) for key, value in dict.items(thing) if key not in omit}
    if not wanted:
        return places
    table, values = _word(start + _KEYS), _word(start + _VALUES)
    if values:
        here = range(values, values + WORD * min(_MOST_SHARED_KEYS, len(thing) + 1), WORD)
    else:
        index_bytes = 1 << ctypes.c_uint8.from_address(table + _LOG_INDEX_BYTES).value
        first = table + _TABLE_HEADER + index_bytes
        entries = _word(table + _TABLE_HEADER - WORD)
        texts = set(map(type, dict.keys(thing))) == {str}
        here = (texts and _values_of(first, entries, 2, thing)) or _values_of(first, entries, 3, thing)
    found = {place: held for place, held in zip(here, _read(here), strict=True) if held in wanted}
    return [*places, *found] if {*found.values()} == wanted else None


def _values_of(first: int, entries: int, width: int, thing: dict) -> range:
    """Return where a table's values are if its entries are `width` words with the value last; an empty range if not."""
    places = range(first + WORD * (width - 1), first + WORD * width * entries, WORD * width)
    held = [each for each in _read(places) if each]
    return places if held == list(map(id, dict.values(thing))) else range(0)


def _list_places(thing: list) -> list[int] | None:
    items = _word(id(thing) + _ITEMS)
    places = range(items, items + WORD * len(thing), WORD)
    if _word(id(thing) + _SIZE) != len(thing) or _read(places) != list(map(id, thing)):
        return None
    return [id(thing) + _SIZE, id(thing) + _ITEMS, *places]


def _read(places: range) -> list[int]:
    """Return the words at evenly spaced places."""
    if not places:
        return []
    count = (places[-1] - places[0]) // WORD + 1
    return list((ctypes.c_uint64 * count).from_address(places[0]))[:: places.step // WORD]


def _word(address: int) -> int:
    return ctypes.c_uint64.from_address(address).value


VERSIONS = _has_versions()
_EMPTY_TABLE = _empty_table()
