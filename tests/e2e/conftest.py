import json
import os
import sqlite3
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent

RULES = {
    "flip": lambda g: [row[::-1] for row in g],
    "turn": lambda g: g[::-1],
    "swap": lambda g: [list(column) for column in zip(*g, strict=True)],
    "paint": lambda g: [[2 if cell == 1 else cell for cell in row] for row in g],
    "twice": lambda g: [row + row for row in g],
    "sums": lambda g: [[sum(map(sum, g)) % 10]],
}


@pytest.fixture
def task_folder(tmp_path):
    """A folder of six small tasks; the rule of the last is in no reply."""
    folder = tmp_path / "tasks"
    folder.mkdir()
    for number, (name, rule) in enumerate(RULES.items()):
        grids = [
            [[(number + 3 * i + 2 * y + x * (y + i)) % 5 for x in range(2 + i)] for y in range(3)] for i in range(4)
        ]
        pairs = [{"input": grid, "output": rule(grid)} for grid in grids]
        (folder / f"{name}.json").write_text(json.dumps({"train": pairs[:3], "test": pairs[3:]}))
    return folder


@pytest.fixture
def environment():
    """The environment of a child process that can import the replies."""
    return {**os.environ, "PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"}


@pytest.fixture
def soar():
    """The command as a list of arguments."""
    return [sys.executable, "-c", "import sys; from soar.cli import main; sys.exit(main())"]


def everything(run_dir: Path) -> dict[str, object]:
    """Return all that must be equal in two runs: rows without measured times, data, answers, manifests of weights."""
    connection = sqlite3.connect(f"file:{run_dir / 'archive.sqlite'}?mode=ro", uri=True)
    rows = {
        table: sorted(connection.execute(f"SELECT {columns} FROM {table}").fetchall(), key=repr)
        for table, columns in {
            "completions": "stage, iteration, task_id, phase, island, step, place, parents, prompt_detail, text,"
            " finish_reason, prompt_tokens, completion_tokens, status, code_hash",
            "executions": "task_id, code_hash, code, status, accuracy, train, test, ballot, behaviour",
            "outputs": "hash, value",
            "unsent": "*",
            "iterations": "stage, iteration, finished",
        }.items()
    }
    connection.close()
    patterns = ("data/**/*.jsonl", "answers/*.json", "adapters/*/manifest.json")
    files = sorted(file for pattern in patterns for file in run_dir.glob(pattern))
    return {**rows, **{str(file.relative_to(run_dir)): file.read_text() for file in files}}
