"""What search does with prompts that do not fit: fewer training pairs, then less feedback, or recorded as unsent."""

import asyncio
import json
from typing import Any

import pytest
from small_models import save_small_model

from soar.archive.reader import ArchiveReader
from soar.archive.writer import ArchiveWriter
from soar.budget import BudgetSettings, Meter
from soar.domains.arc.domain import Arc
from soar.heuristics import accuracy
from soar.lm.transformers.engine import Transformers
from soar.lm.transformers.text import Text
from soar.prompts.chat import Chat
from soar.protocols import Detail
from soar.search.call import Call, complete
from soar.search.context import SearchContext, SearchMethod
from soar.search.selectors import rex
from soar.search.settings import SearchSettings
from soar.types import Example, Origin, Program, Sampling, Task

GRIDS = tuple(tuple(tuple((n + x * y) % 10 for x in range(6)) for y in range(6)) for n in range(5))
TASK = Task("long", tuple(Example(g, g[::-1]) for g in GRIDS[:4]), (Example(GRIDS[4], None),))
SAMPLING = Sampling(1.0, 0.0, 8)
ORIGIN = Origin("train", 0, "long", "refine", 0, 0, 0)
PARENT = Program(ORIGIN, "def transform(grid):\n    return grid", GRIDS[:4], GRIDS[4:], 0.0)
CHAT = Chat(Arc())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("long")
    save_small_model(path, max_position_embeddings=8192)
    return path


def ask(folder, path, context, parents):
    """Ask for two completions by a model with so long a context; return the archive's reader."""

    async def work():
        lm = Transformers(folder, device="cpu", context=context)
        writer, reader = ArchiveWriter(path), ArchiveReader(path)
        run: Any = None  # a model that writes at random writes no program to run
        how = (SearchSettings(), SAMPLING, SAMPLING, rex, accuracy, Arc().parse, CHAT)
        search = SearchContext(
            SearchMethod(0, run, ("refine",), *how), "train", 0, lm, lm, run, writer, reader, Meter(BudgetSettings())
        )
        call = Call(TASK, ORIGIN, 2, lambda detail: prompt(detail, parents), SAMPLING, parents)
        try:
            await complete(search, call, {}, run)
        finally:
            await lm.close()
            writer.close()
        return reader

    return asyncio.run(work())


def prompt(detail, parents):
    return CHAT.refinement(TASK, parents, detail) if parents else CHAT.sampling(TASK, None, detail)


@pytest.mark.parametrize(
    ("parents", "shown"),
    [((), Detail()), ((), Detail(pairs=2)), ((PARENT,), Detail(pairs=3)), ((PARENT,), Detail(2, "verdicts"))],
)
def test_a_prompt_that_does_not_fit_is_shortened_and_how_is_recorded(folder, tmp_path, parents, shown):
    length = len(Text(folder).tokens(prompt(shown, parents)))
    reader = ask(folder, tmp_path / "a.sqlite", length + SAMPLING.max_new_tokens, parents)
    expected = {} if shown == Detail() else {"pairs": shown.pairs, "feedback": shown.feedback}
    rows = list(reader.query("SELECT prompt_tokens, prompt_detail FROM completions"))
    assert [(tokens, json.loads(said)) for tokens, said in rows] == [(length, expected)] * 2
    reader.close()


def test_a_prompt_that_fits_in_no_form_is_recorded_as_unsent(folder, tmp_path):
    reader = ask(folder, tmp_path / "a.sqlite", 100, (PARENT,))
    assert list(reader.query("SELECT count(*) FROM completions")) == [(0,)]
    assert list(reader.query("SELECT sum(completions) FROM unsent")) == [(2,)]
    reader.close()
