"""What `soar doctor RUN_DIR` calls damaged, and what it does not."""

import shutil
import sys

import pytest
from scripted_runs import search

from soar.doctor import examine_run


@pytest.mark.slow  # it makes a whole run
def test_a_run_with_a_part_of_ones_own_is_intact_from_any_folder(scripted, tmp_path, monkeypatch):
    (tmp_path / "mine_elsewhere.py").write_text("from soar.lm.scripted import Backend\n")
    with monkeypatch.context() as there:
        there.syspath_prepend(tmp_path)
        search(scripted, tmp_path / "run", "lm.backend=mine_elsewhere:Backend", "stages.0.iterations=1")
    del sys.modules["mine_elsewhere"]
    assert examine_run(tmp_path / "run")["damaged"] == []
    config = tmp_path / "run" / "config.toml"
    config.write_text(config.read_text() + "\n[more]\n")
    assert [each for each in examine_run(tmp_path / "run")["damaged"] if each.startswith("config.toml")]


def test_a_file_that_a_system_left_beside_the_weights_is_no_model(finished, tmp_path):
    path = tmp_path / "run"
    shutil.copytree(finished, path)
    before = examine_run(path)
    (path / "adapters").mkdir(exist_ok=True)
    (path / "adapters" / ".DS_Store").write_bytes(b"Bud1")
    assert examine_run(path) == before
