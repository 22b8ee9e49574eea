import json
import logging
import os

import pytest

from soar.config import validated
from soar.domains.arc.domain import Arc
from soar.domains.complete import complete
from soar.domains.task_set import load
from soar.errors import DataError
from soar.task_sets import load_task_sets
from soar.types import Example, Task

PAIR = {"input": [[1, 2]], "output": [[2, 1]]}
GOOD = {"train": [PAIR], "test": [PAIR]}
TALL = {"train": [PAIR], "test": [{"input": [[0]] * 35}]}
BOM = b"\xef\xbb\xbf"


@pytest.fixture
def folder(tmp_path):
    """Two tasks, one with 35 rows, and what a Mac leaves behind."""
    for name, raw in {"a": GOOD, "b": GOOD, "tall": TALL}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(raw))
    (tmp_path / "._a.json").write_bytes(b"\x00\x05\x16\x07Mac OS X")
    (tmp_path / ".DS_Store").write_bytes(b"\x00\x00\x00\x01Bud1")
    return tmp_path


def ids(tasks: list[Task]) -> list[str]:
    return [task.id for task in tasks]


def test_what_is_no_task_is_passed_over_with_a_count_and_the_first_reason(folder, caplog):
    (folder / "text.json").write_text("no JSON")
    (folder / "list.json").write_text("[1]")
    (folder / "named.json").mkdir()
    assert ids(Arc().load(str(folder))) == ["a", "b"]
    (said,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "skipped invalid tasks: 4" in said.getMessage()
    assert "list.json: expected an object with train and test" in said.getMessage()


def test_hidden_files_are_not_even_mentioned(folder, caplog):
    (folder / "tall.json").unlink()
    assert ids(Arc().load(str(folder))) == ["a", "b"]
    assert not caplog.records


def test_a_challenges_file_with_a_task_that_is_none_gives_the_others(tmp_path, caplog):
    (tmp_path / "x_challenges.json").write_text(json.dumps({"a": GOOD, "tall": TALL, "two": GOOD}))
    (tmp_path / "x_solutions.json").write_text(json.dumps({"a": [[[5]]], "two": [[[5]], [[6]]]}))
    tasks = Arc().load(str(tmp_path / "x_challenges.json"))
    assert [(task.id, task.test[0].output) for task in tasks] == [("a", ((5,),))]
    assert "skipped invalid tasks: 2" in caplog.text


def test_a_single_file_that_is_no_task_is_refused_with_the_reason(folder):
    with pytest.raises(DataError, match=r"tall\.json, test pair 1, input: .*35"):
        Arc().load(str(folder / "tall.json"))


def test_a_folder_without_any_task_is_refused_with_the_first_reason(folder):
    (folder / "a.json").unlink()
    (folder / "b.json").unlink()
    with pytest.raises(DataError, match=r"tall\.json, test pair 1"):
        Arc().load(str(folder))
    (folder / "tall.json").unlink()
    with pytest.raises(DataError, match=r"holds no \*\.json"):
        Arc().load(str(folder))


def test_the_tasks_asked_for_are_loaded_and_one_that_is_none_is_refused_with_its_reason(folder):
    assert "a" in ids(load(Arc(), str(folder), ids=["a"]))
    with pytest.raises(DataError, match=r"invalid requested tasks: 1, the first: .*tall\.json, test pair 1"):
        load(Arc(), str(folder), ids=["a", "tall"])


def test_strict_refuses_what_is_passed_over_otherwise(folder):
    with pytest.raises(DataError, match=r"tall\.json"):
        load(Arc(), str(folder), strict=True)
    (folder / "tall.json").unlink()
    assert ids(load(Arc(), str(folder), strict=True)) == ["a", "b"]


def test_a_configuration_says_whether_it_is_strict(folder):
    lenient, strict = (
        validated({"tasks": {"source": str(folder), "strict": strict}, "lm": {"backend": "scripted", "model": "a:b"}})
        for strict in (False, True)
    )
    assert ids(load_task_sets(lenient, Arc())["train"]) == ["a", "b"]
    with pytest.raises(DataError, match="tall"):
        load_task_sets(strict, Arc())


def test_a_domain_of_ones_own_need_not_say_what_it_passes_over():
    class Own:
        def load(self, source):
            return [Task("t", (Example(1, 2),), (Example(3, None),))]

        def parse(self, value):
            return value

    domain = complete(Own())
    assert domain.rejected("anything") == {}
    assert ids(load(domain, "anything", strict=True)) == ["t"]


@pytest.mark.parametrize("encoded", [lambda text: BOM + text.encode(), lambda text: text.encode("utf-16")])
def test_a_byte_order_mark_before_a_task_is_passed_over(tmp_path, encoded):
    (tmp_path / "a.json").write_bytes(encoded(json.dumps(GOOD)))
    assert ids(Arc().load(str(tmp_path / "a.json"))) == ids(Arc().load(str(tmp_path))) == ["a"]


def test_an_id_that_utf_8_cannot_hold_is_refused_in_words_that_can_be_written(folder):
    bad = folder / os.fsdecode(b"caf\xe9.json")
    bad.write_text(json.dumps(GOOD))
    assert ids(Arc().load(str(folder))) == ["a", "b"]
    reason = Arc().rejected(str(folder))["caf\udce9"]
    assert "a task's id must be text that UTF-8 can hold, found 'caf\\udce9': rename" in reason
    assert reason.encode()
    with pytest.raises(DataError, match="must be text that UTF-8 can hold"):
        Arc().load(str(bad))
