"""The sequence language and its compact rendering: text, Python, prompts; what reads back and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soar.domains.sequences.compact import LEXEMES, Compact, parts_of, term
from soar.domains.sequences.domain import is_near_constant, task_of
from soar.domains.sequences.language import OPERATORS, prefix, program
from soar.types import Failure, Origin, Program

RENDERING = Compact()
CUBES = task_of("cubes", [n**3 - 20 for n in range(24)])
PRIMES = "find if lt 1 x eq loop add x eq mod 12 y 0 x 0 x 0 x"


def expressions(depth, names):
    """Words of expressions, up to a depth; `names` are what x and y are called inside."""
    atoms = st.sampled_from([*names, "0", "1", "2", "17", "100"])
    if depth == 0:
        return atoms

    def operator(word):
        known = OPERATORS[word]
        inner = ("x", "y") if word.startswith("loop") else ("x",)
        parts = [expressions(depth - 1, inner if n < known.bodies else names) for n in range(known.arguments)]
        return st.tuples(st.just(word), *parts).map(" ".join)

    return st.one_of(atoms, st.sampled_from(list(OPERATORS)).flatmap(operator))


@given(expressions(3, ("x",)))
def test_an_expression_reads_back_from_its_python(words):
    code = program(words)
    assert prefix(code) == words
    assert RENDERING.extract(RENDERING.completion(code)).code == code


def test_a_program_holds_the_helpers_that_it_calls_and_no_other():
    assert program("mul x x") == "def transform(n):\n    return n * n\n"
    assert "def find" in program(PRIMES)
    assert "def loop(" in program(PRIMES)
    assert "def loop2" not in program(PRIMES)


def test_a_program_that_takes_too_long_or_grows_too_large_is_ended():
    for words, error in (("loop x 100 loop x 100 loop x 100 1", RuntimeError), ("loop mul x x x 3", OverflowError)):
        space = {}
        exec(program(words.replace("loop x 100 loop x 100 loop x 100 1", "loop loop loop x 100 x 100 x 100 1")), space)
        with pytest.raises(error):
            space["transform"](23)


@pytest.mark.parametrize("words", ["add x", "add x x x", "y", "find y x", "add x 101", "sin x", "loop x x", ""])
def test_what_is_no_expression_is_refused(words):
    with pytest.raises(ValueError, match=r".+"):
        program(words)
    assert RENDERING.extract(words).code is None


def test_another_program_is_its_own_completion():
    other = "def transform(n):\n    return sum(range(n))\n"
    assert prefix(other) is None
    assert RENDERING.completion(other) == other
    assert RENDERING.extract(other).code == other


def test_a_prompt_shows_the_sixteen_terms_in_order_whatever_the_order_of_the_pairs():
    prompt = RENDERING.sampling(CUBES)
    assert prompt == "<task>- 20- 19- 12 7 44 105 196 323 492 709 980 1_311 1_708 2_177 2_724 3_355<write>"
    turned = type(CUBES)(CUBES.id, CUBES.train[::-1], CUBES.test)
    assert RENDERING.sampling(turned) == prompt
    assert "3_355" not in RENDERING.sampling(turned, None, RENDERING.details(turned)[0]).replace("3_355<", "")


def test_terms_are_left_out_until_a_prompt_is_short():
    long = task_of("long", [10 ** (20 * n) for n in range(24)])
    first = RENDERING.sampling(long, None, RENDERING.details(long)[0])
    assert first.startswith(f"<task> 1{term(10**20)}")
    assert len(first) < 1100 < len(RENDERING.sampling(long))


def test_a_parent_is_shown_with_what_it_gives():
    outputs = [*range(15), Failure("ValueError", "no", stage="run")]
    origin = Origin("s", 0, "cubes", "sample", 0, 0, 0)
    parent = Program(origin, program("x"), tuple(outputs), tuple(range(8)), 0.0)
    prompt = RENDERING.refinement(CUBES, [parent])
    assert f"<parent> x got{''.join(term(n) for n in range(15))} failed<write>" in prompt


def test_lexemes_are_made_of_digits_and_remainders():
    assert len(set(LEXEMES)) == len(LEXEMES)
    assert {"  mod 7 is 4", "_ mod 7 is 4"} & set(parts_of(" 123")) == {"  mod 7 is 4"}
    assert parts_of(" 12")[0] != parts_of(" 123")[0]
    assert parts_of(" loop2") == [" loop2"]


def test_a_program_of_two_values_neither_votes_nor_teaches():
    origin = Origin("s", 0, "cubes", "sample", 0, 0, 0)

    def made(outputs):
        return Program(origin, "", tuple(outputs[:16]), tuple(outputs[16:]), 0.0)

    assert is_near_constant(CUBES, made([n % 2 for n in range(24)]))
    assert not is_near_constant(CUBES, made([n % 3 for n in range(24)]))


def test_an_expression_that_is_nested_too_deeply_is_no_program():
    for words in (" add" * 1_500, " add" * 100_000, " add x" * 100_000):
        with pytest.raises(ValueError, match="nested too deeply"):
            program(words)
        assert RENDERING.extract(words).reason == "no-code"


def test_a_program_that_python_cannot_read_has_no_prefix_text():
    assert prefix("def transform(n):\n    return " + "-" * 100_000 + "n\n") is None
