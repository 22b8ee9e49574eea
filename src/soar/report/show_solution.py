"""What a search found for a task in hand, in the terminal: both answers, the program, and what both are worth.

Knows how `soar.report.solution` is laid out for people.
"""

from collections.abc import Sequence
from functools import partial

from rich.console import Console

from soar.report.answers import answer_groups
from soar.report.drawing import Group, highlighted, print_groups, print_whole
from soar.report.show_task import lineage_line
from soar.report.solution import Solution
from soar.report.task_view import Found

ENDED = {
    "agreed": "enough programs agree",
    "spent": "all completions that it may take are there",
    "limit": "a limit is reached",
    "stopped": "it was stopped",
}


def show_solution(found: Solution, console: Console) -> None:
    """Print what was found: answers, vote, program, on which pairs it is right, and how it came about."""
    print_whole(console, f"\ntask {found.task.id}: {headline(found)}\n")
    if found.answers:
        print_groups(console, found.seen.domain, _answers(found))
        print_whole(console, vote_line(found))
    if found.program is None:
        print_whole(console, tried_line(found))
        return
    print_whole(console, f"\n{'the best program' if found.found else 'the nearest program'}:\n")
    print_whole(console, highlighted(found.program.program.code))
    print_whole(console, f"\n{pairs_line(found)}; {origin(found.program, found.gives)}")
    print_whole(console, lineage_line(found.seen, found.program.program))
    print_whole(console, tried_line(found))


def _answers(found: Solution) -> Sequence[Group]:
    """Return per test input what was answered, and the wanted output where the task holds it."""
    return answer_groups(found.task, found.answers, partial(_title, found), unknown=False)


def _title(found: Solution, place: int) -> str:
    right = "" if found.right is None else ", right" if found.right[place] else ", wrong"
    return f"answer {place + 1}{right}"


def headline(found: Solution) -> str:
    """Return in a line whether a program was found, and where not how near the search came."""
    pairs = len(found.task.train)
    if found.found:
        return f"a program is right on all {pairs} training pairs"
    if found.program is None:
        return "no program was found, and none that comes near"
    if found.program.right == pairs:
        return f"a program is right on all {pairs} training pairs, but not on every input does it run alike"
    return (
        f"no program is right on all {pairs} training pairs; the nearest is right on {found.program.right}, and goes"
        f" {found.near:.0%} of the way from the inputs to the outputs"
    )


def vote_line(found: Solution) -> str:
    """Return in a line how sure the vote is."""
    voters = sum(ballot.votes for ballot in found.votes)
    told = [f"{ballot.votes} of {voters} programs for answer {n}" for n, ballot in enumerate(found.answers, 1)]
    others = len(found.votes) - len(found.answers)
    if others:
        told.append(f"{others} other answer{'s' * (others != 1)}")
    return f"vote: {', '.join(told)}; answer 1 has {found.sure:.0%} of the weight"


def pairs_line(found: Solution) -> str:
    """Return in a line on which pairs the program is right."""
    marks = [f"pair {n} {'right' if right else 'wrong'}" for n, right in enumerate(found.train_right, 1)]
    tests = [f"test {n} {'right' if right else 'wrong'}" for n, right in enumerate(found.test_right or (), 1)]
    return ", ".join([*marks, *tests])


def origin(program: Found, gives: int | None) -> str:
    """Return how often the model wrote a program, and what it answers."""
    times = "once" if program.copies == 1 else f"{program.copies} times"
    if program.rejected:
        return f"written {times}, without a vote ({program.rejected})"
    return f"written {times}, {f'for answer {gives}' if gives else 'for neither answer'}"


def tried_line(found: Solution) -> str:
    """Return in a line what the search took, and why it ended."""
    completions = sum(search.completions for search in found.seen.searches)
    if not completions and found.ended == "spent":
        return "the model was not asked: the task fits its context in no form"
    tokens, programs = found.tokens.total, len(found.seen.found)
    took = f"{completions} completions, {programs} programs, {tokens} tokens, {found.seconds:.1f} s"
    return f"{took}; the search ended because {ENDED[found.ended]}"
