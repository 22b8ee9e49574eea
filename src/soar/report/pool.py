"""Pools programs of several runs to vote together on one task: which runs take part, and how their programs are kept
apart (§5, "all models").

Knows runs, their tasks and votes; knows no score. Reads programs one task at a time, so that several whole runs need
not fit in memory.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from soar.ensemble import Answering, Ballot, filtered
from soar.errors import ConfigError
from soar.report.meant import begun, stage_of
from soar.report.task_results import name_of
from soar.report.view import RunView
from soar.run import Step
from soar.types import Program, Task


@dataclass(frozen=True)
class Voice:
    """A run that votes: its searches of one stage, most preferred first, and the stage's tasks by id."""

    view: RunView
    searches: tuple[Step, ...]
    tasks: Mapping[str, Task]


def voices_of(views: Sequence[RunView], stage: str | None) -> list[Voice]:
    """Return each run with the searches of a stage (by default its own last) that have begun: finished ones first,
    newest first. `ConfigError` if a run is named twice: it would vote twice."""
    paths = [view.path.resolve() for view in views]
    for view, path in zip(views, paths, strict=True):
        if paths.count(path) > 1:
            raise ConfigError(f"the run {view.path} is named twice and would vote twice: name it once")
    named = [(view, stage_of(view, stage)) for view in views]
    return [Voice(view, tuple(begun(view, name)), {t.id: t for t in view.tasks[name]}) for view, name in named]


def same(task: Task, other: Task) -> bool:
    """Return whether two tasks are the same: equal inputs and training outputs, and no contradicting test output.

    One source may hold the answers and the other not: what programs did on the inputs is the same.
    """
    if task.without_answers() != other.without_answers():
        return False
    pairs = zip(task.test, other.test, strict=True)
    return all(None in (a.output, b.output) or a.output == b.output for a, b in pairs)


def shared(voices: Sequence[Voice]) -> tuple[list[Task], int]:
    """Return the tasks that all runs have with the same pairs, with the answers if any run's source has them, and how
    many tasks of any run are left out."""
    found = []
    first, *others = voices
    for id_, task in first.tasks.items():
        forms = [task, *(other.tasks[id_] for other in others if id_ in other.tasks)]
        if len(forms) == len(voices) and all(same(a, b) for n, a in enumerate(forms) for b in forms[:n]):
            found.append(next((form for form in forms if form.answered), task))
    return found, len(set().union(*(voice.tasks for voice in voices))) - len(found)


def voting(voices: Sequence[Voice], task_id: str) -> list[Voice]:
    """Return the runs that vote on a task: the first that has it, and all others that have it with the same pairs."""
    having = [voice for voice in voices if task_id in voice.tasks]
    return [voice for voice in having if same(voice.tasks[task_id], having[0].tasks[task_id])]


def ballots_together(voices: Sequence[Voice], task: Task, answering: Answering) -> list[Ballot]:
    """Return the ballots of several runs on a task, heaviest first. Each run votes with the programs of one search: its
    newest finished one that has an answer, else an unfinished one."""
    programs: list[Program] = []
    for number, voice in enumerate(voices, 1):
        # Programs of different runs may have the same key.
        programs += [each.of_run(str(number)) for each in _first_with_an_answer(voice, task, answering)]
    return answering.voter(programs)


def _first_with_an_answer(voice: Voice, task: Task, answering: Answering) -> list[Program]:
    """Return the programs that may vote, of the first search that gives an answer on its own."""
    found = (voice.view.reader.programs(task.id, *step.key) for step in voice.searches)
    fit = (filtered(task.without_answers(), programs, answering.filters)[0] for programs in found)
    return next((programs for programs in fit if answering.voter(programs)), [])


def voting_differently(voices: Sequence[Voice]) -> list[Voice]:
    """Return the runs whose own vote or filters differ from the first run's."""
    first = voices[0].view.answering
    return [voice for voice in voices if not _vote_alike(voice.view.answering, first)]


def _vote_alike(one: Answering, other: Answering) -> bool:
    """Return whether two runs vote by the same function, which for a user's own is below what checks its results, and
    have the same filters by name."""
    voters = [getattr(each.voter, "__wrapped__", each.voter) for each in (one, other)]
    filters = [[(name, name_of(each)) for name, each in answering.filters.items()] for answering in (one, other)]
    return voters[0] is voters[1] and filters[0] == filters[1]
