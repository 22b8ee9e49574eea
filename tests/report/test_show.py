from rich.console import Console

from soar.domains.arc.domain import Arc
from soar.domains.complete import DRAWN, draw
from soar.report.show import side_by_side


def test_values_stand_side_by_side_and_a_missing_one_is_a_question_mark():
    console = Console(width=60)
    with console.capture() as captured:
        console.print(side_by_side(Arc(), [("input", ((1, 2),)), ("output", None)]))
    assert [line.split() for line in captured.get().splitlines()] == [["input", "output"], ["1", "2", "?"]]


def test_a_value_of_any_domain_is_drawn_as_its_json_cut_where_it_is_very_long():
    assert draw((1, "a", None, (True,))).plain == '[1,"a",null,[true]]'
    assert len(draw(tuple(range(10_000))).plain) == DRAWN
