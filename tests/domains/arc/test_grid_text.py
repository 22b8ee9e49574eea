import re

from hypothesis import given, settings
from hypothesis import strategies as st

from soar.domains.arc.grid_text import GRID_LEXEMES, GRID_PATTERN, LETTERS, grid_lexemes


@st.composite
def grids(draw, height=None, width=None):
    height = height or draw(st.integers(1, 30))
    width = width or draw(st.integers(1, 30))
    colours = draw(st.integers(1, 10))
    rng = draw(st.randoms(use_true_random=False))
    rows = [tuple(rng.randrange(colours) for _ in range(width)) for _ in range(height)]
    return tuple(rng.choice(rows[: y + 1]) for y in range(height))


@st.composite
def pairs(draw):
    grid = draw(grids())
    other = draw(grids(len(grid), len(grid[0])))
    rng = draw(st.randoms(use_true_random=False))
    return grid, tuple(b if rng.random() < 0.3 else a for a, b in zip(grid, other, strict=True))


def read(text, reference=()):
    """The grid of a text: the inverse of `grid_lexemes`, which proves that nothing is lost."""
    header, *lines = text.removesuffix("\n").split("\n")
    assert re.fullmatch(r"=|\d+r\d+c", header)
    rows = []
    for line in lines:
        number = int(line[1:] or 1) if line[0] in '"$' else 0
        if line[0] == '"':
            rows += [rows[-1]] * number
        elif line[0] == "$":
            rows += reference[len(rows) : len(rows) + number]
        else:
            rows.append(read_row(line, reference[len(rows)] if header == "=" else ()))
    return tuple(rows)


def read_row(line, reference=()):
    cells = ()
    for mark, number in re.findall(r"([A-J~])(\d*)", line):
        count = int(number or 1)
        cells += reference[len(cells) : len(cells) + count] if mark == "~" else (LETTERS.index(mark),) * count
    return cells


@given(grids())
@settings(max_examples=50)
def test_a_grid_can_be_read_back_from_its_text(grid):
    assert read("".join(grid_lexemes(grid))) == grid


@given(pairs())
@settings(max_examples=50)
def test_a_grid_can_be_read_back_relative_to_another(pair):
    reference, grid = pair
    lexemes = grid_lexemes(grid, reference)
    assert read("".join(lexemes), reference) == grid
    assert len(lexemes) <= len(grid_lexemes(grid))


@given(pairs())
@settings(max_examples=50)
def test_the_pattern_cuts_a_text_into_its_lexemes(pair):
    reference, grid = pair
    lexemes = grid_lexemes(reference) + grid_lexemes(grid, reference)
    assert re.findall(GRID_PATTERN, "".join(lexemes)) == lexemes
    assert set(lexemes) <= set(GRID_LEXEMES)


def test_an_unchanged_grid_is_two_lexemes():
    grid = tuple((0, 1, 2) for _ in range(9))
    assert grid_lexemes(grid, grid) == ["=\n", "$9\n"]


def test_grids_of_other_sizes_are_written_whole():
    assert grid_lexemes(((1, 1), (1, 1)), ((1, 1),)) == ["2r", "2c\n", "B2\n", '"\n']
