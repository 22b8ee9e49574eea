"""Four hundred programs, wrapped in every kind of reply that models write, come back unchanged."""

import json
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from soar.prompts.extract import extract, fenced

REAL = [json.loads(line)["code"].strip() for line in Path("benchmarks/programs.jsonl").read_text().splitlines()]
PLAIN = "import numpy as np\n\n\ndef transform(grid):\n    return np.fliplr(grid).tolist()"
BROKEN = "def transform(grid):\n    return [row[::-1 for row in grid]"
DRAFT = "def transform(grid):\n    return grid"

AWKWARD = [
    'def transform(grid):\n    """Mirror it.\n\n    ```\n    transform([[1, 2]])\n    ```\n    """\n    return grid',
    'def transform(grid):\n    """So:\n\n```python\ndef transform(grid):\n    return []\n```\n    """\n    return grid',
    "'''\n~~~\nnotes\n~~~\n'''\n\n\ndef transform(grid):\n    return [row for row in grid]",
    'TAG = "<think>"\n\n\ndef transform(grid):\n    # <reflection> is it right?\n    return grid',
    'def transform(grid):\n    """<think>first the rows</think>"""\n    return grid  # </think>',
    "def transform(grid):\n    parts = 'a```b'.split('```')\n    return grid",
    "def transform(grid):\n    # ```\n    # an example\n    # ```\n    return grid",
    "def transform(grid):\n    it = \"it's\"\n    return grid  # isn't it 'so",
    "def transform(grid):\n    text = 'it\\'s # no comment'\n    return [[~~~cell for cell in row] for row in grid]",
    "transform = lambda grid: [row[::-1] for row in grid]",
    "def transform(grid):\n\treturn [row[:] for row in grid]",
    'def transform(grid):\n    pattern = r"\\d+<|im_end|></s>"\n    return grid',
    "# -*- coding: latin-1 -*-\ndef transform(grid):\n    return grid  # é",
    "def transform(grid):\n\n\n    x = f'{grid}'\n\n    return grid\n\n\nif __name__ == 'a':\n    print('''```''')",
    'def transform(grid):\n    a = """one""" + \'\'\'two\'\'\' + ""\n    return grid',
    "def transform(grid):\n    s = '''\n```\ncode\n```\nmore\n'''\n    t = \"\"\"\n```py\nx\n```\n\"\"\"\n    return s",
]
VARIANTS = [f"# variant {number}\n{code}" for number in range(4) for code in AWKWARD]
PROGRAMS = [*REAL, *AWKWARD, *VARIANTS]


def indented(code: str, by: str) -> str:
    return "\n".join(by + line if line else line for line in code.split("\n"))


def quoted(code: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in f"```python\n{code}\n```".split("\n"))


REPLIES: dict[str, Callable[[str], str]] = {
    "a block": lambda code: f"```python\n{code}\n```",
    "without language": lambda code: f"```\n{code}\n```",
    "py": lambda code: f"Sure!\n\n```py\n{code}\n```\n\nIt mirrors the rows.",
    "Python 3": lambda code: f"```Python 3\n{code}\n```",
    "a title": lambda code: f'```python title="solution.py"\n{code}\n```',
    "braces": lambda code: f"```{{.python}}\n{code}\n```",
    "opening behind words": lambda code: f"The code: ```python\n{code}\n```",
    "opening behind words, bare": lambda code: f"Here it is: ```\n{code}\n```\nDone.",
    "opening in a list": lambda code: f"- ```python\n{indented(code, '  ')}\n  ```",
    "closing behind the code": lambda code: f"```python\n{code}```",
    "closing behind the code, words behind": lambda code: f"```python\n{code}``` This is right.\n\nI hope it helps.",
    "both share their lines": lambda code: f"Answer: ```python\n{code}```",
    "sentence ends": lambda code: f"```python\n{code}\n```</s>",
    "agent ends": lambda code: f"Thought: easy.\nCode:\n```py\n{code}\n```<end_code>",
    "turn ends": lambda code: f"```python\n{code}\n```<|im_end|>\n<|im_start|>assistant",
    "turn ends without fence": lambda code: f"```python\n{code}\n<|im_end|>",
    "words behind the closing": lambda code: f"```python\n{code}\n``` That is all.",
    "code on the opening's line": lambda code: f"```python\n{code}\n```\nCall it ```transform(grid)```.",
    "carriage returns": lambda code: f"Code:\n```python\n{code}\n```\n".replace("\n", "\r\n"),
    "tildes": lambda code: f"~~~python\n{code}\n~~~",
    "long fence": lambda code: f"`````python\n{code}\n`````",
    "own fence": fenced,
    "quoted Markdown": lambda code: f"````markdown\n# Answer\n```python\n{code}\n```\n````",
    "indented": lambda code: f"1. Do this:\n\n   ```python\n{indented(code, '   ')}\n   ```\n",
    "indented by a tab": lambda code: f"\t```python\n{indented(code, chr(9))}\n\t```",
    "a quotation": quoted,
    "reasoning before": lambda code: (
        f"<think>Maybe\n```python\n{DRAFT}\n```\nno, it isn't</think>\n```python\n{code}\n```"
    ),
    "reasoning without its beginning": lambda code: f"Hm.\n```python\n{DRAFT}\n```\n</think>\n\n```python\n{code}\n```",
    "a draft cut off in reasoning": lambda code: f"```python\n{DRAFT}\nand so on</think>\n```python\n{code}\n```",
    "reflection behind": lambda code: f"```python\n{code}\n```\n<reflection>\n```\n{DRAFT}\n```\n</reflection>",
    "an example behind": lambda code: f"```python\n{code}\n```\nFor example:\n```python\nprint(transform([[1]]))\n```",
    "output behind": lambda code: f"```python\n{code}\n```\nOutput:\n```text\nit's [[1, 2]\n```",
    "a draft before": lambda code: f"First:\n```python\n{DRAFT}\n```\nBetter:\n```python\n{code}\n```",
    "a broken one behind": lambda code: f"```python\n{code}\n```\nShorter:\n```python\n{BROKEN}\n```",
    "one cut off behind": lambda code: f"```python\n{code}\n```\nOr:\n```python\n{DRAFT}",
    "one not closed before": lambda code: f"```python\ndef helper(x):\n    return x\n```python\n{code}\n```",
    "a stray fence before": lambda code: f"```\n\nHere is the code:\n\n```\n{code}\n```",
    "a fence in words": lambda code: f"I put it between ``` and ```:\n```python\n{code}\n```",
    "byte-order mark": lambda code: f"\ufeff```python\n\ufeff{code}\n```",
    "blank lines": lambda code: f"```python\n\n\n{code}\n\n  \n```\n\n",
}


def test_there_are_enough_programs_and_kinds():
    assert len(PROGRAMS) >= 400
    assert len(REPLIES) >= 30


@pytest.mark.parametrize("kind", REPLIES)
def test_a_program_in_any_kind_of_reply_comes_back_unchanged(kind):
    wrong = [code for code in PROGRAMS if extract(REPLIES[kind](code), "transform(grid)").code != code]
    assert not wrong, f"{len(wrong)} of {len(PROGRAMS)}, the first:\n{REPLIES[kind](wrong[0])}"


def test_code_on_the_line_of_its_fences_is_whole():
    code = "import numpy as np\ndef transform(grid):\n    return np.array(grid).tolist()"
    for reply in (f"```python {code}\n```", f"```{code}```", f"Here: ```python {code}```"):
        assert extract(reply, "transform(grid)").code == code


def test_broken_code_is_found_by_its_fences():
    for code in (BROKEN, 'def transform(grid):\n    """Never closed\n    return grid', "def transform(grid):\n  '''"):
        reply = f'{textwrap.dedent(code)}\n```\nThe call """transform""" fails.'
        assert extract(f"```python\n{reply}", "transform(grid)").code == code
        assert extract(f"```python\n{PLAIN}\n```\n```python\n{reply}", "transform(grid)").code == PLAIN


def test_a_usual_reply_is_read_in_a_fraction_of_a_millisecond():
    replies = [f"Let me see.\n\n```python\n{code}\n```\n\nIt mirrors the grid." for code in REAL]
    best = float("inf")
    for _ in range(5):
        begun = time.process_time()
        for reply in replies:
            extract(reply, "transform(grid)")
        best = min(best, time.process_time() - begun)
    assert best / len(replies) < 0.0003
