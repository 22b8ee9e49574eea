"""Values with tuples for their lists; programs whose outputs are made when somebody looks at them."""

import json
import pickle
from collections import namedtuple
from dataclasses import replace

import pytest

from soar.types import Example, Origin, Program, Task, Written, canonical_json, content_hash, frozen

TRAIN, TEST = (((1, 2),), ((3,),)), (((4,),),)


class Row(list):
    """A list of one's own."""


def test_lists_of_any_kind_become_tuples_however_deep():
    cell = namedtuple("cell", "colour")
    found = frozen([[1, 2], Row([3, [4]]), ((), "text"), [cell([5])], None])
    assert found == ((1, 2), (3, (4,)), ((), "text"), (((5,),),), None)
    assert type(found[1]) is type(found[3][0]) is tuple  # pyright: ignore[reportIndexIssue, reportOptionalSubscript]
    assert hash(found) is not None
    assert frozen(Row([1])) == (1,)
    assert frozen("text") == "text"


def read(text):
    return frozen(json.loads(text))


def unreversed(stored, name):
    assert content_hash(read(stored[::-1])) == name
    return stored[::-1]


def never(text):
    raise AssertionError(f"somebody looked at {text}")


def from_written(reading=read):
    outputs = TRAIN + TEST
    stored = tuple(canonical_json(output)[::-1] for output in outputs)
    written = Written(tuple(map(content_hash, outputs)), stored, len(TRAIN), unreversed, reading)
    return Program.from_written(
        written,
        origin=Origin("s", 0, "t", "sample", 0, 0, 0),
        code="code",
        accuracy=0.5,
        parents=("p",),
        nondeterministic=False,
        ballot=content_hash(*TEST),
        behaviour=content_hash(*outputs),
    )


def test_a_program_from_an_archive_is_the_program_that_it_was():
    plain = Program(Origin("s", 0, "t", "sample", 0, 0, 0), "code", TRAIN, TEST, 0.5, ("p",))
    for ours in (from_written(), pickle.loads(pickle.dumps(from_written())), replace(from_written())):
        assert (ours, hash(ours), repr(ours)) == (plain, hash(plain), repr(plain))
        assert (ours.train, ours.test, ours.outputs) == (TRAIN, TEST, TRAIN + TEST)
        assert list(ours.texts) == list(plain.texts) == ["[[1,2]]", "[[3]]", "[[4]]"]
    with pytest.raises(AttributeError, match="tests"):
        getattr(from_written(), "tests")  # noqa: B009 — a misspelt name, which pyright would find


def test_the_outputs_of_a_program_from_an_archive_are_made_when_they_are_looked_at():
    found = from_written(never)
    assert (found.ran, found.key, list(found.texts)) == (True, "s/0/t/sample/0/0/0", ["[[1,2]]", "[[3]]", "[[4]]"])
    with pytest.raises(AssertionError, match="somebody looked"):
        found.test  # noqa: B018


def test_a_program_with_other_outputs_is_not_known_by_the_names_of_those_it_had():
    changed = replace(from_written(), train=TRAIN[::-1])
    assert (changed.train, changed.written) == (TRAIN[::-1], None)
    assert list(changed.texts) == ["[[3]]", "[[1,2]]", "[[4]]"]


def test_a_task_names_what_it_wants_and_nothing_that_is_hidden():
    task = Task("t", (Example(1, 2), Example(3, True)), (Example(5, 6),))
    assert task.expected == (content_hash(2), content_hash(True), content_hash(6))
    assert task.without_answers().expected == (content_hash(2), content_hash(True), None)
    assert replace(task, test=()).expected == task.expected[:2]
    assert task == replace(task)
