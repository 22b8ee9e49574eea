"""The score of the first programs: which are the first, what they reach and what they took, recomputed by hand."""

import sqlite3
from contextlib import closing

import pytest

from soar import session
from soar.ensemble import Answering, sum_vote
from soar.report.figures.anytime import Reached, Search, anytime_figure, anytime_points, at, sizes, track
from soar.report.figures.point import Drawn, Place, Point, means
from soar.report.figures.read import read
from soar.types import Example, Origin, Program, Task

TASK = Task("t", (Example(1, 2),), (Example(3, 6),))
RUN = Drawn("run", 1, "run")
VOTE = Answering(sum_vote, {"hard-coded": lambda task, program: program.code == "rejected"})


def sample(step, index=0):
    return Origin("train", 0, "t", "sample", 0, step, index)


def refined(island, step):
    return Origin("train", 0, "t", "refine", island, step, 0)


def program(origin, answer, accuracy=1.0, code="code"):
    return Program(origin, code, (2,), (answer,), accuracy)


def test_first_are_samples_by_request_then_refinements_call_by_call_over_the_islands():
    order = [sample(0, 1), sample(1), refined(0, 0), refined(1, 0), refined(0, 1), refined(1, 1)]
    tokens = dict(zip(order, (1, 2, 4, 8, 16, 32), strict=True))
    for place, known in enumerate(((1, 2, 4, 6), (2, 4, 6), (4, 6), (4, 6), (6,), (6,))):
        programs = [program(origin, 6 if n == place else n - 10) for n, origin in enumerate(order)]
        found = track(TASK, sorted(programs, key=lambda each: each.origin), tokens, VOTE)
        assert [(each.programs, each.tokens) for each in found] == [(1, 1), (2, 3), (4, 15), (6, 63)]
        assert tuple(each.programs for each in found if each.oracle) == known


def test_only_the_first_programs_vote():
    origins = [sample(n) for n in range(8)]
    programs = [program(origin, answer) for origin, answer in zip(origins, (6, 1, 1, 1, 2, 2, 2, 2), strict=True)]
    found = track(TASK, programs, dict.fromkeys(origins, 1), VOTE)
    assert [(each.programs, each.solved, each.share) for each in found] == [
        *((1, True, 1.0), (2, True, 1.0), (4, True, 1.0), (8, False, 0.0))
    ]


def test_tokens_are_those_of_completions_without_a_program_too_and_at_the_end_of_all():
    tokens = {sample(0): 5, sample(1): 7, sample(2): 11, refined(0, 0): 13}
    programs = [program(sample(1), 6), program(sample(2), 6)]
    found = track(TASK, programs, tokens, VOTE)
    assert [(each.programs, each.tokens) for each in found] == [(1, 12), (2, 36)]


def test_a_program_that_a_filter_rejects_counts_and_does_not_vote():
    programs = [program(sample(0), 6, code="rejected"), program(sample(1), 5)]
    found = track(TASK, programs, {sample(0): 1, sample(1): 1}, VOTE)
    assert [(each.solved, each.oracle) for each in found] == [(False, True), (False, True)]
    assert track(TASK, [], {sample(0): 9}, VOTE) == (Reached(0, 0.0, False, False, 9),)


def test_a_task_with_fewer_programs_stands_at_its_last():
    few = (Reached(1, 0.0, False, False, 1), Reached(2, 0.5, False, False, 2), Reached(3, 1.0, True, True, 3))
    assert [at(few, k).programs for k in (1, 2, 3, 4, 100)] == [1, 2, 3, 3, 3]
    assert at((Reached(0, 0.0, False, False, 9),), 1).tokens == 9
    assert sizes(12) == [1, 2, 4, 8, 12]
    assert sizes(8) == [1, 2, 4, 8]
    assert sizes(0) == []


def test_the_runs_of_a_line_have_values_at_the_same_places_and_seconds_are_shared_by_tokens():
    tracks = [
        [(Reached(1, 0.0, False, False, 10), Reached(2, 1.0, True, True, 40))],
        [(Reached(3, 1.0, True, True, 0),)],
    ]
    runs = [Drawn("run", 1, "run"), Drawn("other", 2, "run")]
    found = [Search(run, ("train", 0), 8.0, own) for run, own in zip(runs, tracks, strict=True)]
    points = [*anytime_points(found)]
    scores = [(each.run, each.place.programs, each.value) for each in points if each.place.measure == "score_mean"]
    assert scores == [
        *(("run", 1, 0.0), ("run", 2, 100.0), ("run", 3, 100.0)),
        *(("other", 1, 100.0), ("other", 2, 100.0), ("other", 3, 100.0)),
    ]
    seconds = [(each.run, each.place.programs, each.value) for each in points if each.place.measure == "seconds"]
    assert seconds == [("run", 1, 2.0), ("run", 2, 8.0), ("run", 3, 8.0)], "where no tokens are known there are none"


@pytest.fixture(scope="module")
def reading(finished):
    with session.view_run(finished) as view:
        return read(view, RUN)


def by_hand(finished, count):
    """The mean share, and the mean tokens, of the first so many programs of the first search; they are samples."""
    shares, tokens = [], []
    with session.view_run(finished) as view, closing(sqlite3.connect(view.path / "archive.sqlite")) as connection:
        for task in view.tasks["train"]:
            programs = [p for p in view.reader.programs(task.id, "train", 0) if p.origin.phase == "sample"]
            first = sorted(programs, key=lambda p: (p.origin.step, p.origin.index))[:count]
            assert len(first) == count
            answers = [ballot.outputs for ballot in view.answering.ballots(task, first)[:2]]
            (wanted,) = (example.output for example in task.test)
            shares.append(any(answer == (wanted,) for answer in answers))
            last = first[-1].origin
            sql = (
                "SELECT SUM(prompt_tokens + completion_tokens) FROM completions WHERE stage = 'train'"
                " AND iteration = 0 AND task_id = ? AND phase = 'sample' AND (step, place) <= (?, ?)"
            )
            tokens += connection.execute(sql, (task.id, last.step, last.index)).fetchone()
    return 100 * sum(shares) / len(shares), sum(tokens) / len(tokens)


def test_scores_and_tokens_of_a_run_are_those_counted_by_hand(finished, reading):
    found = means(anytime_points(reading.searches))
    for count in (1, 2, 4):
        here = [found[Place("run", "train", 0, name, count)].value for name in ("score_mean", "tokens")]
        assert here == pytest.approx(by_hand(finished, count))


def test_the_last_point_is_the_whole_search_as_its_report_has_it(finished, reading):
    record = reading.records[0]
    found = means(anytime_points(reading.searches))
    last = max(place.programs for place in found if (place.stage, place.iteration) == ("train", 0))
    value = {
        name: found[Place("run", "train", 0, name, last)].value for name in ("solved", "oracle", "tokens", "seconds")
    }
    assert value["solved"] == pytest.approx(100 * record["solved"] / 3)
    assert value["oracle"] == pytest.approx(100 * record["oracle"] / 3)
    assert 3 * value["tokens"] == sum(record["tokens"].values())
    assert value["seconds"] == record["seconds"]


def test_the_figure_has_a_row_per_search_and_panels_for_what_is_known(reading):
    figure = anytime_figure([*anytime_points(reading.searches)])
    assert [row[1:3] for row in figure.rows] == [["train", "0"], ["train", "1"], ["target", "0"]]
    assert [row[0].across for row in figure.panels] == ["programs per task", "tokens per task", "seconds of the search"]
    assert [series.label for series in figure.panels[0][0].series] == [
        "run: iteration 0 (n = 1)",
        "run: iteration 1 (n = 1)",
    ]
    silent = [each for each in anytime_points(reading.searches) if each.place.measure not in ("tokens", "seconds")]
    assert len(anytime_figure(silent).panels) == 1
    assert anytime_figure([]).says == ("No finished search has programs of tasks whose answers are known.",)


def test_a_search_that_ends_where_a_column_stands_is_shown_at_its_end_alone():
    values = {0: {1: 10.0, 4: 20.0}, 1: {1: 30.0, 4: 40.0, 6: 50.0}}
    points = [
        Point(Place("run", "train", iteration, name, count), "run", 1, value)
        for iteration, scores in values.items()
        for count, value in scores.items()
        for name in ("score_mean", "tokens", "seconds")
    ]
    figure = anytime_figure(points)
    assert figure.headings[3:6] == ["score_mean at 1", "score_mean at 4", "last k"]
    shown = [[text.partition(" ")[0] for text in row[2:6]] for row in figure.rows]
    assert shown == [["0", "10.0", "", "4"], ["1", "30.0", "40.0", "6"]]
