"""What programs of several runs reach when they vote together, for every combination of the runs (§5, Figure 10).

Knows votes and scores of the tasks that all runs share; does not know how they are shown. Reads programs one task at a
time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, TypeAlias

from soar.ensemble import Answering, filtered
from soar.errors import ConfigError, DataError
from soar.report.pool import Voice, shared, voices_of, voting_differently
from soar.report.view import RunView
from soar.scoring import oracle, score
from soar.types import Program, Task

MOST = 5
"""Up to this many runs, every combination votes: 31 votes per task. Of more, only each alone, and all together."""

Places: TypeAlias = tuple[int, ...]
"""Which runs vote together: their places in the list of runs, counted from 0."""


@dataclass(frozen=True, slots=True)
class Vote:
    """What a combination of runs reached over all tasks: `score_mean` sums the tasks' shares of right test outputs,
    `solved` and `oracle` count tasks; these three cover the `answered` tasks, those whose answers are known."""

    runs: Places
    programs: int
    answered: int
    score_mean: float
    solved: int
    oracle: int


@dataclass(frozen=True)
class Together:
    """The votes of several runs: how many tasks all runs share, how many tasks of any run are left out, and a vote per
    combination, smaller ones first."""

    voices: Sequence[Voice]
    tasks: int
    left_out: int
    votes: Sequence[Vote]

    @property
    def names(self) -> list[str]:
        """The runs' paths, as they were given."""
        return [str(voice.view.path) for voice in self.voices]

    @property
    def every(self) -> bool:
        """Whether every combination voted."""
        return len(self.voices) <= MOST

    def finished(self, voice: Voice) -> bool:
        """Return whether a run's search is finished."""
        rows = voice.view.reader.iterations()
        return any((row.stage, row.iteration) == voice.searches[0].key and row.finished for row in rows)

    def as_json(self) -> dict[str, Any]:
        """Return the object of ``soar report --together --json``."""
        searches = [(name, voice, *voice.searches[0].key) for name, voice in zip(self.names, self.voices, strict=True)]
        return {
            "version": 1,
            "searches": [
                {"run": name, "stage": stage, "iteration": iteration, "finished": self.finished(voice)}
                for name, voice, stage, iteration in searches
            ],
            "tasks": self.tasks,
            "left_out": self.left_out,
            "combinations": "every" if self.every else "single and all",
            "vote_of": self.names[0],
            "votes": [_vote_json(vote, self.names) for vote in self.votes],
        }


def _vote_json(vote: Vote, names: Sequence[str]) -> dict[str, Any]:
    known = vote.answered > 0
    return {
        "runs": [names[place] for place in vote.runs],
        "programs": vote.programs,
        "answered": vote.answered,
        "score_mean": vote.score_mean if known else None,
        "solved": vote.solved if known else None,
        "oracle": vote.oracle if known else None,
    }


def together(views: Sequence[RunView], stage: str | None = None) -> Together:
    """Return the joint votes of each run's newest finished search of a stage (by default its last stage; an unfinished
    search if none is finished), by the vote and filters of the first run.

    `ConfigError` for fewer than two runs or one named twice, `DataError` if no task has the same pairs in all.
    """
    if len(views) < 2:
        raise ConfigError(f"a joint vote needs two run directories or more, found {len(views)}: name others")
    voices = [replace(voice, searches=voice.searches[:1]) for voice in voices_of(views, stage)]
    tasks, left_out = shared(voices)
    if not tasks:
        raise DataError(
            f"none of {left_out} tasks has the same pairs in all of {', '.join(str(v.path) for v in views)}:"
            " name runs on the same tasks (with tasks.count the seed draws them), or a stage that they share (--stage)"
        )
    sums = [Vote(runs, 0, 0, 0.0, 0, 0) for runs in places(len(views))]
    for task in tasks:
        programs = [voice.view.reader.programs(task.id, *voice.searches[0].key) for voice in voices]
        found = task_votes(task, programs, views[0].answering, [each.runs for each in sums])
        sums = [_added(one, other) for one, other in zip(sums, found, strict=True)]
    return Together(voices, len(tasks), left_out, sums)


def places(count: int) -> list[Places]:
    """Return the combinations of runs that vote, smaller ones first: all, or for more than `MOST` runs each alone and
    all together."""
    sizes = range(1, count + 1) if count <= MOST else (1, count)
    return [each for size in sizes for each in combinations(range(count), size)]


def task_votes(
    task: Task, programs: Sequence[Sequence[Program]], answering: Answering, combined: Sequence[Places]
) -> list[Vote]:
    """Return what each combination of runs reaches on one task, from the programs of each run."""
    hidden = task.without_answers()
    # Keys are made unique by run: the built-in voters ignore them, a user's own voter may not.
    voters = [
        [each.of_run(str(n)) for each in filtered(hidden, own, answering.filters)[0]]
        for n, own in enumerate(programs, 1)
    ]
    reached = [task.answered and oracle(task, own) for own in programs]
    found = []
    for runs in combined:
        size = sum(len(programs[place]) for place in runs)
        if not task.answered:
            found.append(Vote(runs, size, 0, 0.0, 0, 0))
            continue
        ballots = answering.voter([program for place in runs for program in voters[place]])
        scored = score(task, [ballot.outputs for ballot in ballots])
        found.append(Vote(runs, size, 1, scored.mean, int(scored.solved), int(any(reached[place] for place in runs))))
    return found


def _added(one: Vote, other: Vote) -> Vote:
    return Vote(
        one.runs,
        one.programs + other.programs,
        one.answered + other.answered,
        one.score_mean + other.score_mean,
        one.solved + other.solved,
        one.oracle + other.oracle,
    )


def notes(found: Together) -> list[str]:
    """Return what a reader of the votes must know, a sentence each."""
    unfinished = [str(voice.view.path) for voice in found.voices if not found.finished(voice)]
    differing = [str(voice.view.path) for voice in voting_differently(found.voices)]
    answered = found.votes[0].answered
    told = [f"tasks that all runs have with the same pairs: {found.tasks}; left out: {found.left_out}"]
    if answered < found.tasks:
        told.append(f"of these, scored because their answers are known: {answered}")
    if not found.every:
        told.append(f"more than {MOST} runs: each alone, and all together; not every combination")
    if unfinished:
        told.append(f"search not finished, counted as it stands now: {', '.join(unfinished)}")
    if differing:
        told.append(
            f"all vote by the vote and filters of {found.names[0]}, which differ from those of {', '.join(differing)}"
        )
    return told
