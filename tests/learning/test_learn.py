"""The order of learning: what is published is left alone, what a kill has left is removed, a stop is heard. And what
several runs have found, pooled."""

import asyncio
import signal
import threading
import time
from contextlib import closing
from dataclasses import replace
from typing import Any, cast

import pytest

from soar import parallel
from soar.archive.reader import ArchiveReader
from soar.archive.rows import CompletionRow, code_hash, execution_row
from soar.archive.writer import ArchiveWriter
from soar.errors import DataError, Interrupted, StoreError
from soar.files import publish
from soar.learning.learn import ExampleSource, LearningMethod, Searched, learn, pooled_programs, pooled_tasks
from soar.types import Completion, Example, Execution, Origin, Task


@pytest.mark.parametrize("left", ["1.work", "1.tmp"])
def test_what_a_kill_after_publishing_has_left_is_removed(tmp_path, left):
    out = tmp_path / "1"
    aside = tmp_path / "aside"
    aside.mkdir()
    (aside / "weights").write_text("one")
    publish(aside, out, {})
    (tmp_path / left / "checkpoint-3").mkdir(parents=True)
    nobody: Any = None
    place, data = ("train", 1), tmp_path / "examples.jsonl"
    asyncio.run(learn(nobody, place, tmp_path, nobody, data=data, out=out, on_log=nobody, kinds=set()))
    assert [path.name for path in tmp_path.iterdir()] == ["1"]
    assert (out / "weights").read_text() == "one"


def test_a_stop_is_heard_while_examples_are_chosen(tmp_path):
    asked, tasks = [], [Task(f"t{number}", (Example(1, 2),), ()) for number in range(5)]
    nobody: Any = None

    async def stopped():
        def examples(task, programs, seed, pairs):
            asked.append(task.id)
            asyncio.get_running_loop().call_soon(learning.cancel)
            return []

        method = LearningMethod(0, True, examples, nobody, nobody, nobody, nobody, {})
        paths = {"data": tmp_path / "examples.jsonl", "out": tmp_path / "1"}
        source = ExampleSource(tasks, lambda task: [], examples)
        learning = asyncio.ensure_future(
            learn(method, ("train", 1), tmp_path, source, **paths, on_log=nobody, kinds=set())
        )
        await learning

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(stopped())
    assert asked == ["t0"]
    assert not list(tmp_path.iterdir())


def examples_elsewhere(task, programs, seed, pairs):
    """Take a minute for every task but the first."""
    time.sleep(0 if task.id == "t0" else 60)
    return []


def test_a_stop_is_heard_while_other_processes_choose_examples(tmp_path, monkeypatch, sharing_out):
    started: list[Any] = []
    start = parallel._started
    monkeypatch.setattr(parallel, "_started", lambda processes: started.extend(start(processes)) or started)
    tasks, nobody = [Task(f"t{number}", (Example(1, 2),), ()) for number in range(5)], cast(Any, None)

    async def stopped():
        method = LearningMethod(0, True, examples_elsewhere, nobody, nobody, nobody, nobody, {})
        paths = {"data": tmp_path / "examples.jsonl", "out": tmp_path / "1"}
        source = ExampleSource(tasks, cast(Any, repr), examples_elsewhere)
        learning = asyncio.create_task(
            learn(method, ("train", 1), tmp_path, source, **paths, on_log=nobody, kinds=set())
        )
        asyncio.get_running_loop().call_soon(learning.cancel)
        await learning

    begun = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(stopped())
    assert time.monotonic() - begun < 40
    assert [child.returncode for child in started] == [-signal.SIGKILL] * 2


@pytest.mark.parametrize(
    ("ended", "raised"),
    [
        (None, asyncio.CancelledError),
        (Interrupted("stopped"), asyncio.CancelledError),
        (StoreError("full"), StoreError),
    ],
)
def test_a_cancelled_finetuning_is_waited_for_until_its_checkpoint_is_written(tmp_path, ended, raised):
    nobody: Any = None
    begun, go_on = threading.Event(), threading.Event()

    def finetune(*_):
        begun.set()
        assert go_on.wait(20)
        if ended:
            raise ended

    async def stopped():
        method = LearningMethod(0, True, nobody, nobody, list, lambda _: [], finetune, {})
        paths = {"data": tmp_path / "examples.jsonl", "out": tmp_path / "1"}
        source = ExampleSource([], nobody, nobody)
        learning = asyncio.create_task(
            learn(method, ("train", 1), tmp_path, source, **paths, on_log=lambda _: None, kinds=set())
        )
        await asyncio.to_thread(begun.wait)
        learning.cancel()
        await asyncio.wait([learning], timeout=0.2)
        assert not learning.done(), "it would be over before the thread is"
        go_on.set()
        await learning

    with pytest.raises(raised):
        asyncio.run(stopped())


TASK = Task("t", (Example(1, 2),), (Example(3, 4),))


def searched(path, code, *, parents=(), stage="train"):
    """Make the archive of a run with one program, which doubles, and open it."""
    origin = Origin(stage, 0, "t", "sample", 0, 0, 0)
    rows = [
        CompletionRow(origin, Completion(code), "code", code_hash(code), parents),
        execution_row(TASK, code, Execution((2, 6))),
    ]
    with closing(ArchiveWriter(path)) as writer:
        asyncio.run(writer.begin(stage, 0))
        asyncio.run(writer.add(rows))
    return ArchiveReader(path)


def test_programs_of_several_runs_are_pooled_and_keep_keys_of_their_own(tmp_path):
    one, two = searched(tmp_path / "1.sqlite", "one"), searched(tmp_path / "2.sqlite", "two", parents=("train/0/t/x",))
    with closing(one), closing(two):
        runs = [Searched({"train": [TASK]}, one, "runs/one"), Searched({"train": [TASK]}, two, "runs/two")]
        found = pooled_programs(runs, TASK)
        assert [(program.code, program.key) for program in found] == [
            ("one", "runs/one:train/0/t/sample/0/0/0"),
            ("two", "runs/two:train/0/t/sample/0/0/0"),
        ]
        assert found[1].parents == ("runs/two:train/0/t/x",)
        own = Searched({"train": [TASK]}, one)
        assert [program.key for program in pooled_programs([own], TASK)] == ["train/0/t/sample/0/0/0"]
        assert pooled_programs([replace(own, stages={"other": [TASK]})], TASK) == []
        assert pooled_programs([replace(own, stages={"train": []})], TASK) == []


def test_a_pooled_task_has_the_answers_that_one_of_its_runs_may_learn_from():
    nobody: Any = None
    hidden = TASK.without_answers()
    for stages in ([hidden], [TASK]), ([TASK], [hidden]):
        assert pooled_tasks([Searched({"a": tasks}, nobody) for tasks in stages]) == [TASK]
    assert pooled_tasks([Searched({"a": [hidden], "b": [hidden]}, nobody)]) == [hidden]


def test_two_different_tasks_of_one_name_are_not_pooled():
    nobody: Any = None
    other = replace(TASK, train=(Example(1, 3),))
    with pytest.raises(DataError, match=r"task 't' differs between the pooled searches \(runs/b\)"):
        pooled_tasks([Searched({"a": [TASK]}, nobody, "runs/a"), Searched({"a": [other]}, nobody, "runs/b")])
