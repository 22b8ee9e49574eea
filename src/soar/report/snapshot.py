"""Where a run stands now: a few counts read from its archive at any time, and the line that shows them.

Knows no answers: it counts tasks with a program right on all training pairs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType

from soar.archive.reader import ArchiveReader
from soar.archive.tallies import EXECUTED
from soar.budget import BudgetSettings, Tokens
from soar.report.view import leak_lines
from soar.run import Step
from soar.search.replies import useless_line
from soar.types import Leaks


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The newest search of a run. `search` is its place in the plan, from 1: as many are done if it is finished and the
    next has not begun. `budget` is the most completions it may take; early stopping takes fewer. `running` says whether
    a process is working on it, None if that was not checked; `importing` is the command that finishes an import, None
    if there is none to finish."""

    stage: str
    iteration: int
    search: int
    searches_done: int
    searches: int
    tasks: int
    completions: int
    budget: int
    programs_executed: int
    solved_train_pairs: int
    status: Mapping[str, int]
    finished: bool
    tokens: int = 0
    cost: float | None = None
    running: bool | None = None
    leaks: Leaks = field(default_factory=dict)
    importing: str | None = None

    def as_json(self) -> dict[str, object]:
        """Return the fields as JSON values."""
        return asdict(self)


def snapshot(
    reader: ArchiveReader,
    plan: Sequence[Step],
    tasks: Mapping[str, int],
    per_task: int,
    budget: BudgetSettings,
    *,
    running: bool | None = None,
    leaks: Leaks = MappingProxyType({}),
    importing: str | None = None,
) -> Snapshot | None:
    """Read where the run stands; None before its first search. `tasks`: how many per stage; `per_task`: completions.

    Tokens and cost are those of the newest search.
    """
    begun = reader.iterations()
    if not begun:
        return None
    stage, iteration = begun[-1].stage, begun[-1].iteration
    totals = reader.totals(stage, iteration)
    counts = totals.statuses
    spent = Tokens(totals.prompt_tokens, totals.completion_tokens)
    done = sum(row.finished for row in begun)
    return Snapshot(
        stage=stage,
        iteration=iteration,
        search=1 + next(step.number for step in plan if step.key == (stage, iteration)),
        searches_done=done,
        searches=len(plan),
        tasks=tasks[stage],
        completions=sum(counts.values()),
        budget=tasks[stage] * per_task,
        programs_executed=sum(count for name, count in counts.items() if name in EXECUTED),
        solved_train_pairs=totals.solved_in_training,
        status=counts,
        finished=done == len(plan),
        tokens=spent.total,
        cost=budget.cost(spent),
        running=running,
        leaks=leaks,
        importing=importing,
    )


def line(now: Snapshot) -> str:
    """Return a snapshot in one line; what keeps completions from holding a program, and leaks, follow in further
    lines."""
    mix = ", ".join(f"{name} {count}" for name, count in sorted(now.status.items(), key=lambda item: -item[1]))
    place = f"{now.stage} iteration {now.iteration}"
    reached = [
        f"{now.solved_train_pairs}/{now.tasks} tasks with a program right on all training pairs",
        f"{now.tokens} tokens" + ("" if now.cost is None else f" ({now.cost:.2f} in money)"),
    ]
    if now.finished:
        searches = f"{now.searches} search{'es' * (now.searches > 1)}"
        last = "; ".join(filter(None, [f"{now.completions} completions", *reached, mix]))
        said = f"finished: {searches}; the last, {place}: {last}"
    else:
        at = f"{place} (search {now.search} of {now.searches})"
        if now.search <= now.searches_done:
            between = [f"{at} is finished, the next has not begun", f"{now.completions} completions", *reached, mix]
            said = "; ".join(filter(None, between))
        else:
            said = "; ".join([at, f"{now.completions}/{now.budget} completions", *reached, mix or _nothing_yet(now)])
        if now.running is False:
            said += (
                f"; no process is working on it: run the same `{now.importing or 'soar run'}` command again to resume"
            )
    useless = useless_line(now.status)
    return "\n".join([said, *([useless] if useless else []), *leak_lines(now.leaks)])


def _nothing_yet(now: Snapshot) -> str:
    return "no completions yet" + (": a finetuning comes first, unless it has just ended" if now.iteration else "")
