"""What a call asks for and what becomes of a completion: the solved task that a prompt shows, where such tasks come
from, and what counts as a program."""

from types import SimpleNamespace
from typing import Any

import pytest
from searching import block

from soar.archive.rows import code_hash
from soar.domains.arc.domain import Arc
from soar.domains.complete import complete
from soar.prompts.chat import Chat
from soar.protocols import Detail
from soar.search.call import Call, judged
from soar.search.few_shot import solved_examples
from soar.search.sample import sampling_call
from soar.types import Completion, Example, Origin, Program, Sampling, Task

CHAT = Chat(complete(Arc(), "arc"))
SAMPLING = Sampling(0.5, 0.0, 40)


def task(name, test=((2,),)):
    return Task(name, (Example(((0,),), ((1,),)),), (Example(((1,),), test),))


def program(name, output=((1,),), test=((2,),), index=0):
    place = Origin("train", 0, name, "sample", 0, 0, index)
    return Program(place, f"code {index}", (output,), (test,), float(output == ((1,),)))


def context(few_shot, **place) -> Any:
    rendering = SimpleNamespace(sampling=lambda task, shown, detail: (task.id, shown and shown[0].id, detail))
    method = SimpleNamespace(seed=place.pop("seed", 1), rendering=rendering, when_sampling=SAMPLING)
    return SimpleNamespace(method=method, few_shot=few_shot, **{"stage": "train", "iteration": 0, **place})


def shown(name="mine", phase: Any = "sample", island=0, step=0, **place):
    """Return which of eight solved tasks a sampling prompt shows."""
    solved = tuple((task(f"solved-{n}"), "code") for n in range(8))
    call = sampling_call(context(solved, **place), task(name), phase, island, step, 5)
    return call.prompt_of(Detail())[1]


def test_a_sampling_call_asks_for_so_many_programs_of_its_task_at_its_place():
    call = sampling_call(context(()), task("mine"), "refine", 2, 3, 5)
    assert (call.origin, call.count) == (Origin("train", 0, "mine", "refine", 2, 3, 0), 5)
    assert (call.sampling, call.parents) == (SAMPLING, ())
    assert call.prompt_of(Detail(pairs=1)) == ("mine", None, Detail(pairs=1))


def test_a_prompt_shows_a_solved_task_and_never_its_own():
    call = sampling_call(context(((task("mine"), "code"), (task("other"), "code"))), task("mine"), "sample", 0, 0, 1)
    assert call.prompt_of(Detail()) == ("mine", "other", Detail())
    assert call.prompt_of(Detail(example=False)) == ("mine", None, Detail(example=False))
    call = sampling_call(context(((task("mine"), "code"),)), task("mine"), "sample", 0, 0, 1)
    assert call.prompt_of(Detail()) == ("mine", None, Detail())


@pytest.mark.parametrize(
    "places",
    [
        [{"step": n} for n in range(12)],
        [{"iteration": n} for n in range(12)],
        [{"stage": f"s{n}"} for n in range(12)],
        [{"seed": n} for n in range(12)],
        [{"island": n} for n in range(12)],
        [{"name": f"t{n}"} for n in range(12)],
        [{"phase": phase, "step": n} for n in range(12) for phase in ("sample", "refine")],
    ],
)
def test_another_place_shows_another_task_and_the_same_place_the_same(places):
    seen = [shown(**place) for place in places]
    assert len(set(seen)) > 2
    assert seen == [shown(**place) for place in places]
    if "phase" in places[0]:
        assert seen[::2] != seen[1::2]


def test_solved_tasks_come_from_searches_with_known_answers_each_with_its_first_right_program():
    found = {
        ("one", 0): [program("one", test=((3,),), index=0), program("one", index=1), program("one", index=2)],
        ("one", 1): [program("one", index=3)],
        ("two", 0): [program("two", output=((9,),))],
        ("two", 1): [program("two", index=4)],
        ("hidden", 0): [program("hidden", index=5)],
    }
    reader: Any = SimpleNamespace(programs=lambda name, stage, iteration: found.get((name, iteration), []))
    tasks = [task("one"), task("two"), task("hidden", None)]
    searches = [(("train", 0), tasks), (("train", 1), tasks)]
    one, two = task("one").without_answers(), task("two").without_answers()
    assert solved_examples(reader, searches) == [(one, "code 1"), (two, "code 4")]


def kept(text, finish_reason="stop", detail=None, parents=()):
    call = Call(task("mine"), Origin("s", 1, "mine", "refine", 2, 3, 0), 4, lambda _: "", SAMPLING, parents)
    return judged(CHAT, call, 2, Completion(text, finish_reason, 7, 8, 0.5), detail or Detail())


def test_a_completion_with_code_is_named_after_it_and_says_where_it_stands():
    parent = program("mine")
    row, code = kept(block("return grid"), detail=Detail(pairs=2), parents=(parent,))
    assert code == "def transform(grid):\n    return grid"
    assert (row.status, row.code_hash, row.code) == ("code", code_hash(code), code)
    assert row.origin == Origin("s", 1, "mine", "refine", 2, 3, 2)
    assert row.parents == (parent.key,)
    assert row.prompt_detail == {"pairs": 2, "feedback": Detail(pairs=2).feedback}
    assert row.completion == Completion(block("return grid"), "stop", 7, 8, 0.5)
    assert kept(block("return grid"))[0].prompt_detail == {}


@pytest.mark.parametrize(
    ("text", "reason", "status"),
    [
        (block("return grid"), "length", "truncated"),
        ("I do not know.", "stop", "no-code"),
        ("", "stop", "empty"),
        ("```python\ndef other(x):\n    return x\n```", "stop", "no-entry-point"),
    ],
)
def test_a_completion_without_code_says_why(text, reason, status):
    row, code = kept(text, reason)
    assert (row.status, row.code_hash, row.code, code) == (status, None, None, None)


def test_what_utf_8_cannot_encode_becomes_a_question_mark_in_text_and_code():
    row, code = kept(block("return '\ud800'"))
    assert row.completion.text == block("return '?'")
    assert code == "def transform(grid):\n    return '?'"
    assert (row.completion.prompt_tokens, row.completion.completion_tokens) == (7, 8)
