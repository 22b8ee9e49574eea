import asyncio
import gzip
import json
import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made import FAILURE, TASK, acting, made, programs, teaching

from soar.domains.arc.compact import Compact
from soar.domains.arc.domain import Arc
from soar.execution import open_sandbox
from soar.learning.curate import CURATORS
from soar.learning.examples import (
    Row,
    every_row,
    refinement_example,
    replay_examples,
    sampling_example,
    shortest_per_prompt,
    write_examples,
)
from soar.learning.pseudo_labels import pseudo_labelled
from soar.learning.relabel import relabel
from soar.learning.select import examples_of
from soar.learning.select import shown_pairs as pairs_of
from soar.prompts.chat import Chat
from soar.scoring import accuracy
from soar.types import Example, Origin, Program, Task

CODES = (
    "def transform(grid):\n    return [row[::-1] for row in grid]",
    "def transform(grid):\n    return grid[::-1]",
    "import numpy as np\n\n\ndef transform(grid):\n    return np.array(grid).T",
    "def transform(grid):\n    return [row + row for row in grid]",
    "def transform(grid):\n    return [[(2 * cell) % 10 for cell in row] for row in grid]",
    "def transform(grid):\n    return [[sum(map(sum, grid)) % 10]]",
)


@given(programs(min_size=1))
def test_a_relabelled_task_is_solved_by_its_program_and_keeps_its_inputs(found):
    for program in found:
        task = relabel(TASK, program)
        assert accuracy(task, program.train) == 1.0
        assert task.inputs == TASK.inputs
        assert relabel(task, program) == task


@given(programs(min_size=1))
def test_relabelling_changes_no_training_pair_of_a_true_solution(found):
    for program in found:
        assert (relabel(TASK, program).train == TASK.train) == (program.accuracy == 1.0)


def test_a_program_that_failed_somewhere_solves_no_task():
    failed = made(0, [e.output for e in TASK.train], (FAILURE, FAILURE))
    with pytest.raises(ValueError, match="failed"):
        relabel(TASK, failed)


@pytest.fixture(scope="module")
def executed():
    """Real programs on a real task, run in the real sandbox."""
    task = Arc().load("arc1-training")[3].without_answers()

    async def run() -> list[Program]:
        async with open_sandbox(workers=1, codec="arc") as sandbox:
            found = []
            for place, code in enumerate(CODES):
                outputs = tuple((await sandbox.run(code, task.inputs)).outputs)
                train, test = outputs[: len(task.train)], outputs[len(task.train) :]
                origin = Origin("s", 0, task.id, "sample", 0, 0, place)
                found.append(Program(origin, code, train, test, accuracy(task, train)))
            return found

    return task, asyncio.run(run())


def shown_pairs(text: str) -> list[tuple]:
    """Read the training pairs back from a chat prompt."""
    pairs = re.findall(r"## Training pair \d+\nInput[^\n]*\n(.*?)\nOutput[^\n]*\n(.*?)(?=\n\n)", text, re.DOTALL)
    return [
        tuple(tuple(tuple(map(int, re.findall(r"\d", line))) for line in grid.splitlines()) for grid in p)
        for p in pairs
    ]


def test_every_sampling_example_re_executed_gives_the_outputs_that_its_prompt_shows(executed):
    task, found = executed
    chat = Chat(Arc())
    chosen = CURATORS["greedy-diverse"](task, found, 6, np.random.default_rng(0))
    rows = [sampling_example(chat, task, program, np.random.default_rng(1)) for program in chosen]
    assert len(rows) == len(CODES)

    async def check() -> None:
        async with open_sandbox(workers=1, codec="arc") as sandbox:
            for row in rows:
                messages: list = row["prompt"]  # type: ignore[assignment]
                answer: list = row["completion"]  # type: ignore[assignment]
                code = chat.extract(answer[0]["content"]).code
                assert code is not None
                pairs = shown_pairs(messages[-1]["content"])
                assert len(pairs) == len(task.train)
                execution = await sandbox.run(code, [pair[0] for pair in pairs])  # type: ignore[misc]
                assert [Arc().parse(output) for output in execution.outputs] == [pair[1] for pair in pairs]

    asyncio.run(check())


def test_the_pairs_are_shuffled_per_example(executed):
    task, found = executed
    orders = {
        str(sampling_example(Chat(Arc()), task, found[0], np.random.default_rng(seed))["prompt"]) for seed in range(20)
    }
    assert len(orders) > 1


def test_compact_examples_are_plain_strings_and_give_the_program_back(executed):
    task, found = executed
    compact = Compact()
    for program in found:
        row = sampling_example(compact, task, program, np.random.default_rng(0))
        assert isinstance(row["prompt"], str)
        assert isinstance(row["completion"], str)
        assert compact.extract(row["completion"]).code == program.code
        assert row["kind"] == "sample"
        assert row["program"] == program.key


def small_task() -> tuple[Task, Program, Program]:
    """Three pairs with telling numbers; the parent is right on the second only; the child is right."""
    train = tuple(Example(((n, 0),), ((n, 9),)) for n in (1, 2, 3))
    task = Task("small", train, (Example(((4, 0),), ((4, 9),)),))
    parent = made(0, [((1, 5),), ((2, 9),), ((3, 6),)], [((4, 7),)], task=task)
    child = made(1, [e.output for e in train], [((4, 9),)], task=task, parents=(parent.key,))
    return task, parent, child


@given(st.integers(0, 2**32))
def test_in_a_refinement_example_grids_outputs_and_verdicts_move_together(seed):
    task, parent, child = small_task()
    row = refinement_example(Chat(Arc()), task, parent, child, np.random.default_rng(seed))
    text = row["prompt"][-1]["content"]  # type: ignore[index]
    pairs = shown_pairs(text)
    assert sorted(pairs) == sorted((e.input, e.output) for e in task.train)
    made_of = dict(zip(task.inputs, parent.outputs, strict=True))
    for number, (grid, output) in enumerate(pairs, 1):
        verdict = re.search(
            rf"^Training pair {number}: (right|wrong)\.(.*?)(?=^Training pair|^Test )", text, re.M | re.S
        )
        assert verdict is not None
        assert (verdict[1] == "right") == (made_of[grid] == output)
        if verdict[1] == "wrong":
            assert "".join(str(cell) for cell in made_of[grid][0]) in re.sub(r"\s", "", verdict[2])  # type: ignore[index]


@pytest.mark.parametrize("rendering", [Chat(Arc()), Compact()])
def test_a_refinement_by_hindsight_is_the_prompt_of_the_relabelled_task(rendering):
    task, parent, _ = small_task()
    child = made(2, [((1, 5),), ((2, 8),), ((3, 8),)], [((4, 8),)], task=task)
    row = refinement_example(rendering, task, parent, child, np.random.default_rng(0))
    order = np.random.default_rng(0).permutation(3)
    train = tuple(Example(task.train[i].input, child.train[i]) for i in order)
    shown = Task("small", train, (Example(((4, 0),), None),))
    judged = made(0, [parent.train[i] for i in order], parent.test, task=shown)
    assert judged.accuracy == 1 / 3
    wanted = rendering.refinement(shown, (judged,), rendering.details(shown)[0])
    text = wanted if isinstance(wanted, str) else wanted[-1].content
    assert (row["prompt"] if isinstance(wanted, str) else row["prompt"][-1]["content"]) == text  # type: ignore[index]


def examples(task, found, closeness=None, **changes):
    return examples_of(teaching(closeness, **changes), task, found, seed=0)


def test_a_task_gives_sampling_and_refinement_rows_and_without_answers_only_sampling_rows():
    parent, child = acting(0, 1), acting(1, 4, 2, parents=(acting(0, 1).key,))
    rows = examples(TASK, [parent, child])
    assert [(row["kind"], row["program"]) for row in rows] == [
        ("sample", child.key),
        ("sample", parent.key),
        ("refine", child.key),
    ]
    hidden = examples(TASK.without_answers(), [parent, child], pseudo_labels=False)
    assert {row["kind"] for row in hidden} == {"sample"}


def test_a_row_says_how_its_program_came_to_be_chosen():
    parent, child = acting(0, 1), acting(1, 4, 2, parents=(acting(0, 1).key,))
    rows = examples(TASK, [parent, child], curator="uniform", pairing="uniform")
    assert sorted((row["kind"], row["program"], str(row["why"]).split("; ")[1]) for row in rows) == [
        ("refine", child.key, "of a parent with 1 of 6 pairs right"),
        ("sample", child.key, "6 of 6 pairs right"),
        ("sample", parent.key, "1 of 6 pairs right"),
    ]
    assert [str(row["why"]).split("; ")[0] for row in rows] == ["uniform, 1 of 2", "uniform, 2 of 2", "uniform, 1 of 1"]
    hidden = examples(TASK.without_answers(), [parent], curator="uniform")
    assert [row["why"] for row in hidden] == ["uniform, 1 of 1; 1 of 4 pairs right"]
    found = [acting(n, n % 3, 0, n) for n in range(6)]
    rows = examples(TASK, found, samples_per_task=0, hindsight_pairs_per_task=2)
    assert {str(row["why"]).split("; ")[0] for row in rows} == {"hindsight"}
    asked = {pairs_of(TASK, parent)}
    (row, _) = examples_of(teaching(samples_per_task=0, across_tasks=True, true_copies=2), TASK, [parent], 0, asked)
    assert row["why"] == "solves another task; 1 of 6 pairs right"


def test_pairs_by_hindsight_are_rows_with_and_without_answers():
    found = [acting(n, n % 3, 0, n) for n in range(6)]
    for task in (TASK, TASK.without_answers()):
        rows = examples(task, found, samples_per_task=0, hindsight_pairs_per_task=4)
        assert [row["kind"] for row in rows] == ["refine"] * 4
        assert len({row["program"] for row in rows}) == 4


def test_parents_by_hindsight_are_the_closest_where_that_is_asked_for():
    found = [acting(n, n % 3, 0, n, code=f"def transform(grid):\n    return {n}00") for n in range(6)]

    def closeness(task, program):
        assert task.train != TASK.train, "the wanted outputs are the child's"
        return float(program.key == found[2].key)

    rows = examples(TASK, found, closeness, samples_per_task=0, hindsight_pairs_per_task=6)
    children = [row for row in rows if row["program"] != found[2].key]
    assert len(children) == 5
    assert all("return 200" in json.dumps(row["prompt"]) for row in children)


def test_true_solutions_are_taken_as_often_as_asked_for():
    parent, child = acting(0, 1), acting(1, 4, 2)
    rows = examples(TASK, [parent, child], true_copies=3)
    assert [row["program"] for row in rows] == [child.key] * 3 + [parent.key]


def test_with_pseudo_labels_a_task_is_learnt_from_as_if_the_voted_answer_were_known():
    found = [acting(0, 4, 0, 5), acting(1, 4, 0, 6), acting(2, 4, 0, 6), acting(3, 3, 2), acting(4, 3, 2)]
    voted = relabel(TASK, found[1])
    asked = {"curator": "correct-only", "deduplicate": "none", "true_copies": 3}
    rows = examples(TASK.without_answers(), found, **asked)
    assert Counter(row["program"] for row in rows) == {found[1].key: 3, found[2].key: 3}
    assert [{**row, "why": ""} for row in rows] == [{**row, "why": ""} for row in examples(voted, found, **asked)]
    assert {row["why"] for row in rows} == {
        f"correct-only, {n} of 2; 4 of 4 pairs right; agrees with the vote taken for the answer" for n in (1, 2)
    }
    assert examples(TASK, found, **asked) == examples(TASK, found, pseudo_labels=False, **asked) == []


@given(programs())
def test_a_pseudo_label_is_what_most_programs_right_on_all_training_pairs_answer(found):
    hidden = TASK.without_answers()
    task = pseudo_labelled(hidden, found)
    answers = Counter(program.test for program in found if program.accuracy == 1.0)
    assert (task.id, task.train, task.inputs) == (TASK.id, TASK.train, TASK.inputs)
    if answers:
        assert answers[tuple(example.output for example in task.test)] == max(answers.values())
    else:
        assert task == hidden


def test_the_same_programs_and_seed_give_the_same_rows_and_a_file_is_whole(tmp_path):
    found = [acting(n, n % 5, n % 3, n) for n in range(8)]
    rows = examples(TASK, found)
    assert rows == examples(TASK, found)
    write_examples(tmp_path / "data" / "rows.jsonl", rows)
    assert [json.loads(line) for line in (tmp_path / "data" / "rows.jsonl").read_text().splitlines()] == rows


def test_replayed_rows_are_some_of_the_models_own(tmp_path):
    own = [{"prompt": f"p{n}", "completion": f"c{n}"} for n in range(10)]
    (tmp_path / "replay.jsonl.gz").write_bytes(gzip.compress("".join(json.dumps(r) + "\n" for r in own).encode()))
    rows = replay_examples(tmp_path, 4, np.random.default_rng(0))
    assert len(rows) == 4
    assert all(row["kind"] == "replay" for row in rows)
    assert {row["prompt"] for row in rows} <= {row["prompt"] for row in own}
    assert replay_examples(tmp_path / "none", 0, np.random.default_rng(0)) == []


def test_of_rows_with_one_prompt_the_shortest_stays_where_that_is_asked_for():
    texts = (("a", "xyz", 1), ("b", "xy", 2), ("a", "x", 3), ("a", "y", 4), ("a", "x", 3))
    rows: list[Row] = [{"prompt": prompt, "completion": text, "program": name} for prompt, text, name in texts]
    assert shortest_per_prompt(rows) == [rows[2], rows[4], rows[1]]
    assert every_row(rows) == rows


def test_what_solves_any_task_of_the_stage_is_taught_beside_those_chosen_and_as_often_as_a_true_solution():
    found = [acting(n, 0, 0, n) for n in range(6)]
    asked = {pairs_of(TASK), pairs_of(TASK, found[4])}
    settings = {"curator": "uniform", "samples_per_task": 2, "true_copies": 3}

    def times(**changes):
        rows = examples_of(teaching(**settings, **changes), TASK.without_answers(), found, 0, asked)
        return Counter(row["program"] for row in rows)

    chosen = times()
    assert set(chosen.values()) == {1}
    assert len(chosen) == 2
    assert times(across_tasks=True) == {**chosen, found[4].key: 3}
