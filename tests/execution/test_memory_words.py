"""What of each kind of object is watched, and that what is not laid out as we know it is compared item by item."""

import ctypes
import sys
from types import CellType

import numpy as np
import pytest

from soar.execution.local import words

KNOWN = words.VERSIONS
"""Whether this Python lays out dicts as those do whose fields are read here: up to 3.13."""


def watched(thing: object, **options) -> words.Words:
    watch = words.Words()
    watch.add("it", thing, **options)
    watch.seal()
    return watch


def function():
    held = object()

    def made(x=1, *, y=2):
        return x, y, held

    return made


def set_cell(made):
    made.__closure__[0].cell_contents = object()


CHANGES = {
    "a dict's value": (lambda: {"a": object()}, lambda it: it.update(a=object())),
    "a dict's only value": (lambda: {1: object()}, lambda it: it.update({1: object()})),
    "a dict's key": (lambda: {1: 1, "b": 2}, lambda it: (it.pop(1), it.update(c=1))),
    "a dict emptied": (lambda: {"a": 1}, lambda it: it.clear()),
    "an empty dict filled": (dict, lambda it: it.update(a=1)),
    "an emptied dict filled": (lambda: emptied(), lambda it: it.update(a=1)),
    "a large dict's last value": (lambda: {f"{n}": n for n in range(999)}, lambda it: it.update({"998": "x"})),
    "a dict with mixed keys": (lambda: {1: object(), "a": object()}, lambda it: it.update(a=object())),
    "a dict with holes": (lambda: holed(), lambda it: it.update({7: object()})),
    "a list's item": (lambda: [object(), object()], lambda it: it.__setitem__(1, object())),
    "a list's first item": (lambda: [object(), object()], lambda it: it.__setitem__(0, object())),
    "a list that grew": (lambda: [1], lambda it: it.append(2)),
    "a list that shrank": (lambda: [1, 2], lambda it: it.pop()),
    "a list reversed": (lambda: [object(), object()], lambda it: it.reverse()),
    "an empty list filled": (list, lambda it: it.append(1)),
    "a set's member": (lambda: {1, 2}, lambda it: it.add(3)),
    "a set member exchanged": (lambda: {1}, lambda it: (it.remove(1), it.add(2))),
    "an array's cell": (lambda: np.zeros(9), lambda it: it.__setitem__(8, 1)),
    "an array's shape": (lambda: np.zeros(1 << 17), lambda it: setattr(it, "shape", (2, 1 << 16))),
    "a function's code": (function, lambda it: setattr(it, "__code__", function().__code__.replace(co_name="x"))),
    "a function's defaults": (function, lambda it: setattr(it, "__defaults__", (5,))),
    "a function's keyword defaults": (function, lambda it: setattr(it, "__kwdefaults__", {"y": 5})),
    "a cell": (lambda: CellType(object()), lambda it: setattr(it, "cell_contents", object())),
    "an empty cell": (CellType, lambda it: setattr(it, "cell_contents", 1)),
}


def emptied() -> dict:
    made: dict = {"a": 1}
    del made["a"]
    return made


def holed() -> dict:
    made = {n: object() for n in range(9)}
    del made[3]
    return made


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_of_an_object_is_seen_under_its_label(name):
    make, change = CHANGES[name]
    thing = make()
    watch = watched(thing)
    assert watch.unchanged()
    assert watch.changed() == set()
    change(thing)
    assert not watch.unchanged()
    assert watch.changed() == {"it"}


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_is_seen_item_by_item_too(monkeypatch, name):
    monkeypatch.setattr(words, "_places", lambda thing, omit: None)
    test_every_change_of_an_object_is_seen_under_its_label(name)


def test_what_was_put_back_is_no_change():
    for thing in ({1: 5, 2: 6}, [1, 2], np.ones(4)):
        watch = watched(thing)
        before = thing[1]
        thing[1] = 0
        thing[1] = before
        assert watch.unchanged()


@pytest.mark.skipif(not KNOWN, reason="this Python lays out dicts in another way")
@pytest.mark.parametrize("name", [name for name in CHANGES if "set" not in name and "array" not in name])
def test_memory_is_read_where_this_python_is_known_to_keep_what_an_object_holds(name):
    watch = watched(CHANGES[name][0]())
    assert watch._slow == []
    assert len(watch) > 0


def test_the_words_of_a_list_are_its_size_its_place_and_its_items():
    thing = [object(), object()]
    places = words._places(thing, ())
    assert places is not None
    read = [ctypes.c_uint64.from_address(place).value for place in places]
    assert (read[0], read[2:]) == (2, [id(each) for each in thing])
    assert len(places) == len({*places}) == 4


@pytest.mark.skipif(not KNOWN, reason="this Python lays out dicts in another way")
def test_the_words_of_a_dict_are_its_size_its_tables_and_its_values():
    for thing in ({"a": object(), "b": object()}, {1: object(), 2: object()}, {f"{n}": n for n in range(300, 1000)}):
        places = words._places(thing, ())
        assert places is not None
        read = [ctypes.c_uint64.from_address(place).value for place in places]
        assert places[:3] == [id(thing) + 16, id(thing) + 32, id(thing) + 40]
        assert (read[0], read[3:]) == (len(thing), [id(each) for each in thing.values()])
        assert words._places(thing, ("a",))[:2] == [id(thing) + 32, id(thing) + 40]  # type: ignore[index]


@pytest.mark.parametrize(("name", "thing"), [("_USED", {"a": 1}), ("_SIZE", [1, 2])])
def test_a_size_that_is_not_where_it_is_known_to_be_means_comparing_item_by_item(monkeypatch, name, thing):
    monkeypatch.setattr(words, name, 0)
    watch = watched(thing)
    assert (len(watch), len(watch._slow)) == (0, 1)


@pytest.mark.parametrize("thing", [{"a": object(), "b": object()}, [1, 2]])
def test_items_that_are_not_where_they_are_known_to_be_mean_comparing_item_by_item(monkeypatch, thing):
    monkeypatch.setattr(words, "_read", lambda places: [0 for _ in places])
    watch = watched(thing)
    assert (len(watch), len(watch._slow)) == (0, 1)


def test_a_key_that_is_left_out_may_change_and_the_others_may_not():
    if not KNOWN:
        pytest.skip("this Python lays out dicts in another way")
    for key, changed in (("left out", False), ("kept", True)):
        thing = {"left out": object(), "kept": object(), "more": object()}
        watch = watched(thing, omit=("left out",))
        thing[key] = object()
        assert watch.unchanged() is not changed
        assert watch.changed() == ({"it"} if changed else set())
    nothing: dict = {"left out": 1}
    assert len(watched(nothing, omit=("left out",))) == 2


class Slotted:
    __slots__ = ("__hidden", "a", "b", "missing")

    def __init__(self) -> None:
        self.a, self.b = object(), object()


class Both(Slotted):
    __slots__ = ("c",)

    def __init__(self) -> None:
        super().__init__()
        self.c = object()


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_a_change_of_a_slot_is_seen_also_of_one_of_a_base_class(name):
    one, other = Both(), Both()
    watch = words.Words()
    watch.add_slots("one", one)
    watch.add_slots("other", other)
    watch.seal()
    assert watch.unchanged()
    assert len(watch) >= 6
    setattr(other, name, object())
    assert not watch.unchanged()
    assert watch.changed() == {"other"}


def test_an_object_without_slots_is_not_watched():
    class Plain:
        pass

    watch = words.Words()
    watch.add_slots("plain", Plain())
    watch.add_slots("number", 5)
    watch.seal()
    assert (len(watch), watch._labels, watch._kept) == (0, [], [])


def test_each_of_many_is_named_by_its_own_label():
    things = [[object()], {"a": object()}, {1, 2}, {"b": object(), "c": object()}, [object(), object()]]
    for number, thing in enumerate(things):
        watch = words.Words()
        for place, each in enumerate(things):
            watch.add(f"{place}", each)
        watch.seal()
        if isinstance(thing, set):
            thing.add(object())
        elif isinstance(thing, list):
            thing[-1] = object()
        else:
            thing[list(thing)[-1]] = object()
        assert watch.changed() == {f"{number}"}


def test_nothing_to_watch_is_unchanged():
    watch = words.Words()
    assert watch.unchanged()
    watch.seal()
    assert watch.unchanged()
    assert watch.changed() == set()
    assert len(watch) == 0


def test_what_was_added_after_the_seal_counts_from_the_next_one_on():
    thing = [1, 2]
    watch = watched([0])
    watch.add("later", thing)
    thing[0] = 5
    assert watch.unchanged()
    watch.seal()
    thing[0] = 6
    assert watch.changed() == {"later"}


def test_what_is_watched_is_kept_alive():
    thing, held = {"a": (value := [])}, sys.getrefcount(value)
    watch = watched(thing)
    assert sys.getrefcount(value) == held + 1
    assert any(each is thing for each in watch._kept)


def test_large_arrays_are_compared_by_shape_and_small_ones_by_content():
    for count, seen in ((1 << 13, True), ((1 << 13) + 1, False)):
        array = np.zeros(count)
        watch = watched(array)
        array[0] = 1
        assert watch.unchanged() is not seen


def test_words_are_read_at_even_steps():
    memory = (ctypes.c_uint64 * 10)(*range(10))
    start = ctypes.addressof(memory)
    assert words._read(range(start, start + 80, 8)) == [*range(10)]
    assert words._read(range(start + 8, start + 80, 24)) == [1, 4, 7]
    assert words._read(range(start + 16, start + 24, 8)) == [2]
    assert words._read(range(start, start, 8)) == []
    assert words._word(start + 24) == 3


@pytest.mark.skipif((3, 12) <= sys.version_info[:2] <= (3, 13), reason="some of these have them")
def test_dicts_have_versions_in_python_3_11_and_none_from_3_14_on():
    assert words.VERSIONS is (sys.version_info < (3, 12))


@pytest.mark.skipif(not KNOWN, reason="dicts of this Python have no versions")
def test_versions_are_used_for_dicts_with_their_own_values_only():
    class Thing:
        pass

    thing = Thing()
    thing.a = object()  # type: ignore[attr-defined]
    plain = {"a": object(), "b": object()}
    assert watched(plain)._quick == [id(plain) + 24]
    assert watched(plain, omit=("b",))._quick != [id(plain) + 24]
    mapping = vars(thing)
    assert words._is_combined(plain)
    assert watched(mapping)._quick == (
        [id(mapping) + 24] if words._is_combined(mapping) else watched(mapping)._addresses
    )
    assert not words._is_combined([1])
