"""What a run shows while it goes on: what is finished stays, what goes on has its numbers, foreign text stays text."""

import asyncio
import io
from dataclasses import replace

import pytest
from rich.console import Console
from scripted_runs import HOSTILE, standing

from soar import session
from soar.report import metrics, progress, so_far
from soar.report.foreign import visible
from soar.report.progress import Progress, Training, short, show_progress, span
from soar.report.so_far import SoFar


def test_a_training_tells_its_time_left_by_its_own_steps():
    training = Training(begun=0.0).heard(10.0, {"examples": 7.0})
    assert training.seconds_left(11.0) is None
    assert (training.numbers, training.first, training.last) == ({"examples": 7.0}, None, None)
    training = training.heard(20.0, {"step": 1, "of": 21, "loss": 0.5})
    assert training.seconds_left(21.0) is None
    training = training.heard(30.0, {"step": 6, "of": 21, "loss": 0.4})
    assert training.seconds_left(30.0) == 15 * 2.0
    assert training.seconds_left(33.0) == 15 * 2.0 - 3
    assert training.seconds_left(99.0) == 0.0
    assert (training.numbers["loss"], training.first, training.last) == (0.4, (20.0, 1), (30.0, 6))


def test_a_training_that_has_ended_leaves_nothing_for_later_searches():
    said = Progress()
    said.note({"step": 2, "of": 2, "loss": 0.25})
    assert said.training
    said.note({})
    assert said.training is None
    assert said.trained["loss"] == 0.25
    said.note({})
    assert said.trained["loss"] == 0.25


def test_solved_so_far_is_what_the_table_says_in_the_end(finished):
    with session.view_run(finished) as view:
        records = metrics.report(view)["iterations"]
        for step, record in zip(view.plan, records, strict=True):
            found = SoFar(view, step)
            found.look()
            found.look()  # what did not change since the last look is judged by now
            assert (found.solved, found.fitting) == (record["solved"], record["solved_train_pairs"])
            assert found.programs == record["programs"]
            again = SoFar(view, step)
            again.look(all_of_it=True)
            assert again.solved == found.solved


def test_tasks_have_their_turn_where_there_is_time_for_one_at_a_look(finished, monkeypatch):
    monkeypatch.setattr(so_far, "READ_SECONDS", -1.0)
    with session.view_run(finished) as view:
        record = metrics.report(view)["iterations"][0]
        found = SoFar(view, view.plan[0])
        counts = []
        for _ in range(record["tasks"]):
            found.look()
            counts.append(found.programs)
    assert counts == sorted(set(counts)), "each look judged one more"
    assert (found.solved, found.programs) == (record["solved"], record["programs"])


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(progress, "POLL_EVERY", 0.01)
    monkeypatch.setattr(progress, "PRINT_EVERY", 0.0)


tracked = []
"""What the last call of `shown` was tracked with."""


def shown(path, told=None, *, terminal=False):
    """What is printed of a run in a third of a second."""
    tracked.clear()
    written = io.StringIO()
    console = Console(file=written, force_terminal=terminal, width=200)

    async def look(view):
        task = asyncio.create_task(show_progress(view, told or Progress(), console, tracked.append))
        await asyncio.sleep(0.3)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    with session.view_run(path) as view:
        asyncio.run(look(replace(view, tasks=view.tasks)))
    return written.getvalue()


def test_a_search_that_goes_on_is_a_line_with_counts_tokens_and_what_is_solved(stopped, quick):
    said = shown(stopped).splitlines()
    assert said
    now = standing(stopped)
    with session.view_run(stopped) as view:
        record = metrics.report(view)["iterations"][1]
    assert said[-1].startswith(f"train 1 (search 2 of 3): {now.completions} of 60 completions; ")
    assert f"so far solved {record['solved']}, train pairs {record['solved_train_pairs']} of 3; " in said[-1]
    with session.view_run(stopped) as view:
        records = metrics.report(view)["iterations"]
    tokens = sum(sum(each["tokens"].values()) for each in records)  # earlier searches count too
    assert f"; {short(tokens)} tokens in all; " in said[-1]


def test_a_finetuning_has_its_own_time_left(stopped, quick):
    told = Progress()
    told.training = Training(0.0, (0.0, 1.0), (1e9, 11.0), {"step": 11, "of": 12, "loss": 0.5})
    said = shown(stopped, told).splitlines()[-1]
    assert "finetuning, step 11 of 12; loss 0.5" in said
    assert "of this finetuning" in said


def test_a_terminal_shows_it_in_place_and_leaves_nothing(stopped, quick):
    said = shown(stopped, terminal=True)
    assert "train 1 (search 2 of 3)" in said
    assert said.endswith("\r" + 3 * "\x1b[1A\x1b[2K"), "its three lines are wiped away"


def test_what_is_finished_meanwhile_stays_and_foreign_text_is_no_markup(finished, quick, monkeypatch):
    monkeypatch.setattr(progress._Watch, "now", lambda self: [HOSTILE])
    real = progress._Watch.__init__

    def as_if_just_begun(self, view, told, track):
        real(self, view, told, track)
        self._reported.clear()
        self._tuned.clear()
        told.trained = {"loss": 0.25}

    monkeypatch.setattr(progress._Watch, "__init__", as_if_just_begun)
    with session.view_run(finished) as view:
        records = metrics.report(view)["iterations"]
    lines = shown(finished).splitlines()
    searched = [line for line in lines if "programs; " in line]
    for line, record in zip(searched, records, strict=True):
        score = f"solved {record['solved']}, train pairs {record['solved_train_pairs']} of {record['tasks']}"
        assert line.startswith(f"{record['stage']} {record['iteration']}: {score}; {record['programs']} programs; ")
    assert [line for line in lines if "finetuned in" in line] == ["train 1: finetuned in 0 s; loss 0.25"]
    assert [each["search/solved"] for each in tracked] == [record["solved"] for record in records]
    assert [each["search/tokens"] for each in tracked] == [sum(record["tokens"].values()) for record in records]
    assert visible(HOSTILE) in lines
    assert HOSTILE not in "\n".join(lines)


def test_what_finishes_after_the_last_look_is_said_at_the_end(finished, quick, monkeypatch):
    looks = iter([[], ["train 0: the end"]])
    monkeypatch.setattr(progress._Watch, "finished", lambda self: next(looks))
    monkeypatch.setattr(progress._Watch, "now", lambda self: [])
    monkeypatch.setattr(progress, "POLL_EVERY", 60)
    assert shown(finished) == "train 0: the end\n"


@pytest.mark.parametrize(("count", "said"), [(999, "999"), (33_215, "33.2k"), (1_302_608, "1.30M")])
def test_a_large_number_has_few_digits(count, said):
    assert short(count) == said


@pytest.mark.parametrize(("seconds", "said"), [(0.4, "0 s"), (99.4, "99 s"), (150, "2 min"), (7200, "2.0 h")])
def test_a_duration_is_said_in_one_unit(seconds, said):
    assert span(seconds) == said
