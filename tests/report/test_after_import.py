"""An imported search is finished and fills the place of the first; it tells nothing of how fast the model is."""

import asyncio
import json

import pytest
from scripted_runs import HOSTILE, standing

from soar.archive.rows import IterationRow
from soar.config import load_config
from soar.dry_run import measured_in
from soar.importing import import_programs
from soar.report.metrics import report
from soar.report.progress import Progress, _Watch
from soar.report.snapshot import line
from soar.session import view_run

RIGHT = "def transform(grid):\n    return [row[::-1] for row in grid]\n"
WRONG = "def transform(grid):\n    return grid\n"


@pytest.fixture(scope="module")
def imported(scripted, tmp_path_factory):
    """A run whose first search was imported, more programs than a search may make; not to be changed."""
    folder = tmp_path_factory.mktemp("imported")
    rows = [{"task_id": task, "code": code} for task in ("flip", HOSTILE, "sums") for code in [WRONG] * 39 + [RIGHT]]
    (folder / "programs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = load_config(scripted, ["sampling.distinct=true"])
    asyncio.run(import_programs(folder / "programs.jsonl", config, folder / "run", lambda _: None))
    return folder / "run"


def test_between_two_searches_the_finished_one_has_its_own_number(imported):
    now = standing(imported)
    assert (now.search, now.searches_done, now.finished) == (1, 1, False)
    begins = "train iteration 0 (search 1 of 3) is finished, the next has not begun; 120 completions; "
    assert line(now).startswith(begins)


def test_a_search_that_goes_on_is_numbered_by_its_place(stopped):
    assert (standing(stopped).search, standing(stopped).searches_done) == (2, 1)
    assert line(standing(stopped)).startswith("train iteration 1 (search 2 of 3); ")


def test_an_imported_search_is_not_measured(imported, finished):
    with view_run(imported) as view, view_run(finished) as other:
        assert measured_in(imported, view.plan).searches == 0
        assert measured_in(finished, other.plan).searches == 3
        rows = [*view.reader.iterations(), IterationRow("train", 1, 0.0, 0.0, finished=False)]
        assert rows[0].finished
        left = [
            _Watch(each, Progress(), lambda _: None)._left(rows, view.plan[1], 0, None, None, 0.0)
            for each in (view, other)
        ]
    assert left[0].phase is None
    assert left[1].phase is not None


def test_imported_programs_are_no_distinct_samples_in_the_order_of_drawing(imported):
    with view_run(imported) as view:
        record = report(view)["iterations"][0]
        assert view.distinct
    assert record["pass_at_k"]["1"] == pytest.approx(1 / 40 + 1 / 40), "right is the last one of two tasks"
