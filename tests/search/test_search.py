import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from searching import MIRROR, NOTHING, RAISES, block, calls, grid, variants

from soar.budget import BudgetSettings, Meter
from soar.domains.arc.domain import Arc
from soar.errors import BudgetReached, EndpointError
from soar.lm.scripted import Scripted, prompt_text
from soar.prompts.chat import Chat
from soar.search.settings import SamplingSettings
from soar.seeds import rng
from soar.types import Completion, Example, Execution, Task


def test_the_budget_is_spent_to_the_last_completion(searched, task):
    reader = searched(variants(NOTHING, RAISES, "no code"), task)
    counts = dict(reader.query("SELECT phase, COUNT(*) FROM completions GROUP BY phase"))
    assert counts == {"sample": 10, "refine": 18}
    per_island = reader.query("SELECT island, COUNT(*) FROM completions WHERE phase = 'refine' GROUP BY island")
    assert per_island == [(0, 5), (1, 5), (2, 4), (3, 4)]


def test_a_refinement_names_the_parent_its_prompt_showed(searched, task):
    prompts = []

    def reply(prompt, seed):
        prompts.append(prompt)
        return variants(NOTHING, MIRROR)(prompt, seed)

    reader = searched(reply, task)
    codes = {p.key: p.code for p in reader.programs("mirror", "train", 0)}
    parents = {json.loads(row[0])[0] for row in reader.query("SELECT parents FROM completions WHERE phase = 'refine'")}
    assert parents <= codes.keys()
    assert all(any(codes[parent] in prompt for prompt in prompts) for parent in parents)


def test_two_models_may_serve_the_two_operators(searched, task):
    reader = searched(variants(NOTHING), task, refiner=Scripted(variants(MIRROR)))
    codes = reader.query("SELECT DISTINCT phase, text LIKE '%::-1%' FROM completions ORDER BY phase")
    assert codes == [("refine", 1), ("sample", 0)]


def test_without_a_parent_to_show_it_is_the_sampler_that_is_asked(searched, task):
    refiner = Scripted(variants(MIRROR))
    reader = searched(variants(RAISES), task, refiner=refiner)
    assert reader.query("SELECT COUNT(*) FROM completions WHERE phase = 'refine'") == [(18,)]
    assert refiner.requests()["issued"] == 0


def test_failed_programs_are_never_parents(searched, task):
    reader = searched(variants(RAISES, NOTHING), task, budget={"refinements": 40})
    ran = {p.key for p in reader.programs("mirror", "train", 0) if p.ran}
    parents = {key for (text,) in reader.query("SELECT parents FROM completions") for key in json.loads(text)}
    assert parents
    assert parents <= ran


def test_without_any_arm_an_island_samples_from_scratch_until_there_is_one(searched, task):
    def reply(prompt, seed):
        return NOTHING if seed % 11 == 0 else RAISES

    reader = searched(reply, task, budget={"samples": 0, "refinements": 80})
    rows = reader.query("SELECT island, step, parents FROM completions ORDER BY island, step")
    assert len(rows) == 80
    ran = {(p.origin.island, p.origin.step) for p in reader.programs("mirror", "train", 0) if p.ran}
    for island, step, parents in rows:
        has_arm = any(other == island and earlier < step for other, earlier in ran)
        assert (json.loads(parents) != []) == has_arm
    assert any(json.loads(parents) for _, _, parents in rows)


def test_sampling_stops_after_the_request_that_brings_enough(searched, task):
    reader = searched(variants(MIRROR), task, budget={"samples": 40, "refinements": 0, "enough": 6})
    assert len(calls(reader)) == 8


def test_an_islands_refinement_stops_at_its_share_and_copies_of_the_parent_do_not_count(searched, task):
    copies = searched([MIRROR], task, budget={"samples": 1, "refinements": 32, "enough": 4}, name="copies")
    assert len(calls(copies)) == 1 + 32
    found = searched(
        lambda prompt, seed: variants(MIRROR if "grid):  #" in prompt else NOTHING)(prompt, seed),
        task,
        budget={"samples": 4, "refinements": 400, "enough": 4},
        name="found",
    )
    assert len(calls(found)) == 4 + 4 * 4


def test_an_island_counts_what_all_its_calls_have_found(searched, task):
    found = searched(
        lambda prompt, seed: variants(MIRROR if "grid):  #" in prompt else NOTHING)(prompt, seed),
        task,
        budget={"samples": 4, "refinements": 100, "islands": 1, "completions_per_refinement": 2, "enough": 6},
        selector=lambda pool, rng: (0,),  # children of a right program would be its copies
    )
    assert len(calls(found)) == 4 + 3 * 2


def test_a_task_is_left_once_enough_distinct_programs_agree_on_the_answer(searched, task):
    budget = {"samples": 40, "refinements": 18, "agreeing": 6}
    assert len(calls(searched(variants(MIRROR), task, budget=budget))) == 8
    copies = searched([MIRROR], task, budget={**budget, "samples": 8}, name="copies")
    assert len(calls(copies)) == 8 + 18, "copies of one program are one"

    def guess(prompt, seed):
        return block(f"return [row[::-1] for row in grid] if grid[0][0] != 4 else [[{seed % 10}, {seed // 10 % 10}]]")

    differ = searched(guess, task, budget={**budget, "samples": 8}, name="differ")
    assert len(calls(differ)) == 8 + 18, "right on the pairs, and no two give one answer"


def test_programs_that_agree_end_the_refinement_too_and_are_counted_with_the_samples(searched, task):
    def reply(prompt, seed):
        return variants(MIRROR if "grid):  #" in prompt else NOTHING)(prompt, seed)

    found = searched(reply, task, budget={"samples": 4, "refinements": 400, "agreeing": 4})
    assert [len([row for row in calls(found) if row[1:3] == ("refine", island)]) for island in range(4)] == [4] * 4


def test_every_parent_is_the_arm_that_rex_draws_with_the_true_pull_counts(searched, task):
    """Trap 1: pulls count every completion spent on an arm. Replayed here apart from the search's own bookkeeping."""
    reader = searched(variants(NOTHING, MIRROR, RAISES), task, budget={"samples": 12, "refinements": 160})
    programs = {p.key: p for p in reader.programs("mirror", "train", 0)}
    samples = [p for p in programs.values() if p.origin.phase == "sample"]
    shown = dict(reader.query("SELECT island || '/' || step, parents FROM completions WHERE phase = 'refine'"))
    differs = 0
    for island in range(4):
        arms, spent = [], Counter()
        for program in samples:
            if program.ran and program.code not in [arm.code for arm in arms]:
                arms.append(program)
        for step in range(10):
            h = np.array([arm.accuracy for arm in arms])
            n = np.array([spent[arm.key] for arm in arms])
            chosen, blind = (
                int(
                    rng(0, "select", "train", 0, "mirror", island, step).beta(1 + 20 * h, 1 + 20 * (1 - h) + x).argmax()
                )
                for x in (n, 0 * n)
            )
            assert json.loads(shown[f"{island}/{step}"]) == [arms[chosen].key]
            differs += chosen != blind
            spent[arms[chosen].key] += 4
            for place in range(4):
                child = programs[f"train/0/mirror/refine/{island}/{step}/{place}"]
                if child.ran and child.code not in [arm.code for arm in arms]:
                    arms.append(child)
    assert differs > 0


def test_identical_programs_are_executed_once_and_every_completion_counts(searched, task):
    executed = []

    class Counting:
        def __init__(self, inner):
            self.inner = inner

        async def run(self, code, inputs, *, alone=False):
            if not alone:
                executed.append(code)
            return await self.inner.run(code, inputs, alone=alone)

    reader = searched([NOTHING], task, wrap=Counting)
    assert len(executed) == 1
    assert len(reader.programs("mirror", "train", 0)) == 28


def test_a_model_that_counts_no_tokens_ends_a_search_with_a_limit_of_them_and_what_it_wrote_is_stored(searched, task):
    class Uncounted(Scripted):
        async def generate(self, prompt, seeds, sampling):
            async for index, completion in super().generate(prompt, seeds, sampling):
                yield index, Completion(completion.text)

    limited = Meter(BudgetSettings(max_tokens=10**6))
    with pytest.raises(EndpointError, match=r"budget\.max_tokens cannot hold"):
        searched([], task, lm=Uncounted([NOTHING]), meter=limited, budget={"samples": 4, "refinements": 0}, name="b")
    again = Uncounted([NOTHING])
    assert len(calls(searched([], task, lm=again, budget={"samples": 4, "refinements": 0}, name="b"))) == 4
    assert again.requests()["issued"] == 0


def test_a_limit_holds_where_a_prompt_is_counted_with_every_completion(searched, task):
    class Wordy(Scripted):
        def prompts(self, completions):
            return completions

        async def generate(self, prompt, seeds, sampling):
            async for index, completion in super().generate(prompt, seeds, sampling):
                yield index, replace(completion, prompt_tokens=len(prompt_text(prompt)) // 2)

    # What three calls take and one more would have reserved if its prompt counted once.
    limit = 13 * len(prompt_text(Chat(Arc()).sampling(task.without_answers()))) + 600
    with pytest.raises(BudgetReached):
        searched(
            variants(NOTHING),
            task,
            lm=Wordy(variants(NOTHING)),
            meter=Meter(BudgetSettings(max_tokens=limit)),
            sampling=SamplingSettings(sample_tokens=40, refine_tokens=40),
            budget={"samples": 400, "samples_per_request": 8},
            name="c",
        )
    reader = searched([NOTHING], name="c")
    ((spent,),) = reader.query("SELECT SUM(prompt_tokens + completion_tokens) FROM completions")
    assert limit / 2 < spent <= limit


def test_a_prompt_that_fits_in_no_form_is_recorded_as_unsent_and_brings_no_completion(searched, task):
    reader = searched([NOTHING], task, lm=Scripted([NOTHING], context_characters=10))
    assert calls(reader) == []
    assert reader.query("SELECT SUM(completions) FROM unsent") == [(28,)]


def test_a_prompt_too_long_is_shortened_and_the_row_says_how(searched, task):
    many = Task("many", task.train * 6, task.test)
    reader = searched(
        [NOTHING], many, lm=Scripted([NOTHING], context_characters=1900), budget={"samples": 4, "refinements": 0}
    )
    rows = reader.query("SELECT prompt_detail FROM completions")
    assert len(rows) == 4
    assert all(json.loads(row[0]) != {} for row in rows)


def test_no_search_decision_reads_a_test_answer(searched, task):
    """Trap 10: two tasks that differ only in their test answers are searched alike, to the last byte."""
    other = replace(task, test=(Example(task.test[0].input, grid("000")),))
    reply = variants(NOTHING, MIRROR, RAISES)
    assert calls(searched(reply, task, name="one")) == calls(searched(reply, other, name="two"))


def test_the_sandbox_gets_inputs_and_nothing_else(searched, task):
    """Trap 8: no expected output travels to the process that runs the program."""
    seen = []

    class Watching:
        def __init__(self, inner):
            self.inner = inner

        async def run(self, code, inputs, *, alone=False) -> Execution:
            seen.append(inputs)
            return await self.inner.run(code, inputs, alone=alone)

    searched([MIRROR], task, wrap=Watching)
    assert seen
    assert all(tuple(inputs) == task.inputs for inputs in seen)


def test_a_task_whose_every_program_is_right_is_searched_without_a_crash(searched, task):
    """Trap 9: all solved is no error, and programs right on all training pairs stay arms."""
    reader = searched(variants(MIRROR), task)
    assert len(calls(reader)) == 28
    assert all(json.loads(row[5]) for row in calls(reader) if row[1] == "refine")


def test_truncated_completions_are_kept_and_never_executed(searched, task):
    def reply(prompt, seed):
        return NOTHING if seed % 9 == 0 else Completion(MIRROR, "length")

    reader = searched(reply, task)
    assert {row[7] for row in calls(reader)} == {"truncated", "code"}
    assert reader.query("SELECT COUNT(*) FROM executions") == [(1,)]
