"""A task's programs as they are read: what they did is there, and is made into values where somebody looks at it."""

from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from filled import PLACES, TASKS, fill

from soar.archive.reader import ArchiveReader
from soar.archive.rows import CompletionRow, decode_output
from soar.domains.arc.filters import is_hard_coded
from soar.ensemble import filtered
from soar.learning.curate import CURATORS, lineage
from soar.learning.dedup import by_outputs, by_text
from soar.search.evaluate import evaluated
from soar.types import Example, Program, Task

TASK = Task("one", (Example(0, ((0, 1),)), Example(1, ((2, 0),))), (Example(2, ((0,),)),))


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    path = tmp_path_factory.mktemp("programs") / "archive.sqlite"
    fill(path)
    return path


def programs(path, task):
    with closing(ArchiveReader(path)) as reader:
        return reader.programs(task, "train")


def test_what_arrived_is_each_completion_or_the_program_that_was_executed(archive):
    with closing(ArchiveReader(archive)) as reader:
        for task in TASKS:
            expected = {row.origin.key: row for at in PLACES for row in reader.completions("train", 0, task, *at)}
            expected |= {program.origin.key: program for program in reader.programs(task, "train", 0)}
            assert {each.origin.key: each for each in reader.arrived("train", 0, task)} == expected
            assert {type(each) for each in expected.values()} == {Program, CompletionRow}


def test_programs_are_those_of_their_executions_also_when_the_archive_is_closed(archive):
    for task in TASKS:
        found = programs(archive, task)
        assert found
        with closing(ArchiveReader(archive)) as reader:
            for program in found:
                row = reader.execution(task, program.code)
                assert row
                same = evaluated(row, {}).program(program.origin, program.parents)
                values = {
                    name: getattr(row, name) for name in ("code", "train", "test", "accuracy", "ballot", "behaviour")
                }
                values |= {"parents": program.parents, "nondeterministic": row.status == "nondeterministic"}
                assert program == same == Program(program.origin, **values)


def test_choosing_makes_no_output(archive):
    decode_output.cache_clear()
    for task in (TASK, TASK.without_answers()):
        found, _ = filtered(task, programs(archive, "one"), {"hard-coded": is_hard_coded})
        assert found
        for curator in CURATORS.values():
            curator(task, by_text(task, found), 4, np.random.default_rng(0))
        assert by_outputs(task, found)
        lineage(task, found)
    assert decode_output.cache_info().misses == 0
    assert found[0].train
    assert decode_output.cache_info().misses == len(found[0].train)


def test_programs_from_the_archive_are_chosen_as_others_are(archive):
    found = programs(archive, "one")
    plain = [
        Program(p.origin, p.code, p.train, p.test, p.accuracy, p.parents, ballot=p.ballot, behaviour=p.behaviour)
        for p in found
    ]
    for task in (TASK, TASK.without_answers()):
        for curator in CURATORS.values():
            chosen, others = (curator(task, some, 9, np.random.default_rng(0)) for some in (found, plain))
            assert chosen == others
        assert lineage(task, found) == lineage(task, plain)


def test_outputs_are_asked_for_a_few_at_a_time(archive, monkeypatch):
    whole = programs(archive, "two")
    monkeypatch.setattr("soar.archive.held.AT_ONCE", 2)
    assert programs(archive, "two") == whole


def test_a_program_told_apart_by_its_run_is_the_same_and_makes_no_output(archive):
    program = programs(archive, TASKS[0])[0]
    other = program.of_run("runs/b")
    assert other.key == f"runs/b:{program.key}"
    assert other.written is program.written
    assert replace(other, origin=program.origin, parents=program.parents) == program
