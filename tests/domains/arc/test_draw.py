from soar.domains.arc.draw import draw


def test_a_drawn_grid_reads_without_colour():
    assert draw(((0, 1), (2, 9))).plain == "0 1 \n2 9 "


def test_every_cell_has_its_colour():
    styles = {str(span.style) for span in draw(((0, 1, 2, 3, 4, 5, 6, 7, 8, 9),)).spans}
    assert len(styles) == 10
