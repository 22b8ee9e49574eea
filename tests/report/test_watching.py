"""What `soar solve` shows while it searches: a line a task, printed when there is news, and a screen in a terminal."""

import asyncio
import io

import pytest
from rich.console import Console
from scripted_runs import HOSTILE

from soar import session
from soar.report import watching
from soar.report.task_view import task_view
from soar.report.watching import Tried, said, tried, watch
from soar.types import Example, Origin, Program, Task

TASK = Task("t", (Example(1, 2), Example(2, 3), Example(3, 4)), (Example(4, None),))


def program(accuracy, code="def transform(x):\n    return x + 1", index=0):
    place = Origin("s", 0, "t", "sample", 0, 0, index)
    return Program(origin=place, code=code, train=(2, 3, 4), test=(5,), accuracy=accuracy)


def so_far(best=None, task=TASK, completions=4):
    return Tried(task, completions, 20, 3, best)


def printed(*looks):
    """Return the lines that these looks print, one list of `Tried` after the other."""
    out = io.StringIO()
    lines = watching._Lines(Console(file=out, width=40))
    for look in looks:
        lines.show(look)
    return out.getvalue().splitlines()


def screen(now):
    console = Console(width=60)
    with console.capture() as captured:
        console.print(watching._screen(now))
    return [line.rstrip() for line in captured.get().splitlines()]


def test_a_line_says_what_was_tried_and_how_near_it_is():
    assert said(so_far()) == "t: 4 of 20 completions, 3 programs; none to judge yet"
    assert said(so_far(program(2 / 3))) == (
        "t: 4 of 20 completions, 3 programs; the best is right on 2 of 3 training pairs"
    )
    task = Task(HOSTILE, TASK.train, TASK.test)
    assert said(so_far(task=task)).startswith("[bold red]x\\x1b[2J :smile:: 4 of 20")


def test_a_line_is_printed_when_a_task_comes_nearer_and_not_otherwise():
    near, nearer = so_far(program(1 / 3)), so_far(program(1.0))
    assert printed([so_far()]) == []
    assert printed([near], [near], [nearer], [near]) == [said(near), said(nearer)]
    assert printed([so_far(program(0.0))]) == [said(so_far(program(0.0)))]


def test_a_line_is_printed_again_after_a_while(monkeypatch):
    near = so_far(program(1 / 3))
    monkeypatch.setattr(watching, "PRINT_EVERY", 0.0)
    assert printed([near], [near], [so_far()]) == [said(near), said(near)]


def test_the_screen_has_a_line_a_task_and_the_best_program_of_an_unsolved_one():
    solved, near = so_far(program(1.0, "def done(x): return 1")), so_far(program(1 / 3, "def near(x): return 2"))
    assert screen([so_far()]) == ["t: 4 of 20 completions, 3 programs; none to judge yet"]
    shown = screen([so_far(), solved, near])
    assert shown[0].startswith("t: 4 of 20 completions, 3 programs; none to")
    assert shown[1].endswith("…")
    assert shown[3:] == ["", "s/0/t/sample/0/0/0", "def near(x): return 2"]
    assert screen([so_far(), solved])[-1] == "def done(x): return 1"


def test_the_screen_shows_no_more_tasks_and_lines_than_fit(monkeypatch):
    monkeypatch.setattr(watching, "LINES", 2)
    monkeypatch.setattr(watching, "TASKS", 2)
    long = so_far(program(1 / 3, "def f(x):\n    y = x\n    return y"))
    shown = screen([so_far(), so_far(), so_far(), long])
    assert shown[2:] == ["and 2 more", "", "s/0/t/sample/0/0/0", "def f(x):", "    y = x"]
    assert "more" not in "".join(screen([so_far(), so_far()]))


@pytest.fixture(scope="module")
def view(finished):
    with session.view_run(finished) as opened:
        yield opened


def test_the_best_of_the_programs_so_far_is_the_most_accurate_that_ran_then_the_shortest(view):
    (flip,) = (task for task in view.tasks["train"] if task.id == "flip")
    now = tried(view.reader, view, flip)
    found = [each.program for each in task_view(view, "flip").found if each.program.origin.iteration == 0]
    assert (now.completions, now.budget, now.programs) == (20, 20, len(found))
    right = [each for each in found if each.accuracy == 1.0 and each.ran]
    assert now.best in right
    assert len(now.best.code) == min(len(each.code) for each in right)
    assert now.right == 3


@pytest.mark.parametrize("terminal", [False, True])
def test_a_search_is_watched_until_it_ends_and_once_more(view, terminal):
    out = io.StringIO()
    console = Console(file=out, width=120, force_terminal=terminal)

    async def watched():
        looking = asyncio.create_task(watch(view, view.tasks["train"], console))
        await asyncio.sleep(0.4)
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)

    asyncio.run(watched())
    assert "flip: 20 of 20 completions" in out.getvalue()
    assert "the best is right on 3 of 3 training pairs" in out.getvalue()
    if not terminal:
        assert len(out.getvalue().splitlines()) == 3


def test_what_was_found_between_two_looks_is_printed_at_the_end(view, monkeypatch):
    out = io.StringIO()

    async def never(*_: object) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(watching, "_look", never)
    asyncio.run(watch(view, view.tasks["train"], Console(file=out, width=120)))
    assert len(out.getvalue().splitlines()) == 3
