import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soar.prompts.extract import extract, fenced
from soar.protocols import Extraction

CODE = "import numpy as np\n\n\ndef transform(grid):\n    return grid"
OTHER = "def transform(grid):\n    return [[0]]"
HELPER = "def helper(grid):\n    return grid"
STATED = 'def transform(grid):\n    """Mirror the rows."""\n    pass'
BROKEN = "def transform(grid):\n    return [row[::-1 for row in grid]"


def found_in(text: str) -> Extraction:
    return extract(text, "transform(grid)")


def block(code: str) -> str:
    return f"```python\n{code}\n```"


def codes() -> st.SearchStrategy[str]:
    """Programs as models write them: any lines around a definition, no trailing white space, no reasoning tags."""
    lines = st.lists(st.text(st.characters(exclude_characters="\r\n<", exclude_categories=["Cs"]), max_size=20))
    return st.tuples(lines, lines).map(
        lambda around: "\n".join(["# program", *around[0], "def transform(grid):", *around[1], "    return grid"])
    )


@pytest.mark.parametrize("half", ["    '''half", '    """half'])
def test_a_string_left_open_in_reasoning_does_not_hide_the_program_behind_it(half):
    assert found_in(f"```python\ndef transform(grid):\n{half}\n</think>\nSo:\n{block(CODE)}").code == CODE


@given(codes())
def test_the_code_of_a_completion_is_the_code_it_was_made_of(code):
    assert found_in(fenced(code)) == Extraction(code=code)


@given(codes(), st.text(max_size=30).filter(lambda text: not set(text) & set("`~<")))
def test_words_around_a_block_do_not_change_its_code(code, words):
    assert found_in(f"{words}\n{fenced(code)}\n{words}").code == code


@given(st.text(st.sampled_from("`~ \n<>/thinkpyo:=d(ef rasm"), max_size=300))
def test_any_text_gives_either_code_or_a_reason(text):
    found = found_in(text)
    assert (found.code is None) != (found.reason is None)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (f"First {block(OTHER)}", OTHER),
        (f"First:\n{block(OTHER)}\nBetter:\n{block(CODE)}", CODE),
        (f"{block(CODE)}\nFor example:\n{block('transform([[1]])')}", CODE),
        (f"{block(CODE)}\nA helper:\n{block(HELPER)}", CODE),
        (f"{block(CODE)}\nThe signature:\n{block('def transform(grid):' + chr(10) + '    ...')}", CODE),
        (f"{block(CODE)}\nIn short:\n{block(STATED)}", CODE),
        (f"{block(BROKEN)}\nThe signature:\n{block(STATED)}", STATED),
        (block(STATED), STATED),
        (f"{block(OTHER)}\n{block(STATED + chr(10) + CODE)}", STATED + "\n" + CODE),
        (f"{block(CODE)}\nOr:\n```python\n{OTHER}", CODE),
        (f"<think>\n{block(OTHER)}\n</think>\n{block(CODE)}", CODE),
        (f"{block(CODE)}\n<reasoning>{block(OTHER)}\n", CODE),
        (f"draft:\n{block(OTHER)}\n</think>\n{block(CODE)}", CODE),
        (f"<think>draft:\n{block(OTHER)}\n</think>\nAs said in <think> above:\n{block(CODE)}", CODE),
        (f"<think>draft</think>\n{block(CODE)}\n<think>{block(OTHER)}\n", CODE),
        (f"<THINK>```python\n{OTHER}\n</THINK>{block(CODE)}", CODE),
        (f"~~~\n{CODE}\n~~~", CODE),
        (f"```\n{CODE}\n```", CODE),
        (f"```Python 3\n{CODE}\n```  ", CODE),
        (f"````python\n{CODE}\n# ```\n````", f"{CODE}\n# ```"),
        (f"```python\n{HELPER}\n```python\n{CODE}\n```", CODE),
        (block(CODE).replace("\n", "\r\n"), CODE),
        (f"1. Do:\n   ```python\n   {OTHER.replace(chr(10), chr(10) + '   ')}\n   ```", OTHER),
        (f"```python\n\n\n{CODE}\n\n\n```", CODE),
        (block("transform = lambda grid: grid"), "transform = lambda grid: grid"),
        (block("transform: object = len"), "transform: object = len"),
    ],
)
def test_the_last_closed_block_with_the_entry_point_is_taken(text, code):
    assert found_in(text).code == code


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        (" \n\t", "empty"),
        ("I give up.", "no-code"),
        (CODE, "no-code"),
        (f"<think>{block(CODE)}", "no-code"),
        (f"<think>{block(CODE)}</think>", "no-code"),
        (f"```python\n{CODE}", "unclosed-block"),
        ("```python\nimport num", "unclosed-block"),
        (f"{block(HELPER)}\n```python\n{CODE}", "unclosed-block"),
        (block(HELPER), "no-entry-point"),
        (block("class A:\n    def transform(self, grid):\n        return grid"), "no-entry-point"),
        (block("transform == 3"), "no-entry-point"),
        (block("transformed = 3"), "no-entry-point"),
        (f"{block(HELPER)}\n```python\nimport num", "no-entry-point"),
    ],
)
def test_a_text_without_a_program_has_a_typed_reason(text, reason):
    assert found_in(text) == Extraction(reason=reason)


@pytest.mark.parametrize(
    "text",
    [
        "<think>" * 20_000,
        "</think>" + "<think>" * 20_000,
        "~" * 100_000 + "`",
        "```" + " " * 100_000 + "`",
        "```\n" * 50_000,
        "~~~~\n```\n" * 20_000,
        '```x\n\\"""\n' * 20_000,
        "".join("`" * length + "\n" for length in range(400, 2, -1)) + "<think>" * 10_000,
        "```python\n</s>" * 10_000,
        block("import a" + ".a" * 9_000) * 10,
        "\n".join([block(f"def transform(grid):\n    return grid.{'a.' * 9_000}a")] * 10),
    ],
)
def test_a_hostile_text_is_searched_quickly(text):
    begun = time.process_time()
    found_in(text)
    assert time.process_time() - begun < 3.0


@pytest.mark.parametrize(
    "nested", ["(" * 50_000, "-" * 19_000 + "1", "not " * 4_000 + "1", "1 if 1 else " * 1_500 + "1"]
)
def test_source_that_no_parser_can_take_is_only_text(nested):
    code = f"def transform(grid):\n    return {nested}"
    assert found_in(block(code)).code == code
    assert found_in(f"{block(CODE)}\n{block(code)}").code in (CODE, code)


def test_the_function_that_is_looked_for_is_the_one_of_the_signature():
    solve = "def solve(n):\n    return n"
    assert extract(f"{block(solve)}\n{block(CODE)}", "solve(n)").code == solve
    assert extract(block(CODE), "solve(n)").reason == "no-entry-point"
