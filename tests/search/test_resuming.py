"""What a search finds stored, it keeps and does not ask for again."""

import time
from dataclasses import replace

import pytest
from searching import MIRROR, NOTHING, RAISES, calls, variants

from soar.archive.reader import ArchiveReader
from soar.budget import BudgetSettings, Meter, Tokens
from soar.domains.arc.compact import Compact
from soar.domains.arc.domain import Arc
from soar.errors import EndpointError, SandboxError
from soar.lm.embedded.engine import Embedded
from soar.lm.scripted import Scripted
from soar.prompts.chat import Chat
from soar.search.settings import SamplingSettings


def test_resuming_a_search_whose_model_failed_asks_only_for_what_is_missing(searched, task, monkeypatch):
    reply = variants(NOTHING, MIRROR, RAISES, "no code")
    whole = searched(reply, task, name="whole")
    lm = Scripted(reply, failing={1})
    with pytest.raises(EndpointError):
        searched(reply, task, name="broken", lm=lm)
    half = searched(reply, task, name="half", lm=Scripted(reply))
    with pytest.raises(EndpointError):
        searched(reply, task, name="half2", lm=Scripted(reply, failing={2}))
    monkeypatch.delattr(ArchiveReader, "execution")  # what has run is read in one pass, not one by one
    again = searched(reply, task, name="broken")
    assert calls(again) == calls(whole) == calls(half)


def test_a_stored_completion_whose_program_never_ran_is_executed_on_resuming(searched, task):
    class Lost:
        async def run(self, code, inputs, *, alone=False):
            raise SandboxError("no worker")

    with pytest.raises(SandboxError, match="no worker"):
        searched(variants(MIRROR), task, wrap=lambda inner: Lost(), budget={"refinements": 0})
    silent = Scripted(variants(MIRROR), failing=range(99))
    reader = searched(variants(MIRROR), task, lm=silent, budget={"samples": 4, "refinements": 0})
    assert [program.accuracy for program in reader.programs("mirror", "train", 0)] == [1.0] * 4
    assert silent.requests()["issued"] == 0


class Breaking(Embedded):
    """The shipped model; from some call on, calls break off after three completions. Keeps each job's tokens."""

    def __init__(self, calls=10_000):
        super().__init__(threads=1)
        self.calls = calls
        self.drawn = {}

    def _deliver(self, done):
        self.drawn.setdefault(id(done.job.tag), (done.job.tag, []))[1].append((*done.tokens, done.finish_reason))
        super()._deliver(done)

    async def generate(self, prompt, seeds, sampling):
        self.calls -= 1
        arrived = 0
        async for item in super().generate(prompt, seeds, sampling):
            if self.calls < 0 and arrived == 3:
                raise EndpointError("told to break off")
            arrived += 1
            yield item


@pytest.mark.slow
def test_a_task_whose_search_is_over_is_not_looked_at_again(searched, task, monkeypatch):
    other = replace(task, id="other")
    before = calls(searched(variants(NOTHING, RAISES), task))
    looked_at = []
    arrived = ArchiveReader.arrived

    def noted(self, *where):
        looked_at.append(where[2])
        return arrived(self, *where)

    monkeypatch.setattr(ArchiveReader, "arrived", noted)
    # The useful replies of the first session count: those of the second alone would end it with an error.
    reader = searched(lambda prompt, seed: "", task, other)
    assert set(looked_at) == {"other"}
    assert [call for call in calls(reader) if call[0] == task.id] == before
    assert reader.searched("train", 0) == {task.id, other.id}
    assert reader.searched("train", 1) == set()


def test_a_search_that_ends_has_closed_what_it_reads_from(searched, task, monkeypatch):
    # The archive's writer closes next, and only the last connection can put the log's rows into the archive.
    events, arrived, close = [], ArchiveReader.arrived, ArchiveReader.close

    def slowly(self, stage, iteration, task_id):
        events.append(f"reads {task_id}")
        time.sleep(0.5 * (task_id == "other"))
        found = arrived(self, stage, iteration, task_id)
        events.append(f"has read {task_id}")
        return found

    def noted(self):
        events.append("closed")
        close(self)

    monkeypatch.setattr(ArchiveReader, "arrived", slowly)
    monkeypatch.setattr(ArchiveReader, "close", noted)
    third = replace(task, id="third")
    with pytest.raises(EndpointError):
        searched(NOTHING, task, replace(task, id="other"), third, lm=Scripted([NOTHING], failing=range(9)))
    assert events == ["reads mirror", "has read mirror", "reads other", "has read other", "closed"]


def test_a_task_that_spent_its_own_limit_goes_on_with_a_higher_one(searched, task):
    def limited(tokens):
        return Meter(BudgetSettings(max_tokens_per_task=tokens), {task.id: Tokens(0, 30)})

    reader = searched(variants(NOTHING), task, meter=limited(30))
    assert (calls(reader), reader.searched("train", 0)) == ([], set())
    reader = searched(variants(NOTHING), task, meter=limited(10**6))
    assert (len(calls(reader)), reader.searched("train", 0)) == (28, {task.id})


@pytest.mark.slow
def test_distinct_completions_do_not_repeat_each_other_and_stay_the_same_when_a_search_is_resumed(searched, task):
    drawn = SamplingSettings(temperature=0.6, min_p=0, sample_tokens=48, refine_tokens=48, distinct=True)
    settings = {"sampling": drawn, "rendering": Compact(), "budget": {"samples": 24, "samples_per_request": 12}}
    lm = Breaking()
    whole = searched([], task, name="whole", lm=lm, **settings)
    for working in (0, 1, 3):
        with pytest.raises(EndpointError):
            searched([], task, name="broken", lm=Breaking(working), **settings)
    again = searched([], task, name="broken", lm=Breaking(), **settings)
    assert calls(again) == calls(whole)
    # As tokens: rarely, other tokens spell the same text.
    jobs = [tokens for _, tokens in lm.drawn.values()]
    assert {len(tokens) for tokens in jobs} >= {12, 4}
    assert all(len(tokens) == len(set(tokens)) for tokens in jobs)
    texts = whole.query("SELECT COUNT(*), COUNT(DISTINCT text) FROM completions GROUP BY phase, island, step")
    assert all(count - different <= 1 for count, different in texts)


def test_a_finished_search_asks_for_nothing(searched, task):
    reply = variants(NOTHING, MIRROR)
    searched(reply, task)
    lm = Scripted(reply)
    searched(reply, task, lm=lm)
    assert lm.requests()["issued"] == 0


def test_a_stored_program_stays_what_it_was_when_texts_are_read_otherwise(searched, task):
    reply = variants(NOTHING, MIRROR)
    before = searched(reply, task).query("SELECT code_hash, code FROM executions ORDER BY code_hash")

    class Otherwise(Chat):
        def extract(self, text):
            found = super().extract(text)
            return replace(found, code=f"{found.code}\n# read otherwise")

    after = searched(reply, task, rendering=Otherwise(Arc()))
    assert after.query("SELECT code_hash, code FROM executions ORDER BY code_hash") == before
