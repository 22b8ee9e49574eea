"""What a finished search came to is kept beside its answers, and is passed over where it is no longer true."""

import json
import shutil
from dataclasses import replace

import pytest

from soar.archive.reader import ArchiveReader
from soar.report.metrics import report
from soar.report.overview import overview
from soar.report.task_results import kept
from soar.run import RunDirectory
from soar.session import view_run


@pytest.fixture
def copy(finished, tmp_path):
    """A finished run that a test may change."""
    return shutil.copytree(finished, tmp_path / "run")


@pytest.fixture
def reading_programs(monkeypatch):
    """The tasks whose programs were read."""
    read: list[str] = []
    programs = ArchiveReader.programs

    def noted(self, task_id, *place):
        read.append(task_id)
        return programs(self, task_id, *place)

    monkeypatch.setattr(ArchiveReader, "programs", noted)
    return read


@pytest.mark.parametrize("told", [report, overview])
def test_what_is_told_of_finished_searches_reads_all_programs_of_no_task_and_is_the_same(copy, reading_programs, told):
    with view_run(copy) as view:
        quick = told(view)
        assert reading_programs == []
        shutil.rmtree(copy / "results")
        assert told(view) == quick
        assert set(reading_programs) == {task.id for tasks in view.tasks.values() for task in tasks}


def test_what_was_kept_is_passed_over_where_something_else_would_be_computed(copy):
    with view_run(copy) as view:
        step = view.plan[0]
        results = kept(view, step)
        assert results is not None
        assert [result.task_id for result in results] == [task.id for task in view.tasks[step.stage.name]]
        first, *rest = view.tasks[step.stage.name]
        unanswered = {**view.tasks, step.stage.name: [first.without_answers(), *rest]}
        assert kept(replace(view, tasks=unanswered), step) is None
        fewer = replace(view.answering, filters={})
        assert kept(replace(view, answering=fewer), step) is None
        path = RunDirectory(copy).results(step.number)
        text = path.read_text()
        changed = json.loads(text)
        changed["tasks"][0]["programs"] += 1
        for broken in (json.dumps(changed), text[: len(text) // 2], "[]", ""):
            path.write_text(broken)
            assert kept(view, step) is None
        path.write_text(text)
        assert kept(view, step) == results


def test_what_was_kept_of_other_completions_is_passed_over(copy):
    with view_run(copy) as view:
        step = view.plan[0]
        counts = view.reader.completions_by_task(*step.key)
        task = max(counts, key=lambda name: counts[name])

        class Grown(ArchiveReader):
            def completions_by_task(self, stage, iteration):
                return {**counts, task: counts[task] + 1}

        reader = Grown(RunDirectory(copy).archive)
        try:
            assert kept(replace(view, reader=reader), step) is None
        finally:
            reader.close()
