from types import SimpleNamespace
from typing import Any, cast

from rich.console import Console

from soar.domains.complete import DRAWN, complete, draw
from soar.report.drawing import highlighted, print_groups, print_whole
from soar.report.foreign import failure_text, visible
from soar.report.overview import Telling
from soar.report.show import print_report, show_telling
from soar.report.show_solution import origin
from soar.report.task_view import Found
from soar.report.view import leak_lines
from soar.types import Example, Failure, Origin, Program, Task


class Grids:
    """A domain of rows of digits, drawn as ARC's are: a cell takes two columns."""

    def load(self, source):
        return []

    def parse(self, value):
        return value


def printed(show, columns=80):
    console = Console(width=columns)
    with console.capture() as captured:
        show(console)
    return captured.get()


def arc():
    from soar.domains.arc.domain import Arc

    return Arc()


def grid(rows, columns):
    return tuple(tuple((x + y) % 10 for x in range(columns)) for y in range(rows))


def test_values_stand_side_by_side_and_a_missing_one_is_a_question_mark():
    said = printed(lambda console: print_groups(console, arc(), [[("input", ((1, 2),)), ("output", None)]]), 60)
    assert [line.split() for line in said.splitlines()] == [["input", "output"], ["1", "2", "?"], []]


def test_pairs_that_do_not_fit_stand_in_further_rows_and_no_cell_is_cut():
    pairs = [[(f"pair {n}", grid(3, 12)), ("output", grid(3, 12))] for n in range(1, 4)]
    said = printed(lambda console: print_groups(console, arc(), pairs))
    titles = [line.split() for line in said.splitlines() if "pair" in line]
    assert titles == [["pair", str(n), "output"] for n in (1, 2, 3)]
    assert sum(line.count("0 1 2 3 4 5 6 7 8 9 0 1") for line in said.splitlines()) == 6
    assert max(map(len, said.splitlines())) <= 80
    wide = printed(lambda console: print_groups(console, arc(), pairs), 160)
    assert [line.split().count("output") for line in wide.splitlines() if "pair" in line] == [3]


def test_titles_are_bold_where_a_terminal_can():
    console = Console(width=60, force_terminal=True, color_system="standard")
    with console.capture() as captured:
        print_groups(console, arc(), [[("the title", ((1,),))]])
    assert "\x1b[1mthe title" in captured.get()


def test_what_fits_exactly_is_not_cut():
    pair = [("pair", grid(2, 12)), ("output", grid(2, 12))]
    said = printed(lambda console: print_groups(console, arc(), [pair]), 24 + 2 + 24)
    assert said.splitlines()[1].split() == [*"012345678901"] * 2
    assert len(said.splitlines()) == 4


def test_the_largest_grids_stand_below_each_other_and_are_whole_in_any_terminal():
    pair = [("input", grid(30, 30)), ("output", grid(30, 30))]
    for columns in (80, 40):
        lines = printed(lambda console: print_groups(console, arc(), [pair]), columns).splitlines()
        whole = [" ".join(map(str, row)) for row in grid(30, 30)]
        assert [line.rstrip() for line in lines if line.strip()] == ["input", *whole, "output", *whole]


def test_a_value_of_any_domain_is_drawn_as_its_json_cut_where_it_is_very_long():
    assert draw((1, "a", None, (True,))).plain == '[1,"a",null,[true]]'
    assert len(draw(tuple(range(10_000))).plain) == DRAWN
    said = printed(lambda console: print_groups(console, complete(Grids()), [[("value", tuple(range(100)))]]))
    assert said.split()[-1] == str(list(range(100))).replace(" ", "")


HOSTILE = "\x1b[2J\x1b]0;title\x07 [bold red]x[/] [/nothing] :smile: \u202e\r\x9b\ud800"


def test_what_a_terminal_would_obey_is_shown_and_markup_is_text():
    assert visible("a\tb\nö ∑") == "a\tb\nö ∑"
    said = printed(lambda console: print_whole(console, HOSTILE))
    assert said.rstrip("\n") == ("\\x1b[2J\\x1b]0;title\\x07 [bold red]x[/] [/nothing] :smile: \\u202e\\r\\x9b\\ud800")


def test_hostile_code_failures_titles_and_values_of_a_careless_domain_stay_text():
    class Careless(Grids):
        def draw(self, value):
            return str(value)

    failure = Failure("ValueError", HOSTILE, 2, HOSTILE)
    groups = [[(HOSTILE, HOSTILE), ("failed", failure)]]
    said = printed(lambda console: print_groups(console, complete(Careless()), groups), 200)
    said += printed(lambda console: print_whole(console, highlighted(f"x = '{HOSTILE}'")))
    assert not {"\x1b", "\x07", "\r", "\x9b", "\u202e"} & set(said)
    assert said.count("[bold red]x[/] [/nothing] :smile:") >= 3
    assert failure_text(failure).count("\n") == 0


def test_the_nearest_program_of_an_unsolved_task_is_shown_as_such():
    task = Task("turn", (Example(((1, 2),), ((2, 1),)),), (Example(((3, 4),), ((4, 3),)),))
    program = Program(Origin("train", 0, "turn", "sample", 0, 0, 0), "code()", (((1, 2),),), (((3, 4),),), 0.0)
    near = Telling("near", task, program, None, 0, 7)
    view = SimpleNamespace(domain=arc())
    said = printed(lambda console: show_telling(near, cast("Any", view), console), 200)
    assert "task turn: none of its 7 programs is right on all training pairs; the nearest is\n" in said
    assert said.splitlines()[2] == "train/0/turn/sample/0/0/0"
    assert said.splitlines()[-1] == "code()"


def test_a_leak_is_said_in_one_line_however_narrow_the_terminal():
    said = printed(lambda console: print_report([], {"target": {"train": 3}}, "runs/x", console), 40)
    assert [line for line in said.splitlines() if "LEAK" in line] == leak_lines({"target": {"train": 3}})


def test_a_long_line_of_code_is_not_broken():
    code = f"def transform(grid):\n    return {' + '.join(['grid'] * 60)}"
    assert printed(lambda console: print_whole(console, highlighted(code))) == code + "\n"


def test_a_failure_is_one_line_with_its_place_if_that_is_known():
    assert failure_text(Failure("ValueError", "a\nb\x1b")) == "ValueError: a b\\x1b"
    assert failure_text(Failure("ValueError", "", 3, "  raise  ")) == "ValueError:  (line 3: raise)"
    assert failure_text(Failure("ValueError", "x", 3)) == "ValueError: x (line 3: )"


def test_how_often_a_program_was_written_and_which_answer_it_gives_is_told():
    program = Program(Origin("s", 0, "t", "sample", 0, 0, 0), "code", (), (), 1.0)

    def told(gives=None, rejected=None, copies=1):
        return origin(Found(program, 1, 0, rejected, None, copies), gives)

    assert told(1) == "written once, gives answer 1"
    assert told(2, copies=3) == "written 3 times, gives answer 2"
    assert told() == "written once, gives neither answer"
    assert told(rejected="hard-coded") == "written once, has no vote (hard-coded)"
