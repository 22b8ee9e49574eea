import json
import os
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


SCRIPTED = """
seed = 3
[tasks]
source = "{folder}"
[lm]
backend = "scripted"
model = "replies:reply"
"""


@pytest.fixture
def write_config(tmp_path, task_folder):
    """Write the configuration of a scripted run on the task folder, ended by the sections given; return its path."""

    def write(sections):
        path = tmp_path / "config.toml"
        path.write_text(SCRIPTED.format(folder=task_folder) + sections)
        return path

    return write


@pytest.fixture
def environment():
    """The environment of a child process that can import the replies, and the package from where this process does."""
    places = [str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(places), "OMP_NUM_THREADS": "1"}


@pytest.fixture
def soar():
    """The command as a list of arguments."""
    return [sys.executable, "-c", "import sys; from soar.cli import main; sys.exit(main())"]
