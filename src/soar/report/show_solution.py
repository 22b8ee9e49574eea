"""What a search found for a task in hand, in the terminal: both answers, the program, and what they are worth.

Knows how to lay out `soar.report.solution` for people.
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
    "spent": "its completions are spent",
    "limit": "a limit is reached",
    "stopped": "it was stopped",
    "failed": "an error ended it",
}


def show_solution(found: Solution, console: Console) -> None:
    """Print the answers, the vote, the program, the pairs it is right on, and how it came about."""
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
    """Return the answers for each test input, and the expected output if the task holds it."""
    return answer_groups(found.task, found.answers, partial(_title, found), unknown=False)


def _title(found: Solution, place: int) -> str:
    right = "" if found.right is None else ", right" if found.right[place] else ", wrong"
    return f"answer {place + 1}{right}"


def headline(found: Solution) -> str:
    """Return one line: whether a program was found, and if not, how near the search came."""
    pairs = len(found.task.train)
    if found.found:
        return f"a program is right on all {pairs} training pairs"
    if found.program is None:
        return "no program was found, not even a near one"
    if found.program.right == pairs:
        return f"a program is right on all {pairs} training pairs, but fails or varies on some input"
    return (
        f"no program is right on all {pairs} training pairs; the nearest is right on {found.program.right} and goes"
        f" {found.near:.0%} of the way from the inputs to the outputs"
    )


def vote_line(found: Solution) -> str:
    """Return one line: how sure the vote is."""
    voters = sum(ballot.votes for ballot in found.votes)
    told = [f"{ballot.votes} of {voters} programs for answer {n}" for n, ballot in enumerate(found.answers, 1)]
    others = len(found.votes) - len(found.answers)
    if others:
        told.append(f"{others} other answer{'s' * (others != 1)}")
    return f"vote: {', '.join(told)}; answer 1 has {found.sure:.0%} of the weight"


def pairs_line(found: Solution) -> str:
    """Return one line: which pairs the program is right on."""
    marks = [f"pair {n} {'right' if right else 'wrong'}" for n, right in enumerate(found.train_right, 1)]
    tests = [f"test {n} {'right' if right else 'wrong'}" for n, right in enumerate(found.test_right or (), 1)]
    return ", ".join([*marks, *tests])


def origin(program: Found, gives: int | None) -> str:
    """Return how often the model wrote a program, and which answer it gives."""
    times = "once" if program.copies == 1 else f"{program.copies} times"
    if program.rejected:
        return f"written {times}, has no vote ({program.rejected})"
    return f"written {times}, {f'gives answer {gives}' if gives else 'gives neither answer'}"


def tried_line(found: Solution) -> str:
    """Return one line: what the search took, and why it ended."""
    completions = sum(search.completions for search in found.seen.searches)
    if not completions and found.ended == "spent":
        return "the model was not called: no form of the task fits its context"
    tokens, programs = found.tokens.total, len(found.seen.found)
    took = f"{completions} completions, {programs} programs, {tokens} tokens, {found.seconds:.1f} s"
    return f"{took}; the search ended because {ENDED[found.ended]}"
