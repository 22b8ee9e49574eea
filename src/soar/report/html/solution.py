"""What a search found for a task in hand, for a notebook."""

from collections.abc import Sequence
from functools import partial

from soar.report.answers import answer_groups
from soar.report.html.markup import Html, element
from soar.report.html.task import cell, pairs, program_parts
from soar.report.html.values import Group, groups
from soar.report.show_solution import headline, tried_line, vote_line
from soar.report.solution import Solution


def solution_cell(found: Solution) -> Html:
    """Return what was found as a notebook shows it."""
    state = "good" if found.found else "half" if found.program and found.program.right else "bad"
    parts: list[object] = [element("h3", f"task {found.task.id}"), element("p", headline(found), class_=state)]
    if found.answers:
        parts += [groups(found.seen.domain, _answers(found)), element("p", vote_line(found))]
    if found.program:
        parts += [groups(found.seen.domain, pairs(found.seen, found.program)), program_parts(found.seen, found.program)]
    return cell(*parts, element("p", tried_line(found), class_="soft"))


def _answers(found: Solution) -> Sequence[Group]:
    return answer_groups(found.task, found.answers, partial(_title, found), unknown=False)


def _title(found: Solution, place: int) -> Html | str:
    if found.right is None:
        return f"answer {place + 1}"
    right = found.right[place]
    mark = element("span", "✓ right" if right else "✗ wrong", class_="good" if right else "bad")
    return element("span", f"answer {place + 1}, ", mark)
