"""Distances, scores and endings of searches are those counted by hand, and votes together those of the report."""

import sqlite3
from contextlib import ExitStack, closing
from itertools import combinations

import numpy as np
import pytest

from soar import session
from soar.learning.embed import ngrams
from soar.report import metrics
from soar.report.figures.combined import combined_figure
from soar.report.figures.diversity import MOST, distance, diversity_figure, diversity_points
from soar.report.figures.endings import ending_figure, ending_points, kinds_of
from soar.report.figures.point import Drawn, Place, means
from soar.report.figures.read import read
from soar.report.figures.score import score_figure, score_points
from soar.report.together import together

RUN = Drawn("run", 1, "run")


@pytest.fixture(scope="module")
def reading(finished):
    with session.view_run(finished) as view:
        return read(view, RUN)


def by_pairs(codes):
    rows = ngrams(codes).astype(np.float64)
    return np.mean([1 - one @ other for one, other in combinations(rows, 2)])


def test_the_distance_is_the_mean_over_all_pairs():
    codes = ["return x", "return x + 1", "a = x\nreturn a * a", "return x", "raise ValueError(x)"]
    assert distance(codes) == pytest.approx(by_pairs(codes))
    assert distance(["return x"] * 3) == pytest.approx(0, abs=1e-6)
    assert distance(["return x"]) is None


def test_of_many_programs_some_are_drawn_always_the_same_for_a_task():
    codes = [f"return x + {n} * {n % 7}" for n in range(3 * MOST)]
    assert distance(codes, "train", 0, "t") == distance(codes, "train", 0, "t") != distance(codes, "train", 0, "u")
    assert distance(codes, "t") == pytest.approx(by_pairs(codes[:300]), rel=0.2)


def test_the_diversity_of_a_search_is_that_of_its_solved_and_of_its_unsolved_tasks(finished, reading):
    found = means(diversity_points(RUN, reading.distances))
    apart = {True: [], False: []}
    with session.view_run(finished) as view:
        for task in view.tasks["train"]:
            programs = view.reader.programs(task.id, "train", 0)
            wanted = tuple(example.output for example in task.test)
            solved = wanted in [ballot.outputs for ballot in view.answering.ballots(task, programs)[:2]]
            apart[solved].append(by_pairs([program.code for program in programs]))
    assert apart[True]
    assert apart[False]
    for solved, name in ((True, "solved"), (False, "unsolved")):
        assert found[Place("run", "train", 0, name)].value == pytest.approx(np.mean(apart[solved]))
        assert found[Place("run", "train", 0, f"{name} tasks")].value == len(apart[solved])
    figure = diversity_figure([*diversity_points(RUN, reading.distances)])
    assert [each.dashed for each in figure.panels[0][0].series] == [False, True]


def test_scores_are_those_of_the_report_in_percent_of_the_tasks_whose_answers_are_known(finished, reading):
    with session.view_run(finished) as view:
        records = metrics.report(view)["iterations"]
    found = means(score_points(RUN, reading.records, reading.answered))
    assert reading.answered == {"train": 3, "target": 1}
    for record in records:
        known = 3 if record["stage"] == "train" else 1
        place = (record["stage"], record["iteration"])
        for name in ("score_mean", "solved", "oracle"):
            assert found[Place("run", *place, name)].value == pytest.approx(100 * record[name] / known)
        gap = 100 * (record["oracle"] - record["solved"]) / known
        assert found[Place("run", *place, "gap")].value == pytest.approx(gap)
    figure = score_figure([*score_points(RUN, reading.records, reading.answered)])
    assert [panel.title for panel in figure.panels[0]] == ["stage train", "stage target"]
    assert list(score_points(RUN, reading.records, {"train": 0, "target": 0})) == []


def test_endings_are_shares_of_all_completions_as_the_archive_has_them(finished, reading):
    found = means(ending_points(RUN, reading.records, kinds_of(reading.records)))
    sql = (
        "SELECT c.iteration, COUNT(*), SUM(e.status = 'ok'), SUM(c.status = 'no-code') FROM completions c"
        " LEFT JOIN executions e USING (task_id, code_hash) WHERE c.stage = 'train' GROUP BY c.iteration"
    )
    with closing(sqlite3.connect(finished / "archive.sqlite")) as connection:
        rows = connection.execute(sql).fetchall()
    assert len(rows) == 2
    for iteration, completions, ran, empty in rows:
        assert found[Place("run", "train", iteration, "ok")].value == pytest.approx(100 * ran / completions)
        assert found[Place("run", "train", iteration, "no-code")].value == pytest.approx(100 * empty / completions)
        shares = [mean.value for place, mean in found.items() if (place.stage, place.iteration) == ("train", iteration)]
        assert sum(shares) == pytest.approx(100)


def test_a_way_to_end_that_one_seed_does_not_know_counts_as_none_there():
    runs = [Drawn("run", 1, "run"), Drawn("other", 2, "run")]
    records = [{"stage": "s", "iteration": 0, "status": status} for status in ({"ok": 4}, {"ok": 3, "empty": 1})]
    kinds = kinds_of(records)
    points = [p for run, record in zip(runs, records, strict=True) for p in ending_points(run, [record], kinds)]
    assert means(points)[Place("run", "s", 0, "empty")].value == 12.5
    assert [[*each.ys] for each in ending_figure(points).panels[0][0].series] == [[87.5], [12.5]]
    assert ending_figure([]).says == ("No finished search has completions.",)


def test_the_combinations_of_runs_are_the_votes_of_the_report(finished, short):
    with ExitStack() as stack:
        views = [stack.enter_context(session.view_run(path)) for path in (finished, short)]
        found = together(views, "train")
        figure = combined_figure(found, ["finished", "short"])
    assert [row[0] for row in figure.rows] == ["1", "2", "1+2"]
    assert [row[3] for row in figure.rows] == [f"{100 * vote.oracle / 3:.1f}" for vote in found.votes]
    last = found.votes[-1]
    assert figure.values[-3] == (
        *("finished + short", "train/1 + train/0", last.programs, "score_mean"),
        pytest.approx(100 * last.score_mean / 3),
    )
