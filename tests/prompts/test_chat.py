import os
from dataclasses import replace
from pathlib import Path

import pytest

from soar.domains.arc.domain import Arc
from soar.prompts.chat import ASK_ALTERNATIVE, ASK_COMBINE, ASK_REFINEMENT, Chat
from soar.protocols import Detail
from soar.types import Example, Failure, Message, Origin, Output, Program, Task

GOLDEN = Path(__file__).parent / "golden"
WRITE_GOLDEN = "SOAR_WRITE_GOLDEN"
"""Set this environment variable to 1 to write the golden prompts anew, then look at what changed with git diff."""

CHAT = Chat(Arc())
TASK = Task(
    "mirror",
    (
        Example(((1, 2, 3),), ((3, 2, 1),)),
        Example(((0, 4), (5, 5)), ((4, 0), (5, 5))),
        Example(((6,), (7,)), ((6,), (7,))),
    ),
    (Example(((8, 9),), ((9, 8),)), Example(((2, 0, 0),), None)),
)
MIRROR = "def transform(grid):\n    return [row[::-1] for row in grid]"
SAME = "def transform(grid):\n    return grid"
ERROR = Failure("IndexError", "list index\nout of range", line=2, source_line="    return grid[9]")


def parent(code: str, train: tuple[Output, ...], test: tuple[Output, ...]) -> Program:
    right = sum(output == example.output for example, output in zip(TASK.train, train, strict=True))
    return Program(Origin("train", 0, TASK.id, "sample", 0, 0, 0), code, train, test, right / len(TASK.train))


WRONG = parent(SAME, tuple(e.input for e in TASK.train), tuple(e.input for e in TASK.test))
RIGHT = parent(MIRROR, tuple(e.output for e in TASK.train), (((9, 8),), ((0, 0, 2),)))
BROKEN = parent("def transform(grid):\n    return grid[9]", (ERROR, ERROR, ((6,), (7,))), (ERROR, ERROR))
OTHER = Task("other", (Example(((1,),), ((2,),)),), (Example(((3,),), ((7, 7, 7, 7),)),))

PROMPTS = {
    "sampling": CHAT.sampling(TASK),
    "sampling_few_shot": CHAT.sampling(TASK, (OTHER, SAME)),
    "sampling_one_pair": CHAT.sampling(TASK, detail=Detail(pairs=1)),
    "refinement_wrong": CHAT.refinement(TASK, [WRONG]),
    "refinement_right": CHAT.refinement(TASK, [RIGHT]),
    "refinement_failed": CHAT.refinement(TASK, [BROKEN]),
    "refinement_two": CHAT.refinement(TASK, [WRONG, BROKEN]),
    "refinement_verdicts": CHAT.refinement(TASK, [WRONG], Detail(pairs=2, feedback="verdicts")),
    "refinement_bare": CHAT.refinement(TASK, [WRONG], Detail(pairs=1, feedback="none")),
}


def text_of(prompt: tuple[Message, ...]) -> str:
    return "".join(f"--- {message.role}\n{message.content}\n" for message in prompt)


def grids_in(text: str) -> list[list[str]]:
    """Return the blocks of lines made of digits only, as a reader of prompts finds them."""
    grids: list[list[str]] = [[]]
    for line in text.split("\n"):
        if line.isdigit():
            grids[-1].append(line)
        elif grids[-1]:
            grids.append([])
    return [grid for grid in grids if grid]


@pytest.mark.parametrize("name", PROMPTS)
def test_a_prompt_is_its_golden_file(name):
    path, text = GOLDEN / f"chat_{name}.txt", text_of(PROMPTS[name])
    if os.environ.get(WRITE_GOLDEN) == "1":
        path.write_text(text)
    assert path.read_text() == text, f"if the change is meant: {WRITE_GOLDEN}=1 pytest {Path(__file__).name}"


def test_grids_are_rows_of_digits_and_each_output_follows_its_input():
    expected = [
        Arc().show(value).split("\n")
        for value in (*(v for e in TASK.train for v in (e.input, e.output)), *(e.input for e in TASK.test))
    ]
    assert grids_in(PROMPTS["sampling"][-1].content) == expected
    assert grids_in(PROMPTS["refinement_wrong"][-1].content)[: len(expected)] == expected


@pytest.mark.parametrize("detail", [Detail(), *CHAT.details(TASK)])
def test_no_prompt_depends_on_a_test_output(detail):
    hidden, few_shot = TASK.without_answers(), (OTHER, SAME)
    assert CHAT.sampling(TASK, few_shot, detail) == CHAT.sampling(hidden, (OTHER.without_answers(), SAME), detail)
    for found in (WRONG, RIGHT, BROKEN):
        assert CHAT.refinement(TASK, [found], detail) == CHAT.refinement(hidden, [found], detail)


def test_a_parent_right_on_all_pairs_is_not_called_wrong():
    text = PROMPTS["refinement_right"][-1].content
    assert "right on all 3 training pairs" in text
    assert text.count(": right.") == 3
    assert "wrong." not in text
    assert ASK_ALTERNATIVE in text
    assert ASK_REFINEMENT not in text


def test_every_pair_has_one_verdict():
    for name, verdicts in {"wrong": ["wrong", "wrong", "right"], "failed": ["failed", "failed", "right"]}.items():
        lines = [line for line in PROMPTS[f"refinement_{name}"][-1].content.split("\n") if line.startswith("Training")]
        assert [line.split(": ")[1].split(".")[0] for line in lines] == verdicts


def test_a_failure_is_one_line_with_type_line_and_message():
    text = PROMPTS["refinement_failed"][-1].content
    assert "failed. IndexError in line 2 `return grid[9]`: list index out of range\n" in text


def test_a_long_message_is_cut():
    long = replace(WRONG, train=(Failure("ValueError", "x" * 10_000),) * 3)
    assert len(text_of(CHAT.refinement(TASK, [long]))) < 5_000


def test_two_parents_are_to_be_combined():
    assert ASK_COMBINE in PROMPTS["refinement_two"][-1].content


def test_details_get_shorter():
    for render in (
        lambda detail: CHAT.sampling(TASK, None, detail),
        lambda detail: CHAT.refinement(TASK, [WRONG], detail),
    ):
        lengths = [len(text_of(render(detail))) for detail in CHAT.details(TASK)]
        assert lengths == sorted(lengths, reverse=True)
        assert lengths[-1] < lengths[0]


def test_a_completion_gives_its_code_back():
    assert CHAT.extract(CHAT.completion(MIRROR)).code == MIRROR
