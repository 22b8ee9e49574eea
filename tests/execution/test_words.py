"""Whether a word of what programs share has changed: every change is seen, and what was changed back is not one."""

import pytest

from soar.execution.local import words


def keep(mapping):
    mapping["a"] = mapping["a"]


def change(mapping):
    mapping["a"] = object()


def change_back(mapping):
    before = mapping["a"]
    mapping["a"] = object()
    mapping["a"] = before


def add(mapping):
    mapping["new"] = 1


def exchange(mapping):
    mapping["a"], mapping["b"] = mapping["b"], mapping["a"]


def of_a_module():
    return {"a": object(), "b": object(), "c": 3}


def of_an_instance():
    class Thing:
        pass

    thing = Thing()
    thing.a, thing.b = object(), object()  # type: ignore[attr-defined]
    return vars(thing)


@pytest.mark.parametrize("versions", [True, False], ids=["by versions", "word by word"])
@pytest.mark.parametrize("make", [of_a_module, of_an_instance])
@pytest.mark.parametrize(
    ("action", "changed"),
    [(keep, False), (change, True), (change_back, False), (add, True), (exchange, True)],
)
def test_a_change_is_seen_and_one_that_was_taken_back_is_none(monkeypatch, versions, make, action, changed):
    if versions and not words.VERSIONS:
        pytest.skip("dicts of this Python have no versions")
    monkeypatch.setattr(words, "VERSIONS", versions)
    watch, mapping, others = words.Words(), make(), [of_a_module() for _ in range(3)]
    for number, each in enumerate([*others, mapping]):
        watch.add(f"{number}", each)
    watch.seal()
    assert watch.unchanged()
    action(mapping)
    assert watch.unchanged() is not changed
    assert watch.changed() == ({"3"} if changed else set())


def test_versions_spare_most_words():
    if not words.VERSIONS:
        pytest.skip("dicts of this Python have no versions")
    watch = words.Words()
    for _ in range(10):
        watch.add("module", {f"{number}": number for number in range(50)})
    assert len(watch._quick) == 10
    assert len(watch) > 500
