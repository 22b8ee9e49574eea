"""A task of a run, or one of its programs, in the terminal and as JSON: what `soar show` prints.

Knows how to lay out `soar.report.task_view` for people and for scripts; computes nothing.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from soar.protocols import Domain
from soar.report.answers import answer_groups, plain_title
from soar.report.drawing import Group, highlighted, print_groups, print_whole
from soar.report.foreign import visible
from soar.report.task_view import Found, TaskSearch, TaskView, Taught, ancestors, descent
from soar.scoring import verdicts
from soar.types import Failure, Output, Program

LISTED = 12
"""How many programs of a task the terminal lists; JSON has all."""

COMPLETION_LINES = 40
"""How many lines of a completion without a program are printed."""

GENERATIONS = 6
"""How many programs a lineage line names at most."""


def show_task(seen: TaskView, domain: Domain, console: Console) -> None:
    """Print a task: its pairs, latest answers, searches, programs by worth, and the best program in full."""
    task, programs = seen.task, seen.programs
    print_whole(console, f"task {task.id}: {len(task.train)} training pairs, {len(task.test)} to answer\n")
    pairs = [[(f"pair {n}", e.input), ("output", e.output)] for n, e in enumerate(task.train, 1)]
    print_groups(console, domain, pairs)
    print_groups(console, domain, _answers(seen))
    if not seen.searches:
        print_whole(console, "no search of this task has begun")
        return
    console.print(_searches(seen.searches))
    if useless := useless_completions(seen):
        print_whole(console, useless)
    if not programs:
        _show_useless(seen, console)
        return
    console.print(_programs(programs[:LISTED], len(task.train)))
    if len(programs) > LISTED:
        print_whole(console, f"and {len(programs) - LISTED} more; --json lists all\n")
    _show_code(seen, programs[0], console)


def useless_completions(seen: TaskView) -> str | None:
    """Return one line: how many completions of a task hold no program, and why; None if all do."""
    ended = sum((Counter(search.useless) for search in seen.searches), Counter[str]())
    if not ended:
        return None
    listed = ", ".join(f"{status} {count}" for status, count in ended.most_common())
    total = sum(search.completions for search in seen.searches)
    return f"{ended.total()} of {total} completions hold no program: {listed}"


def _show_useless(seen: TaskView, console: Console) -> None:
    """Print, for a task without programs, a completion that holds none."""
    sample = next((search.sample for search in seen.searches if search.sample), None)
    if sample is None:
        print_whole(console, "no programs yet")
        return
    print_whole(console, f"\nthe first of them ({sample.status}), {sample.origin.key}:\n")
    lines = visible(sample.completion.text).splitlines() or ["(empty)"]
    print_whole(console, "\n".join(lines[:COMPLETION_LINES]))
    if len(lines) > COMPLETION_LINES:
        print_whole(console, f"and {len(lines) - COMPLETION_LINES} more lines")


def _answers(seen: TaskView) -> Sequence[Group]:
    """Return for each test input the answers of the newest search that has any, and the expected output."""
    last = next((search for search in reversed(seen.searches) if search.ballots), None)
    return answer_groups(seen.task, last.ballots if last else (), plain_title)


def _searches(searches: Sequence[TaskSearch]) -> Table:
    headings = ("stage", "it.", "programs", "answer 1", "answer 2", "solved", "oracle")
    table = _table(headings, left=("stage", "answer 1", "answer 2"))
    for search in searches:
        answers, known = [_answer(search, n) for n in range(2)], (_known(search.solved), _known(search.oracle))
        number = f"{search.step.iteration}{'' if search.finished else ' so far'}"
        programs = f"{search.programs} of {search.completions}"
        _row(table, search.step.stage.name, number, programs, *answers, *known)
    return table


def _answer(search: TaskSearch, place: int) -> str:
    if place >= len(search.ballots):
        return "none"
    votes = search.ballots[place].votes
    right = "" if search.right is None else ", right" if search.right[place] else ", wrong"
    return f"{votes} vote{'s' * (votes != 1)}{right}"


def _known(value: bool | None) -> str:
    return "?" if value is None else "yes" if value else "no"


def _programs(programs: Sequence[Found], pairs: int) -> Table:
    table = _table(("pairs", "votes", "copies", "test", "program"), left=("program",))
    for each in programs:
        test = "?" if each.test_right is None else f"{sum(each.test_right)}/{len(each.test_right)}"
        _row(table, f"{each.right}/{pairs}", str(each.votes), str(each.copies), test, each.program.key)
    return table


def _table(headings: Sequence[str], left: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="left" if heading in left else "right", overflow="fold")
    return table


def _row(table: Table, *cells: str) -> None:
    table.add_row(*(Text(visible(cell)) for cell in cells))


def _show_code(seen: TaskView, found: Found, console: Console) -> None:
    print_whole(console, f"{found.program.key}: {worth(seen, found)}\n")
    print_whole(console, highlighted(found.program.code))
    print_whole(console, f"\n{lineage_line(seen, found.program)}")


def worth(seen: TaskView, found: Found) -> str:
    """Return one line: what a program is worth."""
    said = [f"right on {found.right} of {len(seen.task.train)} training pairs"]
    if found.test_right is not None:
        said.append(f"on {sum(found.test_right)} of {len(found.test_right)} test outputs")
    votes = f"{found.votes} of the votes" if not found.rejected else f"no vote ({found.rejected})"
    return ", ".join([*said, votes, f"written {found.copies} times" if found.copies > 1 else "written once"])


def lineage_line(seen: TaskView, program: Program) -> str:
    """Return one line: how a program came about, from its sample through the best parent of each generation."""
    way = descent(seen, program)
    told = [f"{each.key} ({_right(seen, each)})" for each in way]
    if len(told) > GENERATIONS:
        told[1 : len(told) - GENERATIONS + 2] = [f"{len(told) - GENERATIONS + 1} more"]
    return f"lineage: {' → '.join(told)}"


def _right(seen: TaskView, program: Program) -> str:
    return f"{sum(verdicts(seen.task.train, program.train))}/{len(seen.task.train)}"


def show_program(seen: TaskView, found: Found, learnt: Sequence[Taught], domain: Domain, console: Console) -> None:
    """Print a program: its code, its output for every input, its ancestors, and the finetunings that used it."""
    program = found.program
    _show_code(seen, found, console)
    print_whole(console, "")
    print_groups(console, domain, _outputs(seen, found))
    line = ancestors(seen, program)
    if len(line) > 1:
        print_whole(console, "ancestors, oldest first:")
    for each in line[:-1]:
        shown = f", refined from {', '.join(each.parents)}" if each.parents else ""
        print_whole(console, f"  {each.key} ({_right(seen, each)}){shown}")
    for each in learnt:
        times = f"{each.examples} example{'s' * (each.examples != 1)} ({each.kind})"
        why = f": {' | '.join(each.why)}" if each.why else ""
        print_whole(console, f"used in the finetuning before {each.stage} iteration {each.iteration}: {times}{why}")


def _outputs(seen: TaskView, found: Found) -> list[Group]:
    task, program = seen.task, found.program
    train = [
        [(f"pair {n}", e.input), ("expected", e.output), (_verdict(output, right=right), output)]
        for n, (e, output, right) in enumerate(
            zip(task.train, program.train, verdicts(task.train, program.train), strict=True), 1
        )
    ]
    known = found.test_right or (None,) * len(task.test)
    test = [
        [(f"test {n}", e.input), ("expected", e.output), (_verdict(output, right=right), output)]
        for n, (e, output, right) in enumerate(zip(task.test, program.test, known, strict=True), 1)
    ]
    return [*train, *test]


def _verdict(output: Output, *, right: bool | None) -> str:
    if isinstance(output, Failure):
        return "failed"
    return "output" if right is None else "right" if right else "wrong"


def task_json(seen: TaskView) -> dict[str, Any]:
    """Return the object of ``soar show RUN_DIR TASK --json``."""
    task, programs = seen.task, seen.programs
    return {
        "task_id": task.id,
        "train": [{"input": example.input, "output": example.output} for example in task.train],
        "test": [{"input": example.input, "output": example.output} for example in task.test],
        "searches": [_search_json(search) for search in seen.searches],
        "programs": [_found_json(seen, each) for each in programs],
        "lineage": [_ancestor_json(seen, each) for each in ancestors(seen, programs[0].program)] if programs else [],
    }


def _search_json(search: TaskSearch) -> dict[str, Any]:
    right = search.right or (None,) * len(search.ballots)
    return {
        "stage": search.step.stage.name,
        "iteration": search.step.iteration,
        "answers": search.step.stage.answers,
        "finished": search.finished,
        "completions": search.completions,
        "programs": search.programs,
        "voted": [
            {"outputs": ballot.outputs, "votes": ballot.votes, "weight": ballot.weight, "right": correct}
            for ballot, correct in zip(search.ballots, right, strict=True)
        ],
        "solved": search.solved,
        "oracle": search.oracle,
    }


def _found_json(seen: TaskView, found: Found) -> dict[str, Any]:
    program = found.program
    return {
        "program": program.key,
        "stage": program.origin.stage,
        "iteration": program.origin.iteration,
        "phase": program.origin.phase,
        "ran": program.ran,
        "train_correct": found.right,
        "train_pairs": len(seen.task.train),
        "test_correct": None if found.test_right is None else sum(found.test_right),
        "votes": found.votes,
        "rejected": found.rejected,
        "copies": found.copies,
        "parents": list(program.parents),
        "code": program.code,
    }


def _ancestor_json(seen: TaskView, program: Program) -> dict[str, Any]:
    return {
        "program": program.key,
        "phase": program.origin.phase,
        "train_correct": sum(verdicts(seen.task.train, program.train)),
        "parents": list(program.parents),
    }


def program_json(seen: TaskView, found: Found, learnt: Sequence[Taught]) -> dict[str, Any]:
    """Return the object of ``soar show RUN_DIR TASK PROGRAM --json``."""
    program = found.program
    train = zip(program.train, verdicts(seen.task.train, program.train), strict=True)
    test = zip(program.test, found.test_right or (None,) * len(program.test), strict=True)
    return {
        "task_id": seen.task.id,
        **_found_json(seen, found),
        "train": [{**_output_json(output), "correct": right} for output, right in train],
        "test": [{**_output_json(output), "correct": right} for output, right in test],
        "lineage": [_ancestor_json(seen, each) for each in ancestors(seen, program)],
        "learnt": [
            {
                "stage": each.stage,
                "iteration": each.iteration,
                "kind": each.kind,
                "examples": each.examples,
                "why": [*each.why],
            }
            for each in learnt
        ],
    }


def _output_json(output: Output) -> dict[str, Any]:
    if isinstance(output, Failure):
        said = {key: getattr(output, key) for key in ("type", "message", "line", "stage", "source_line")}
        return {"output": None, "failure": said}
    return {"output": output, "failure": None}
