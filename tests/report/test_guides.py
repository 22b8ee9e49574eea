"""What the guides say can be typed can be: queries run and find something, commands and options exist, code loads."""

import importlib.util
import json
import re
import shlex
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import typer

from soar.cli import app
from soar.domains.complete import complete

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted([DOCS.parent / "README.md", *DOCS.glob("*.md")])


def blocks(page, language):
    """The fenced blocks of a language in a page."""
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


QUERIES = blocks("reading-a-run.md", "sql")


def test_there_are_five_queries():
    assert len(QUERIES) == 5


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_a_query_of_the_guide_finds_something_in_a_run(finished, query):
    with closing(sqlite3.connect(f"file:{finished / 'archive.sqlite'}?mode=ro", uri=True)) as archive:
        assert archive.execute(query).fetchall()


def commands(page):
    """The commands of a page: indented lines that begin with soar, those that go on joined."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    found = re.findall(r"^    !?(?:\.venv/bin/)?soar (.*)$", text, re.MULTILINE)
    return [shlex.split(re.split(r"\s{2,}|\s+#", line)[0].replace("'", "").replace('"', "")) for line in found]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_exists_with_its_options(page):
    for words in commands(page):
        command, rest = typer.main.get_command(app), words
        while rest and not rest[0].startswith("--") and (verbs := getattr(command, "commands", None)):
            assert rest[0] in verbs, (page.name, words)
            command, rest = verbs[rest[0]], rest[1:]
        options = {name for parameter in command.params for name in parameter.opts}
        for name in (argument.strip("[]") for argument in rest):
            assert not name.startswith("--") or name in options, (page.name, words, name)


def test_the_domain_of_the_guide_loads_its_tasks(tmp_path):
    (tmp_path / "words.py").write_text(blocks("your-domain.md", "python")[0])
    (tmp_path / "words.json").write_text(blocks("your-domain.md", "json")[0])
    spec = importlib.util.spec_from_file_location("words", tmp_path / "words.py")
    assert spec
    assert spec.loader
    words = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(words)
    tasks = complete(words.Words()).load(str(tmp_path / "words.json"))
    assert {task.id: len(task.train) for task in tasks} == {"backwards": 2, "twice": 2}
    assert json.loads(blocks("your-domain.md", "json")[0]).keys() == {task.id for task in tasks}


def test_the_readme_is_no_longer_than_it_may_be_and_its_pictures_are_there():
    text = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 100
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)
    assert len(pictures) == 2
    assert all((DOCS.parent / picture).exists() for picture in pictures)
