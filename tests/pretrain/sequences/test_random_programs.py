"""The prior of sequences: what it draws, and that compiled terms are those of the Python programs."""

import re
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from soar.domains.sequences import language
from soar.domains.sequences.language import WORDS, prefix, program
from soar.pretrain import sequences
from soar.pretrain.sequences.enumeration import smallest, solved
from soar.pretrain.sequences.evaluate import LONGEST, evaluate
from soar.pretrain.sequences.generate import LARGEST_TERM, draw, teaches
from soar.pretrain.sequences.prior import LARGEST, random_programs
from soar.types import Example, Task

STEPS = 20_000

pytestmark = pytest.mark.slow  # what is compiled cannot be kept on disk


def text(codes):
    return " ".join(WORDS[code] for code in codes)


def encoded(words):
    row = np.zeros((1, LONGEST), np.uint8)
    codes = [WORDS.index(word) for word in words.split()]
    row[0, : len(codes)] = codes
    return row, np.array([len(codes)])


def compiled(words, terms=24):
    values, valid = evaluate(*encoded(words), terms, STEPS)
    return values[0, : valid[0]].tolist()


def python(words, terms=24):
    """The terms that the Python program gives, up to the first error."""
    space = {}
    exec(program(words), space)
    found = []
    for n in range(terms):
        try:
            found.append(space["transform"](n))
        except (ArithmeticError, RuntimeError, ValueError):
            break
    return found


@pytest.mark.parametrize(
    ("words", "first"),
    [
        ("mul x x", [0, 1, 4, 9]),
        ("loop mul x y x 1", [1, 1, 2, 6]),
        ("loop2 add x y x x 0 1", [0, 1, 1, 2, 3, 5]),
        ("find mod x 2 x", [1, 3, 5, 7]),
        ("if sub x 2 7 lt x 1", [1, 0, 0, 7]),
        ("div sub 0 x 2", [0, -1, -1, -2, -2]),
        ("mod sub 0 x 3", [0, 2, 1, 0]),
        ("eq mod x 4 3", [0, 0, 0, 1]),
    ],
)
def test_operators_mean_what_the_language_says(words, first):
    assert compiled(words)[: len(first)] == first
    assert python(words)[: len(first)] == first


def test_compiled_terms_are_those_of_the_python_program():
    programs, lengths = random_programs(7, 400)
    values, valid = evaluate(programs, lengths, 24, STEPS)
    agreed = 0
    for codes, length, terms, count in zip(programs, lengths, values, valid, strict=True):
        words = text(codes[:length])
        found = python(words)
        assert terms[:count].tolist() == found[:count], words
        agreed += int(count)
    assert agreed > 400 * 24 / 2


def test_random_programs_are_expressions_of_the_language_and_follow_from_the_seed():
    programs, lengths = random_programs(3, 300)
    again, _ = random_programs(3, 300)
    assert np.array_equal(programs, again)
    assert not np.array_equal(programs, random_programs(4, 300)[0])
    for codes, length in zip(programs, lengths, strict=True):
        words = text(codes[:length])
        assert prefix(program(words)) == words
    assert lengths.max() <= LARGEST
    assert {WORDS[code] for codes, length in zip(programs, lengths, strict=True) for code in codes[:length]} > set(
        language.OPERATORS
    )


def test_a_line_of_the_corpus_is_a_sequence_that_changes_and_its_shortest_program():
    found = draw(0, 0)
    assert len(found) > 3000
    for terms, codes in islice(found.items(), 200):
        values = np.frombuffer(terms, np.int64)
        assert compiled(text(codes), 16) == values.tolist()
        assert len(set(values.tolist())) >= 3
        assert abs(values).max() < LARGEST_TERM
    squares, flat = np.arange(16) ** 2, np.arange(16) % 2
    assert teaches(np.array([squares, flat, squares]), np.array([24, 24, 15])).tolist() == [True, False, False]


def test_the_prior_reads_no_sequence():
    for file in Path(sequences.__path__[0]).glob("*.py"):
        source = file.read_text()
        assert not re.search(r"oeis|\.jsonl\.gz\"\)|read_source|\.load\(", source), file.name


def test_the_smallest_programs_come_first_and_solve_what_they_are():
    first = [text(codes) for codes in islice(smallest(), 2000)]
    assert first[:4] == ["0", "1", "2", "x"]
    assert len(set(first)) == len(first)
    assert "mul x x" in first
    tasks = [
        Task(name, tuple(Example(n, rule(n)) for n in range(16)), tuple(Example(n, rule(n)) for n in range(16, 24)))
        for name, rule in (("squares", lambda n: n * n), ("far", lambda n: n**5 + 3 * n + 1))
    ]
    assert solved(tasks, 2000) == ["squares"]
