from dataclasses import replace
from typing import Any

import pytest

from soar.domains.arc.domain import Arc
from soar.domains.complete import complete, fingerprints
from soar.domains.task_set import described, is_described, overlap, read_ids, select, task_set_hash
from soar.errors import DataError
from soar.tasks_in_hand import canonical
from soar.types import Example, Task

TASKS = [Task(f"t{i}", (Example(((i,),), ((0,),)),), (Example(((9,),), ((i,),)),)) for i in range(8)]


marks = Arc().fingerprints


def test_the_hash_depends_on_content_and_not_on_order():
    assert task_set_hash(TASKS) == task_set_hash(TASKS[::-1])
    changed = replace(TASKS[0], test=(replace(TASKS[0].test[0], output=((5,),)),))
    assert len({task_set_hash(TASKS), task_set_hash(TASKS[1:]), task_set_hash([changed, *TASKS[1:]])}) == 3


def test_a_draw_is_without_replacement_and_repeats_with_its_seed():
    drawn = select(TASKS, count=5, seed=3)
    assert len({task.id for task in drawn}) == 5
    assert drawn == select(TASKS[::-1], count=5, seed=3) == sorted(drawn, key=lambda task: task.id)
    assert any(drawn != select(TASKS, count=5, seed=seed) for seed in range(9))


def test_a_smaller_draw_is_a_part_of_a_larger_one():
    assert all(task in select(TASKS, count=6, seed=1) for task in select(TASKS, count=3, seed=1))


def test_ids_choose_exactly_those_tasks():
    assert [task.id for task in select(TASKS, ids=["t5", "t2"])] == ["t2", "t5"]
    assert select(TASKS, ids=["t5", "t2"], count=1, seed=0)[0].id in {"t2", "t5"}
    assert select(TASKS) == TASKS


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"ids": ["t1", "zz"]}, "1 of 2 ids are not among these 8 tasks: zz"),
        ({"ids": ["t1", "t1"]}, "more than once: t1"),
        ({"count": 9}, "expected 1 to 8"),
        ({"count": 0}, "expected 1 to 8"),
    ],
)
def test_an_impossible_choice_is_refused(wanted, reason):
    with pytest.raises(DataError, match=reason):
        select(TASKS, **wanted)


def test_repeated_ids_are_found_in_one_pass():
    class Ids(list[str]):
        def count(self, value):
            raise AssertionError("a pass for every id: minutes for a large set")

    assert select(TASKS, ids=Ids(["t5", "t2"])) == [TASKS[2], TASKS[5]]
    with pytest.raises(DataError, match=r"more than once: t1, t5$"):
        select(TASKS, ids=Ids(["t5", "t1", "t1", "t5"]))


def test_ids_are_read_from_lines_or_json(tmp_path):
    path = tmp_path / "ids"
    path.write_text("t1\n\n# a comment\nt2  # why\n")
    assert read_ids(path) == ["t1", "t2"]
    path.write_text('["t1", "t2"]')
    assert read_ids(path) == ["t1", "t2"]


@pytest.mark.parametrize("text", ["t1\nt2", '["t1", "t2"]'])
def test_a_byte_order_mark_before_ids_is_passed_over(tmp_path, text):
    (tmp_path / "ids").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert read_ids(tmp_path / "ids") == ["t1", "t2"]


@pytest.mark.parametrize("text", ["", "[1]", "[", "# nothing"])
def test_a_file_without_ids_is_refused(tmp_path, text):
    (tmp_path / "ids").write_text(text)
    with pytest.raises(DataError):
        read_ids(tmp_path / "ids")


def test_tasks_that_share_a_pair_overlap_and_hidden_answers_do_not():
    assert overlap(TASKS[:3], [replace(TASKS[1], id="other"), TASKS[7]], marks) == [("t1", "other")]
    hidden = [Task("h", (Example(((5,),), ((5,),)),), (Example(((9,),), None),))]
    assert overlap(hidden, hidden, marks) == [("h", "h")]
    assert overlap([replace(task, train=()).without_answers() for task in TASKS], TASKS, marks) == []


def test_tasks_of_other_domains_are_the_same_where_all_training_pairs_are_equal_in_whatever_order():
    pairs = tuple(Example(n, n * n) for n in range(4))
    task = Task("a", pairs, (Example(4, 16),))
    moved, longer = Task("b", pairs[::-1], (Example(5, 25),)), Task("c", (*pairs, Example(9, 81)), task.test)
    assert overlap([task], [moved, longer], fingerprints) == [("a", "b")]


@pytest.mark.slow
def test_arc1_evaluation_lies_in_arc2_training():
    arc = Arc()
    evaluation = arc.load("arc1-evaluation")
    assert len({left for left, _ in overlap(evaluation, arc.load("arc2-training"), marks)}) == 376
    assert overlap(evaluation, arc.load("arc1-training"), marks) == [("070dd51e", "40853293")]


def test_a_domain_that_loads_something_else_is_told_so():
    class Words:
        def load(self, source):
            return ["abc", source]

        def parse(self, value):
            return value

    with pytest.raises(
        DataError, match=r"^words\.json: the domain's load returned a str, expected tasks \(soar\.Task\)"
    ):
        complete(Words(), "words").load("words.json")


def test_a_domain_that_gives_one_id_to_two_tasks_is_refused_before_anything_is_paid_for():
    class Twice:
        def load(self, source):
            pair = Example(source, 1)
            return [Task(name, (pair,), (pair,)) for name in ("c", "b", "a", "c", "b")]

        def parse(self, value):
            return value

    with pytest.raises(DataError, match=r"^words\.json: .* several tasks of the id 'b': expected each id once\. Name"):
        complete(Twice(), "twice").load("words.json")


def test_a_description_holds_for_the_same_tasks_with_more_answers_and_for_no_others():
    def task(id_, *answers):
        return Task(id_, (Example(1, 1),), tuple(Example(place, answer) for place, answer in enumerate(answers)))

    then = described([task("a", 1), task("b", None, 2), task("c", None)])
    same = [[task("a", 1), task("b", None, 2), task("c", None)], [task("c", 5), task("b", 4, 2), task("a", 1)]]
    changed, gone = [task("a", 1), task("b", None, 3), task("c", None)], [task("a", None), *same[0][1:]]
    other = [task("a", 1), task("b", None, 2), Task("c", (Example(1, 2),), task("c", None).test)]
    assert all(is_described(tasks, then) for tasks in same)
    assert not any(is_described(tasks, then) for tasks in (changed, gone, other, same[0][:2]))


def test_a_description_by_an_earlier_version_is_one_hash():
    hidden, known = (Task("a", (Example(1, 1),), (Example(2, answer),)) for answer in (None, 2))
    assert is_described([known], {"hash": task_set_hash([hidden])})
    assert not is_described([hidden], {"hash": task_set_hash([known])})


class Given:
    """A domain of one task."""

    def __init__(self, task):
        self.task = task

    def load(self, source):
        return [self.task]

    def parse(self, value):
        return value


def cyclic(kind):
    value: Any = kind()
    value.update(own=value) if kind is dict else value.append(value)
    return value


@pytest.mark.parametrize("kind", [dict, list])
def test_a_value_that_holds_itself_is_refused_with_the_pair_that_it_is_in(kind):
    task = Task("mine", (Example(1, 2), Example(cyclic(kind), 2)), (Example(1, None),))
    domain = complete(Given(task))
    with pytest.raises(DataError, match="task mine, training pair 2"):
        domain.load("mine")
    with pytest.raises(DataError, match="task mine, training pair 2"):
        canonical(domain, task)
