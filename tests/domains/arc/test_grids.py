import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soar.domains.arc.domain import Arc
from soar.domains.arc.grids import COLOURS, MAX_SIDE
from soar.errors import DataError
from soar.types import canonical_json

ARC = Arc()
TASK = {"train": [{"input": [[1]], "output": [[2]]}], "test": [{"input": [[3]], "output": [[4]]}]}


def grids() -> st.SearchStrategy[list[list[int]]]:
    sides = st.integers(1, MAX_SIDE)
    return st.tuples(sides, sides).flatmap(
        lambda side: st.lists(
            st.lists(st.integers(0, 9), min_size=side[1], max_size=side[1]), min_size=side[0], max_size=side[0]
        )
    )


def anything() -> st.SearchStrategy[object]:
    leaves = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3) | st.binary(max_size=3)
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner), max_leaves=9
    )


def write(path: Path, value: object) -> str:
    path.write_text(json.dumps(value))
    return str(path)


@settings(max_examples=50)
@given(grids())
def test_a_grid_survives_json_and_parsing(rows):
    grid = ARC.parse(rows)
    assert ARC.parse(grid) == grid
    assert ARC.parse(json.loads(canonical_json(grid))) == grid
    assert hash(ARC.parse(json.loads(canonical_json(grid)))) == hash(grid)


@settings(max_examples=50)
@given(grids())
def test_the_text_of_a_grid_holds_every_cell(rows):
    assert [[int(digit) for digit in line] for line in ARC.show(ARC.parse(rows)).split("\n")] == rows


@given(anything())
def test_whatever_is_no_grid_is_refused_with_a_reason(value):
    rows = value if isinstance(value, list) else []
    if rows and all(isinstance(row, list) and row and all(type(cell) is int for cell in row) for row in rows):
        return
    with pytest.raises(ValueError, match=r".") as caught:
        ARC.parse(value)
    assert 0 < len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "expected a list of rows, found None"),
        ("12", "of type str"),
        ([], "0 rows"),
        ([[]], r"row \[0\] has 0 cells"),
        ([[0]] * 31, "31 rows"),
        ([[0] * 31], "31 cells"),
        ([[1, 2], [3]], r"ragged: row \[1\] has 1 cells, row \[0\] has 2"),
        ([[1, 2], 3], r"row \[1\] is of type int"),
        ([[1, True]], r"cell \[0\]\[1\] is the bool True"),
        ([[1.0]], "the float 1.0"),
        ([[10]], "is 10, expected"),
        ([[-1]], "is -1"),
        ([[10**5000]], "a huge integer"),
        ([["1"]], "of type str"),
        ([[None]], "is None"),
    ],
)
def test_a_wrong_grid_is_refused_by_name(value, reason):
    with pytest.raises(ValueError, match=reason):
        ARC.parse(value)


def test_the_arc1_sets_are_arc1():
    training, evaluation = ARC.load("arc1-training"), ARC.load("arc1-evaluation")
    assert (len(training), len(evaluation)) == (400, 400)
    assert (training[0].id, evaluation[0].id) == ("007bbfb7", "00576224")
    assert [task.id for task in training] == sorted({task.id for task in training})
    assert all(example.output is not None for task in training for example in task.test)


def test_a_shape_is_told_in_words():
    assert ARC.shape(ARC.parse([[1], [2]])) == "2 rows x 1 column"


def test_the_legend_names_every_colour():
    assert all(f"{value} {name}" in ARC.about for value, (name, _) in enumerate(COLOURS))


def test_a_task_file_and_a_folder_give_tasks_named_by_their_files(tmp_path):
    source = write(tmp_path / "b.json", TASK)
    write(tmp_path / "a.json", TASK)
    assert [task.id for task in ARC.load(source)] == ["b"]
    assert [task.id for task in ARC.load(str(tmp_path))] == ["a", "b"]


def test_a_hidden_test_output_is_none(tmp_path):
    hidden = {"train": TASK["train"], "test": [{"input": [[3]]}, {"input": [[3]], "output": None}]}
    assert [example.output for example in ARC.load(write(tmp_path / "t.json", hidden))[0].test] == [None, None]


def test_a_challenges_file_takes_its_answers_from_the_solutions_beside_it(tmp_path):
    hidden = {"train": TASK["train"], "test": [{"input": [[3]]}]}
    source = write(tmp_path / "arc_challenges.json", {"x": hidden, "a": hidden})
    assert [(task.id, task.test[0].output) for task in ARC.load(source)] == [("a", None), ("x", None)]
    write(tmp_path / "arc_solutions.json", {"x": [[[7]]]})
    assert [(task.id, task.test[0].output) for task in ARC.load(source)] == [("a", None), ("x", ((7,),))]


@pytest.mark.parametrize("answers", [[], {"unknown": [[[1]]]}, {"x": []}, {"x": 3}, {"x": [[[11]]]}])
def test_wrong_solutions_are_refused(tmp_path, answers):
    source = write(tmp_path / "arc_challenges.json", {"x": {"train": TASK["train"], "test": [{"input": [[3]]}]}})
    write(tmp_path / "arc_solutions.json", answers)
    with pytest.raises(DataError):
        ARC.load(source)


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        ([], "expected a task"),
        ({}, "expected a task"),
        ({"train": [], "test": TASK["test"]}, "'train' must be a list of at least one pair"),
        ({"train": TASK["train"]}, "'test' must be"),
        ({"train": [3], "test": TASK["test"]}, "train pair 1: expected an object"),
        ({"train": [{"input": [[1]]}], "test": TASK["test"]}, "train pair 1: the output is missing"),
        (
            {"train": [*TASK["train"], {"input": [[1]], "output": [[1, 2], [3]]}], "test": TASK["test"]},
            r"t\.json, train pair 2, output: ragged: row \[1\]",
        ),
        ({"train": TASK["train"], "test": [{"output": [[1]]}]}, "test pair 1"),
        ({"x": {"train": TASK["train"], "test": [{"input": [[12]]}]}}, r"task x, test pair 1, input: cell \[0\]\[0\]"),
        ({"x/y": TASK}, "must not be empty or contain '/'"),
        ({"x": 3}, "task x: expected an object"),
    ],
)
def test_a_wrong_task_is_refused_with_file_task_pair_and_reason(tmp_path, task, reason):
    with pytest.raises(DataError, match=reason):
        ARC.load(write(tmp_path / "t.json", task))


@pytest.mark.parametrize("text", ["", "{", '{"train": 1, "train": 2, "test": 3}', "[" * 100_000, "\xff", "NaN"])
def test_a_file_that_is_no_json_is_refused(tmp_path, text):
    (tmp_path / "t.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=r"t\.json"):
        ARC.load(str(tmp_path))


def test_a_source_that_does_not_exist_names_the_choices(tmp_path):
    with pytest.raises(DataError, match="arc1-training"):
        ARC.load(str(tmp_path / "nothing"))
    with pytest.raises(DataError, match=r"no \*\.json file"):
        ARC.load(str(tmp_path))
