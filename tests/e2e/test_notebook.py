"""The notebook runs from its first cell to its last, in a process of its own and an empty folder.

Its cells are executed as a kernel does: one after the other in one namespace, the last expression shown by its
`_repr_html_`. No kernel is needed, and none is tested.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # searches a few tasks

NOTEBOOK = Path(__file__).parents[2] / "examples" / "first_steps.ipynb"
KERNEL = """
import ast, json, sys
cells, names = json.load(sys.stdin), {"__name__": "__main__"}
for number, text in enumerate(cells):
    body = ast.parse(text).body
    shown = body.pop() if isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), f"cell {number}", "exec"), names)
    if shown:
        value = eval(compile(ast.Expression(shown.value), f"cell {number}", "eval"), names)
        drawn = getattr(value, "_repr_html_", lambda: repr(value))()
        print(f"[{number}] {len(drawn)} {drawn[:60]!r}")
"""


def test_every_cell_runs_and_what_it_shows_draws_itself(tmp_path):
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    code = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert 8 <= len(code) <= 12
    assert all(not cell["outputs"] for cell in notebook["cells"] if cell["cell_type"] == "code")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", KERNEL],
        input=json.dumps(code),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    shown = [line for line in done.stdout.splitlines() if line.startswith("[")]
    assert sum("<div" in line for line in shown) == 3, done.stdout
    assert "((1, 0, 8), (0, 0, 2))" in done.stdout or "[[(1, 0, 8), (0, 0, 2)]" in done.stdout.replace("((", "[(")
    assert (tmp_path / "report.html").stat().st_size > 10_000
