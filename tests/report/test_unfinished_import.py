"""An import that was interrupted is finished by the import: nothing else goes on with it, and what says where the run
stands names the command."""

import asyncio
import json
from pathlib import Path

import pytest
from scripted_runs import search, standing

from soar import importing
from soar.config import load_config
from soar.dry_run import dry_run
from soar.errors import ConfigError, DataError
from soar.importing import import_programs
from soar.report.snapshot import line
from soar.session import view_run

pytestmark = pytest.mark.slow  # every test makes whole runs

CODE = "def transform(grid):\n    return grid\n"
ROWS = [json.dumps({"task_id": "flip", "code": CODE}) + "\n", json.dumps({"task_id": "sums", "code": CODE}) + "\n"]


def bring(programs, config, path):
    return asyncio.run(import_programs(programs, load_config(config), path, lambda _: None))


def begun(folder: Path, config: Path) -> tuple[Path, Path]:
    """Begin an import whose file ends in a broken line; return the file, mended, and the run."""
    programs, path = folder / "all programs.jsonl", folder / "run"
    programs.write_text("".join([*ROWS, "broken\n"]))
    with pytest.raises(DataError, match="cannot be read as JSON lines"):
        bring(programs, config, path)
    programs.write_text("".join(ROWS))
    return programs, path


@pytest.mark.parametrize("noted", [True, False])
def test_a_run_does_not_go_on_with_an_import_that_is_not_finished(scripted, tmp_path, monkeypatch, noted):
    monkeypatch.setattr(importing, "IN_FLIGHT", 1)  # so that the broken line is reached once the others are stored
    programs, path = begun(tmp_path, scripted)
    if not noted:  # as earlier versions left it
        (path / "import.json").unlink()
    command = f"soar import '{programs}' CONFIG {path}" if noted else f"soar import PROGRAMS CONFIG {path}"
    now = standing(path)
    assert now.as_json()["importing"] == command
    assert line(now).endswith(f"no process is working on it: run the same `{command}` command again to resume")
    for goes_on in (lambda: search(scripted, path), lambda: dry_run(load_config(scripted), path)):
        with pytest.raises(ConfigError, match="is not finished: first run the same") as refused:
            goes_on()
        assert f"`{command}`" in str(refused.value)
    assert standing(path) == now, "nothing was searched"
    assert bring(programs, scripted, path).programs == 2
    assert standing(path).importing is None
    assert "run the same `soar run` command" in line(standing(path))
    search(scripted, path)
    with view_run(path) as view:
        assert all(row.finished for row in view.reader.iterations())


def test_an_import_that_has_stored_nothing_yet_is_not_searched(scripted, tmp_path):
    programs = tmp_path / "programs.jsonl"
    programs.write_text("broken\n")
    with pytest.raises(DataError, match="cannot be read as JSON lines"):
        bring(programs, scripted, tmp_path / "run")
    with pytest.raises(ConfigError, match=r"first run the same `soar import .*/programs\.jsonl CONFIG .*/run` command"):
        search(scripted, tmp_path / "run")


def test_a_search_that_was_stopped_is_no_import(stopped):
    assert standing(stopped).importing is None
