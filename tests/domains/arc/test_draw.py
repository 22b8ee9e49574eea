from rich.console import Console

from soar.domains.arc.draw import draw, side_by_side


def test_a_drawn_grid_reads_without_colour():
    assert draw(((0, 1), (2, 9))).plain == "0 1 \n2 9 "


def test_every_cell_has_its_colour():
    styles = {str(span.style) for span in draw(((0, 1, 2, 3, 4, 5, 6, 7, 8, 9),)).spans}
    assert len(styles) == 10


def test_grids_stand_side_by_side_and_a_missing_one_is_a_question_mark():
    console = Console(width=60)
    with console.capture() as captured:
        console.print(side_by_side([("input", ((1, 2),)), ("output", None)]))
    assert [line.split() for line in captured.get().splitlines()] == [["input", "output"], ["1", "2", "?"]]
