"""Programs of several runs vote together: on the tasks that they share, under keys of their own, task by task."""

import json
from contextlib import ExitStack
from dataclasses import replace
from itertools import combinations

import pytest
from scripted_runs import search, write_config, write_task
from typer.testing import CliRunner

from soar import session
from soar.archive.reader import ArchiveReader
from soar.cli import app
from soar.ensemble import FILTERS, Answering, sum_vote
from soar.errors import BudgetReached, ConfigError, DataError
from soar.report import metrics
from soar.report.export import submission
from soar.report.pool import same, shared, voices_of
from soar.report.show_together import cells
from soar.report.together import MOST, notes, places, task_votes, together
from soar.types import Example, Origin, Program, Task

TASK = Task("t", (Example(1, 2), Example(2, 4)), (Example(3, 6), Example(4, 8)))
VOTE = Answering(sum_vote, {})


@pytest.fixture
def views():
    """Open runs for as long as a test lasts."""
    with ExitStack() as stack:
        yield lambda *paths: [stack.enter_context(session.view_run(path)) for path in paths]


def programs(*outputs):
    """Programs of one run with these test outputs and accuracies."""
    return [
        Program(Origin("train", 0, "t", "sample", 0, 0, n), f"{test}", (2, 4), test, accuracy, (f"train/0/t/{n}",))
        for n, (test, accuracy) in enumerate(outputs)
    ]


def test_runs_that_fail_alone_solve_a_task_by_voting_together():
    one = programs(((6, 8), 0.5), ((1, 1), 0.6), ((2, 2), 0.7))
    other = programs(((6, 8), 0.5), ((3, 3), 0.6), ((4, 4), 0.7))
    third = programs(((6, 0), 1.0), ((0, 8), 0.9))
    found = {vote.runs: vote for vote in task_votes(TASK, [one, other, third], VOTE, places(3))}
    assert [(found[runs].solved, found[runs].oracle, found[runs].programs) for runs in ((0,), (1,), (0, 1))] == [
        (0, 1, 3),
        (0, 1, 3),
        (1, 1, 6),
    ]
    assert (found[2,].score_mean, found[2,].solved, found[2,].oracle) == (1.0, 0, 0)
    assert (found[0, 2].score_mean, found[0, 2].solved, found[0, 2].oracle) == (1.0, 0, 1)
    assert (found[0, 1, 2].score_mean, found[0, 1, 2].solved) == (1.0, 1)
    assert task_votes(TASK, [third, one], VOTE, [(0, 1)])[0].oracle == 1, "whichever run has the right program"


def test_a_task_whose_answer_is_not_known_is_voted_on_and_not_scored():
    (vote,) = task_votes(TASK.without_answers(), [programs(((6, 8), 1.0))], VOTE, [(0,)])
    assert (vote.answered, vote.programs) == (0, 1)
    assert cells(vote) == ["1", "1", "?", "?", "?", "?"]


def test_every_combination_votes_up_to_five_runs_and_of_more_each_alone_and_all():
    assert len(places(MOST)) == 31
    assert places(2) == [(0,), (1,), (0, 1)]
    assert places(MOST + 1) == [*((n,) for n in range(6)), tuple(range(6))]


def test_programs_of_two_runs_at_the_same_place_have_keys_of_their_own_and_so_have_their_parents():
    made = programs(((6, 8), 1.0), ((6, 8), 1.0))
    one, other = ([program.of_run(name) for program in made] for name in ("1", "2"))
    assert len({program.key for program in (*one, *other)}) == 4
    assert {parent for program in one for parent in program.parents}.isdisjoint(
        parent for program in other for parent in program.parents
    )
    seen = []

    def noting(voting):
        seen.append([program.key for program in voting])
        return sum_vote(voting)

    task_votes(TASK, [programs(((6, 8), 1.0))] * 2, Answering(noting, {}), [(0, 1)])
    assert seen == [["1:train/0/t/sample/0/0/0", "2:train/0/t/sample/0/0/0"]]


def test_a_program_that_a_filter_rejects_does_not_vote_with_those_of_others_either():
    rejecting = Answering(sum_vote, {"right": lambda task, program: program.test == (6, 8)})
    found = task_votes(TASK, [programs(((6, 8), 1.0)), programs(((1, 1), 0.5))], rejecting, [(0, 1)])
    assert (found[0].solved, found[0].oracle) == (0, 1)


def test_tasks_are_the_same_by_their_pairs_and_answers_that_one_source_lacks_do_not_matter():
    assert same(TASK, TASK.without_answers())
    assert not same(TASK, replace(TASK, train=TASK.train[::-1]))
    assert not same(TASK, replace(TASK, test=(Example(3, 6), Example(4, 9))))
    assert not same(TASK, replace(TASK, test=(Example(3, 6), Example(5, 8))))


def test_the_vote_of_a_run_alone_is_what_its_report_says_and_all_together_is_counted_by_hand(
    finished, reseeded, short, views
):
    runs = views(finished, reseeded, short)
    found = together(runs, "train")
    assert [vote.runs for vote in found.votes] == [each for n in (1, 2, 3) for each in combinations(range(3), n)]
    for place, view in enumerate(runs):
        record = [each for each in metrics.report(view)["iterations"] if each["stage"] == "train"][-1]
        vote = found.votes[place]
        assert (vote.score_mean, vote.solved, vote.oracle, vote.programs) == tuple(
            record[name] for name in ("score_mean", "solved", "oracle", "programs")
        )
    together_by_hand = 0
    for task in runs[0].tasks["train"]:
        pooled = [
            program
            for view, iteration in zip(runs, (1, 1, 0), strict=True)
            for program in view.reader.programs(task.id, "train", iteration)
        ]
        ballots = runs[0].answering.ballots(task, pooled)[:2]
        together_by_hand += any(ballot.outputs == tuple(e.output for e in task.test) for ballot in ballots)
    assert found.votes[-1].solved == together_by_hand > 0
    assert (found.tasks, found.left_out) == (3, 0)


def test_programs_are_read_one_task_after_the_other(finished, reseeded, views, monkeypatch):
    read = []
    programs_of = ArchiveReader.programs

    def noted(self, task_id, *place):
        read.append(task_id)
        return programs_of(self, task_id, *place)

    monkeypatch.setattr(ArchiveReader, "programs", noted)
    runs = views(finished, reseeded)
    together(runs, "train")
    assert read == [task.id for task in runs[0].tasks["train"] for _ in range(2)]


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """A run on tasks of which one has other pairs, one is missing and one is new."""
    folder = tmp_path_factory.mktemp("elsewhere")
    config = write_config(folder)
    (folder / "known" / "sums.json").unlink()
    write_task(folder / "known", "flip", lambda grid: [row + row for row in grid])
    write_task(folder / "known", "more", lambda grid: grid)
    search(config, folder / "run", "stages.0.iterations=1", "search.refinements=0")
    return folder / "run"


def test_tasks_that_not_all_runs_have_with_the_same_pairs_are_left_out_and_counted(finished, elsewhere, views):
    found = together(views(finished, elsewhere), "train")
    assert (found.tasks, found.left_out) == (1, 3)
    assert notes(found)[0] == "tasks that all runs have with the same pairs: 1; left out: 3"
    assert found.votes[-1].answered == 1


def test_without_a_shared_task_the_error_says_what_to_do(finished, elsewhere, views):
    runs = views(finished, elsewhere)
    other = replace(runs[1], tasks={**runs[1].tasks, "train": [t for t in runs[1].tasks["train"] if t.id == "more"]})
    with pytest.raises(DataError, match=r"none of 4 tasks has the same pairs in all of .*\(--stage\)"):
        together([runs[0], other], "train")


def test_a_run_is_named_once_and_with_others(finished, views):
    with pytest.raises(ConfigError, match="named twice"):
        together(views(finished, finished))
    with pytest.raises(ConfigError, match="needs two run directories or more, found 1"):
        together(views(finished))


def test_what_must_be_known_to_read_the_votes_is_said(finished, stopped, views):
    whole, cut = views(finished, stopped)
    cut = replace(cut, answering=replace(cut.answering, filters=FILTERS))
    searches = shared(voices_of([whole, cut], "train"))
    assert (len(searches[0]), searches[1]) == (3, 0)
    said = "\n".join(notes(together([whole, cut], "train")))
    assert f"all vote by the vote and filters of {whole.path}, which differ from those of {cut.path}" in said
    many = [replace(whole, path=whole.path / str(n)) for n in range(6)]
    assert "more than 5 runs: each alone, and all together" in "\n".join(notes(together(many, "train")))
    assert "of these, scored because their answers are known: 1" in "\n".join(
        notes(together(views(finished) + many[:1]))
    )


def test_the_command_prints_the_votes_beneath_the_tables_and_as_one_more_object(finished, short):
    said = CliRunner().invoke(app, ["report", str(finished), str(short), "--together"]).stdout
    assert "joint votes" in said
    assert f"2: {short}, stage target, iteration 0" in said.replace("\n", "")
    lines = CliRunner().invoke(app, ["report", str(finished), str(short), "--together", "--json", "--stage", "train"])
    *_, last = map(json.loads, lines.stdout.splitlines())
    assert len(lines.stdout.splitlines()) == 3
    assert [vote["runs"] for vote in last["votes"]] == [[str(finished)], [str(short)], [str(finished), str(short)]]
    assert last["searches"][0] == {"run": str(finished), "stage": "train", "iteration": 1, "finished": True}
    assert isinstance(CliRunner().invoke(app, ["report", str(short), "--stage", "train"]).exception, ConfigError)


def test_a_submission_is_voted_by_several_runs_and_a_task_with_other_pairs_by_those_that_have_it(
    finished, short, elsewhere, views, tmp_path
):
    first, second, other = views(finished, short, elsewhere)
    alone = submission(first, "train")
    found = submission(first, "train", others=[second, other])
    assert (found.tasks, found.answered, found.apart) == (3, alone.answered, 2)
    answers = json.loads(found.text)
    for task in first.tasks["train"]:
        pooled = [*first.reader.programs(task.id, "train", 1), *second.reader.programs(task.id, "train", 0)]
        if task.id not in ("flip", "sums"):
            pooled += other.reader.programs(task.id, "train", 0)
        ballots = first.answering.ballots(task, pooled)[:2]
        given = [entry["attempt_1"] for entry in answers[task.id]]
        assert [json.loads(json.dumps(output)) for output in ballots[0].outputs] == given
    out = tmp_path / "submission.json"
    arguments = ["export", str(finished), "--submission", str(out), "--with", str(short), "--with", str(elsewhere)]
    done = CliRunner().invoke(app, [*arguments, "--stage", "train"])
    assert json.loads(out.read_text()) == answers
    assert "2 are not the same in all runs: only the runs that share them vote" in done.stdout
    refused = CliRunner().invoke(app, ["export", str(finished), "--programs", str(out), "--with", str(short)])
    assert isinstance(refused.exception, ConfigError)


def test_the_filters_of_the_first_run_hold_for_the_programs_of_all(finished, short, views):
    first, second = views(finished, short)
    strict = replace(first, answering=replace(first.answering, filters={"all": lambda task, program: True}))
    assert submission(strict, "train", others=[second]).answered == 0
    assert submission(second, "train", others=[strict]).answered > 0


def test_an_output_over_another_runs_files_is_refused(finished, short):
    copy = short / "submission.json"
    done = CliRunner().invoke(app, ["export", str(finished), "--submission", str(copy), "--with", str(short)])
    assert isinstance(done.exception, ConfigError)
    assert not copy.exists()


def test_searches_that_are_not_finished_are_named(scripted, views, tmp_path):
    paths = [tmp_path / "one", tmp_path / "other"]
    for path in paths:
        with pytest.raises(BudgetReached):
            search(scripted, path, "budget.max_tokens=4000", "search.tasks_in_flight=1")
    said = notes(together(views(*paths), "train"))
    assert f"search not finished, counted as it stands now: {paths[0]}, {paths[1]}" in said
