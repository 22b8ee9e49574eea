"""Every table of the paper's comparisons that is committed is what the committed cells say, word for word."""

import shlex
from itertools import pairwise
from pathlib import Path

import pytest

from soar.experiments.learning import comparison

RESULTS = Path("experiments/results")
TABLES = sorted(RESULTS.glob("comparisons*/*.md"))


@pytest.mark.parametrize("table", TABLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_committed_table_is_made_again_from_the_cells_by_the_command_that_stands_in_it(table, tmp_path):
    text = table.read_text()
    command = shlex.split(text.split("`")[1])
    assert command[:3] == ["soar", "experiment", table.stem]
    config, out, folder = Path(command[3]), Path(command[command.index("--out") + 1]), command[-1]
    assert Path(folder) == table.parent
    overrides = [setting for word, setting in pairwise(command) if word == "--set"]
    where = {"runs": tmp_path, "out": out, "write": tmp_path / "made"}
    assert comparison(table.stem, config, **where, report=True, overrides=overrides) == 0
    made = {
        path.name: path.read_text().replace(str(tmp_path / "made"), folder)
        for path in (tmp_path / "made").iterdir()
        if path.suffix in (".md", ".csv")
    }
    assert made == {name: (table.parent / name).read_text() for name in (table.name, f"{table.stem}.csv")}


def test_there_are_tables_to_look_at():
    assert TABLES
