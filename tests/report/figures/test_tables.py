"""Tables like the paper's: ways to spend a search, and runs that differ in their settings."""

from contextlib import ExitStack
from statistics import fmean

import pytest

from soar import session
from soar.cli import main
from soar.report.figures.lines import drawn, settings_of
from soar.report.figures.read import read
from soar.report.figures.tables import settings_table, ways_table
from soar.report.metrics import report
from soar.scoring import score


@pytest.fixture(scope="module")
def runs(finished, reseeded, short):
    """Readings of two seeds of a run and of a run of fewer samples without refinements, with their views."""
    with ExitStack() as stack:
        views = [stack.enter_context(session.view_run(path)) for path in (finished, reseeded, short)]
        named = drawn(views)
        searches = [each for view, run in zip(views, named, strict=True) for each in read(view, run).searches]
        yield views, named, searches


def by_hand(view, keep):
    """The mean share of test outputs that the vote of some programs of the first search has right, in percent."""
    shares = []
    for task in view.tasks["train"]:
        programs = view.reader.programs(task.id, "train", 0)
        in_time = sorted(programs, key=lambda p: (p.origin.phase != "sample", p.origin.step, p.origin.island))
        answers = [ballot.outputs for ballot in view.answering.ballots(task.without_answers(), keep(in_time))]
        shares.append(score(task, answers).mean)
    return 100 * fmean(shares)


def test_the_ways_are_votes_of_the_first_program_the_samples_all_and_the_last_search(runs):
    views, named, searches = runs
    values = {(row[1], row[3], row[6]): row[7] for row in ways_table(searches).values}
    ways = {
        "one-shot": lambda programs: programs[:1],
        "sampling": lambda programs: [p for p in programs if p.origin.phase == "sample"],
        "refining": lambda programs: programs,
    }
    for view, run in zip(views, named, strict=True):
        for way, keep in ways.items():
            assert values[run.name, "train", way] == pytest.approx(by_hand(view, keep))
        last = [each for each in report(view)["iterations"] if each["stage"] == "train"][-1]
        learnt = values.get((run.name, "train", "soar"))
        assert learnt == (pytest.approx(100 * last["score_mean"] / 3) if last["iteration"] else None)
    assert values["finished", "train", "sampling"] != values["finished", "train", "one-shot"]


def test_rows_are_lines_with_a_mean_over_seeds(runs):
    _, _, searches = runs
    rows = {(row[0], row[1]): row[2:] for row in ways_table(searches).rows}
    assert rows.keys() == {("finished", "train"), ("finished", "target"), ("short", "train"), ("short", "target")}
    assert rows["finished", "train"][2] == "66.7 ± 0.0 (n = 2)"
    assert rows["short", "train"][3] == "–", "one search alone has learnt nothing"
    assert rows["finished", "target"][3] == "–"


def test_runs_are_told_apart_by_the_settings_in_which_they_differ(runs):
    views, named, searches = runs
    made = settings_table(searches, settings_of(views, named))
    rows = {(row[0], row[2]): row for row in made.rows}
    assert made.headings == ["runs", "settings", "stage", "score_mean", "solved", "oracle"]
    assert rows["short", "train"][1] == "search.refinements = 0, search.samples = 4, stages.0.iterations = 1"
    assert rows["finished", "train"][1] == "search.refinements = 8, search.samples = 12, stages.0.iterations = 2"
    for view, run in zip(views, named, strict=True):
        last = {each["stage"]: each for each in report(view)["iterations"]}
        for _, name, _, stage, _, _, measure, value in made.values:
            if name == run.name:
                known = sum(task.answered for task in view.tasks[stage])
                assert value == pytest.approx(100 * last[stage][measure] / known)


def test_the_tables_are_written_beside_the_figures(finished, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    assert main(["report", str(finished), "--tables", "--figures", str(tmp_path / "out")]) == 0
    assert "; tables.md, and as CSV: ways, settings" in capsys.readouterr().out
    text = (tmp_path / "out" / "tables.md").read_text()
    assert f"    soar report {finished} --tables --figures {tmp_path / 'out'}\n" in text
    assert "| finished | train |" in text
    assert ".svg" not in text
    assert not list((tmp_path / "out").glob("ways.svg"))
    assert (
        (tmp_path / "out" / "ways.csv").read_text().startswith("line,run,seed,stage,iteration,programs,measure,value\n")
    )


def test_tables_need_a_folder(finished, capsys):
    assert main(["report", str(finished), "--tables"]) == 2
    assert "--tables goes with --figures DIR" in capsys.readouterr().err
