"""Figures as files: all are there, say what made them, and are the same when they are made again."""

import csv
import re
import shutil

import pytest
from typer.testing import CliRunner

from soar.cli import app
from soar.errors import ConfigError

pytest.importorskip("matplotlib")
NAMES = ("score", "anytime", "diversity", "endings", "combinations")


def asked(*arguments):
    return CliRunner().invoke(app, ["report", *map(str, arguments)])


@pytest.fixture(scope="module")
def folder(finished, reseeded, short, tmp_path_factory):
    """The figures of three runs."""
    path = tmp_path_factory.mktemp("figures") / "made"
    done = asked(finished, reseeded, short, "--figures", path, "--stage", "train")
    assert done.exception is None
    assert "figures.md, and as CSV, SVG and PDF: score, anytime, diversity, endings, combinations" in done.stdout
    return path


def test_every_figure_has_its_files_and_a_table_with_the_command_that_made_it(folder, finished, reseeded, short):
    assert {path.name for path in folder.iterdir()} == {
        "figures.md",
        *(f"{name}.{suffix}" for name in NAMES for suffix in ("csv", "svg", "pdf")),
    }
    text = (folder / "figures.md").read_text()
    command = f"    soar report {finished} {reseeded} {short} --figures {folder} --stage train\n"
    assert text.count(command) == len(NAMES)
    assert "| finished | finished (seed 1), reseeded (seed 2) | n = 2 |" in text
    assert "| short | short (seed 1) | n = 1 |" in text
    for link in re.findall(r"\]\(([^)]+)\)", text):
        assert (folder / link).stat().st_size > 0
    assert "First is the order of the search" in text
    for name in NAMES:
        assert (folder / f"{name}.svg").read_text().count("<svg") == 1
        assert (folder / f"{name}.pdf").read_bytes().startswith(b"%PDF")


def test_the_values_are_in_the_long_form_and_the_table_is_their_mean(folder):
    with (folder / "score.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["line", "run", "seed", "stage", "iteration", "programs", "measure", "value"]
    assert {(row["line"], row["run"], row["seed"]) for row in rows} == {
        ("finished", "finished", "1"),
        ("finished", "reseeded", "2"),
        ("short", "short", "1"),
    }
    here = {"line": "finished", "stage": "train", "iteration": "1", "measure": "oracle"}
    values = [float(row["value"]) for row in rows if here.items() <= row.items()]
    assert len(values) == 2
    text = (folder / "figures.md").read_text()
    (line,) = re.findall(r"^\| finished \| train \| 1 \| (.*) \|$", text.split("## Score against")[0], re.MULTILINE)
    assert line.split(" | ")[2].startswith(f"{sum(values) / 2:.1f} ± ")
    assert line.endswith("(n = 2)")


@pytest.mark.slow
def test_the_same_runs_give_the_same_files(folder, finished, reseeded, short, tmp_path):
    assert asked(finished, reseeded, short, "--figures", tmp_path / "again", "--stage", "train").exception is None
    for path in folder.iterdir():
        if path.suffix != ".md":
            assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name


@pytest.mark.slow
def test_one_run_has_no_combinations_and_a_name_is_neither_mathematics_nor_markup(short, tmp_path):
    named = shutil.copytree(short, tmp_path / "_a|$x^$<b>名")
    folder = tmp_path / "figures"
    assert asked(named, "--figures", folder).exception is None
    assert not (folder / "combinations.csv").exists()
    assert "| _a\\|$x^$&lt;b>名 | _a\\|$x^$&lt;b>名 (seed 1) | n = 1 |" in (folder / "figures.md").read_text()
    drawn = (folder / "score.svg").read_text()
    assert "_a|$x^$&lt;b&gt;名: solved (n = 1)" in drawn
    assert isinstance(asked(named, "--figures", folder, "--stage", "train").exception, ConfigError)


def test_searches_that_go_on_are_left_out_and_said(stopped, tmp_path):
    assert asked(stopped, "--figures", tmp_path).exception is None
    assert "Unfinished searches are left out: 1 of stopped." in (tmp_path / "figures.md").read_text()
    with (tmp_path / "score.csv").open() as file:
        assert {(row["stage"], row["iteration"]) for row in csv.DictReader(file)} == {("train", "0")}


def test_what_cannot_be_written_or_drawn_is_said_before_anything_is(finished, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    for arguments, said in (
        (["--figures", tmp_path / "file"], "is a file: name a folder"),
        (["--figures", finished / "figures"], "lies in the run directory"),
        (["--figures", tmp_path / "new", "--json"], "takes neither --json nor --together"),
        (["--figures", tmp_path / "new", "--html", tmp_path / "page"], "without --json, --together or --figures"),
    ):
        error = asked(finished, *arguments).exception
        assert isinstance(error, ConfigError)
        assert said in str(error)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    error = asked(finished, "--figures", tmp_path / "new").exception
    assert isinstance(error, ConfigError)
    assert "a figure needs matplotlib" in str(error)
    assert str(error).endswith("pip install 'soar-synthesis[figures]'")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
