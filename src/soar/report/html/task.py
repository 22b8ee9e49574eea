"""A task of a run, for a notebook: its answers, searches, programs by worth, and the best program in full."""

from collections.abc import Sequence

from soar.report.answers import answer_groups, plain_title
from soar.report.html.code import code
from soar.report.html.markup import Html, element, joined, table
from soar.report.html.style import SHEET
from soar.report.html.values import Group, groups, verdict
from soar.report.show_task import lineage_line, useless_completions, worth
from soar.report.task_view import Found, TaskSearch, TaskView
from soar.scoring import verdicts

LISTED = 12
"""How many programs are listed."""


def cell(*inside: object) -> Html:
    """Return what a notebook shows in a cell, with its style."""
    return element("div", element("style", SHEET), *inside, class_="soar")


def task_cell(seen: TaskView) -> Html:
    """Return a task as a notebook shows it."""
    task, programs = seen.task, seen.programs
    head = f"{len(task.train)} training pairs, {len(task.test)} to answer"
    last = next((search for search in reversed(seen.searches) if search.ballots), None)
    parts: list[object] = [element("h3", f"task {task.id}"), element("p", head, class_="soft")]
    parts.append(groups(seen.domain, pairs(seen, programs[0] if programs else None)))
    parts.append(groups(seen.domain, _answers(seen, last)))
    if seen.searches:
        parts.append(_searches(seen.searches))
    if programs:
        parts += [_programs(programs[:LISTED], len(task.train)), program_parts(seen, programs[0])]
    else:
        parts.append(element("p", useless_completions(seen) or "no programs yet"))
    return cell(*parts)


def pairs(seen: TaskView, found: Found | None) -> list[Group]:
    """Return the training pairs, each with the output of a program if one is given."""
    if found is None:
        return [[(f"pair {n}", e.input), ("expected", e.output)] for n, e in enumerate(seen.task.train, 1)]
    right = verdicts(seen.task.train, found.program.train)
    given = zip(seen.task.train, found.program.train, right, strict=True)
    return [
        [(f"pair {n}", e.input), ("expected", e.output), (verdict(output, right=correct), output)]
        for n, (e, output, correct) in enumerate(given, 1)
    ]


def _answers(seen: TaskView, last: TaskSearch | None) -> Sequence[Group]:
    return answer_groups(seen.task, last.ballots if last else (), plain_title)


def _searches(searches: Sequence[TaskSearch]) -> Html:
    headings = ("search", "programs", "completions", "votes", "solved", "oracle")
    return table(headings, (_search(search) for search in searches))


def _search(search: TaskSearch) -> list[str]:
    name = f"{search.step.stage.name} {search.step.iteration}{'' if search.finished else ' so far'}"
    votes = " and ".join(str(ballot.votes) for ballot in search.ballots) or "none"
    return [name, str(search.programs), str(search.completions), votes, known(search.solved), known(search.oracle)]


def known(value: bool | None) -> str:
    """Return yes or no, or a question mark if that is not known."""
    return "?" if value is None else "yes" if value else "no"


def _programs(programs: Sequence[Found], count: int) -> Html:
    rows = [
        (
            each.program.key,
            f"{each.right}/{count}",
            "?" if each.test_right is None else f"{sum(each.test_right)}/{len(each.test_right)}",
            str(each.votes),
            str(each.copies),
        )
        for each in programs
    ]
    return table(("program", "pairs", "test", "votes", "copies"), rows)


def program_parts(seen: TaskView, found: Found) -> Html:
    """Return a program: its code, what it is worth, and how it came about."""
    lines = (worth(seen, found), lineage_line(seen, found.program))
    return joined([code(found.program.code), *(element("p", line, class_="soft") for line in lines)])
