import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soar.domains.arc.compact import Compact
from soar.domains.arc.program_text import EPILOGUE, PROLOGUE, unwrap, wrap
from soar.protocols import Detail
from soar.types import Example, Failure, Origin, Program, Task

GOLDEN = Path(__file__).parent / "golden"
TASK = Task(
    "flip",
    (
        Example(((0, 1, 2), (0, 0, 3)), ((2, 1, 0), (3, 0, 0))),
        Example(((5,), (0,)), ((5,), (0,))),
        Example(((4, 4, 0, 0), (4, 0, 0, 0), (0, 0, 0, 0)), ((0, 0, 4, 4), (0, 0, 0, 4), (0, 0, 0, 0))),
    ),
    (Example(((7, 8),), ((8, 7),)),),
)
compact = Compact()


def parent(code="def f(): pass", outputs=None, test=((7, 8),)):
    train = tuple(outputs or [e.input for e in TASK.train])
    right = sum(a == e.output for a, e in zip(train, TASK.train, strict=True))
    return Program(Origin("s", 0, "flip", "sample", 0, 0, 0), code, train, (test,), right / 3)


def check(name, text):
    path = GOLDEN / f"compact_{name}.txt"
    if os.environ.get("SOAR_WRITE_GOLDEN"):
        path.write_text(text)
    assert path.read_text() == text


def test_the_sampling_prompt_is_as_agreed():
    check("sampling", compact.sampling(TASK))


def test_the_refinement_prompt_tells_what_is_right_wrong_and_failed():
    outputs = (TASK.train[0].input, TASK.train[1].output, Failure("IndexError", "no"))
    check("refinement", compact.refinement(TASK, [parent(wrap("g = g.T"), outputs)]))


def test_a_parent_right_on_all_pairs_shows_what_it_made_of_the_test_input():
    outputs = tuple(e.output for e in TASK.train)
    text = compact.refinement(TASK, [parent(wrap("g = g[:, ::-1]"), outputs)])
    check("refinement_of_a_right_parent", text)
    assert "got" not in text


def test_no_prompt_depends_on_a_test_output():
    other = replace(TASK, test=(Example(((7, 8),), ((9, 9), (9, 9))),))
    hidden = TASK.without_answers()
    for detail in compact.details(TASK):
        assert compact.sampling(TASK, None, detail) == compact.sampling(other, None, detail)
        assert compact.refinement(hidden, [parent()], detail) == compact.refinement(other, [parent()], detail)


def test_fewer_pairs_keep_the_smallest_in_their_order():
    text = compact.sampling(TASK, None, Detail(pairs=2))
    assert "in2r3c" in text
    assert "in2r1c" in text
    assert "in3r4c" not in text


def test_less_feedback_is_shorter():
    outputs = tuple(e.input for e in TASK.train)
    lengths = [len(compact.refinement(TASK, [parent("x", outputs)], Detail(None, f))) for f in ("full", "verdicts")]
    assert lengths[0] > lengths[1] > len(compact.refinement(TASK, [parent("x", outputs)], Detail(None, "none")))


def test_the_details_of_a_large_task_begin_with_what_is_short():
    grid = tuple(tuple((x * y) % 10 for x in range(20)) for y in range(20))
    task = Task("large", tuple(Example(grid, grid) for _ in range(5)), (Example(grid, None),))
    details = compact.details(task)
    assert details[0].pairs == 1
    small = Task("small", tuple(Example(((x,),), ((x,),)) for x in range(5)), (Example(((9,),), None),))
    assert compact.details(small)[0] == Detail()


@pytest.mark.parametrize(
    "code",
    [
        wrap("g = g.T"),
        wrap("for i in range(3):\n    if i:\n        g = g + i\n\n    g = g % 10"),
        "def transform(grid):\n    return grid",
        PROLOGUE + "    g = 'def transform(grid):'\n" + EPILOGUE,
        PROLOGUE + "    \n" + EPILOGUE,
        PROLOGUE + "    \x0c\n" + EPILOGUE,
        PROLOGUE + EPILOGUE,
        wrap("g = g.T").rstrip("\n"),
        "transform = lambda grid: grid",
    ],
)
def test_a_program_is_extracted_from_its_completion(code):
    assert compact.extract(compact.completion(code)).code == code


bodies = st.lists(st.text(st.characters(codec="ascii", exclude_characters="\n\r"), min_size=1), min_size=1)


@given(bodies)
def test_a_body_comes_back_from_its_program(lines):
    body = "\n".join(lines).strip("\n")
    assert unwrap(wrap(body)) in (body, None)
    code = wrap(body)
    assert compact.extract(compact.completion(code)).code == code


def test_the_completion_of_a_framed_program_is_its_body():
    assert compact.completion(wrap("g = g.T")) == "g = g.T"


def test_an_empty_completion_holds_no_code():
    assert compact.extract(" \n").reason == "empty"
