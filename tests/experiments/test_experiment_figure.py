"""The picture of an experiment: what its lines are made of, and that it is drawn."""

import pytest

from soar.experiments.cells import Cell
from soar.experiments.figure import learning_figure
from soar.experiments.report import Shown
from soar.experiments.settings import load_experiment
from soar.experiments.statistics import margin
from soar.report.figures.draw import draw


def row(*tasks):
    return {"solved": list(tasks), "pooled": None, "voted": list(tasks)}


@pytest.fixture
def shown(tmp_path):
    (tmp_path / "ids.txt").write_text("a\nb\nc\nd\n")
    arms = "[experiment.arms.soar]\n[experiment.arms.frozen]\nlearns = false\nsearches = 4\n"
    (tmp_path / "some.toml").write_text(f'[experiment]\nseeds = [0, 1]\nsearches = 3\ntasks = "ids.txt"\n{arms}')
    found = {Cell("base", seed, 0): row("a") for seed in (0, 1)}
    found |= {Cell("soar", 0, 1): row("b"), Cell("soar", 0, 2): row("c", "d"), Cell("soar", 1, 1): row("b", "c")}
    found |= {Cell("frozen", seed, 1): row("a") for seed in (0, 1)}
    return Shown(load_experiment(tmp_path / "some.toml"), found, [0, 1], {0: list("abcd"), 1: list("abcd")}, {})


def test_a_line_is_what_an_arm_has_first_solved_until_then_over_the_seeds_that_are_there(shown):
    (panels,) = learning_figure(shown, "some").panels
    assert [panel.title for panel in panels] == ["by a program of its own", "by one of two answers"]
    soar, frozen = panels[0].series
    assert (soar.label, [*soar.xs], [*soar.ys]) == ("soar (n = 1)", [0, 1, 2], [0, 1.5, 3])
    assert soar.halves == [0.0, margin([1, 2]), None]
    assert (frozen.label, [*frozen.xs], [*frozen.ys]) == ("frozen (n = 2)", [0, 1], [0, 0])


def test_it_is_drawn_into_files(shown, tmp_path):
    draw(learning_figure(shown, "some"), tmp_path)
    assert "searches after the first" in (tmp_path / "some.svg").read_text()
    assert (tmp_path / "some.pdf").read_bytes().startswith(b"%PDF")


def test_without_cells_there_is_nothing_to_draw(shown):
    nothing = Shown(shown.experiment, {}, [0], shown.tasks, {})
    assert learning_figure(nothing, "some").panels == []
