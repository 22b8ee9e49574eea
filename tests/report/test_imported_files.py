"""Which files and rows of a folder of programs are imported, and that a long one is interrupted and told of."""

import asyncio
import json

import pytest

from soar import importing
from soar.config import load_config
from soar.importing import import_programs, rows_of

CODE = "def transform(grid):\n    return grid\n"


def row(task):
    return json.dumps({"task_id": task, "code": CODE}) + "\n"


def test_hidden_files_are_left_out_and_a_byte_order_mark_is_passed_over(tmp_path):
    (tmp_path / "a.jsonl").write_text(row("flip"), encoding="utf-8-sig")
    (tmp_path / "._a.jsonl").write_bytes(b"\x00\x05\x16\x07Mac OS X")
    (tmp_path / ".ipynb_checkpoints").mkdir()
    (tmp_path / ".ipynb_checkpoints" / "a.jsonl").write_text(row("sums"))
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "b.jsonl").write_text(row("other"))
    assert [task for task, _ in rows_of(tmp_path)] == ["flip", "other"]


def test_a_folder_that_is_hidden_itself_is_read(tmp_path):
    (tmp_path / ".mine").mkdir()
    (tmp_path / ".mine" / "a.jsonl").write_text(row("flip"))
    assert [task for task, _ in rows_of(tmp_path / ".mine")] == ["flip"]


@pytest.mark.slow  # it makes a whole run
def test_rows_of_other_tasks_are_passed_over_with_a_word_and_let_others_work(scripted, tmp_path, monkeypatch):
    monkeypatch.setattr(importing, "SAY_SECONDS", 0)
    programs, said, turns = tmp_path / "p.jsonl", [], []
    programs.write_text(row("flip") + row("elsewhere") * 5000)

    async def bring():
        async def work():
            while True:
                turns.append(len(said))
                await asyncio.sleep(0)

        other = asyncio.create_task(work())
        try:
            return await import_programs(programs, load_config(scripted), tmp_path / "run", said.append)
        finally:
            other.cancel()

    found = asyncio.run(bring())
    assert (found.programs, found.elsewhere) == (1, 5000)
    assert len({count // 1000 for count in turns}) >= 5, "it ran between the rows"
    assert "imported 1 programs so far; skipped 4999 rows of other tasks" in said
