"""Where a choice begins and ends, number by number: bins, shares, how many are compared, by which draw the pairs are
shown, and what a row holds."""

import gzip
import json
from functools import partial

import numpy as np
import pytest
from made import FAILURE, TASK, acting, made, teaching

from soar.domains.arc.domain import Arc
from soar.learning import curate
from soar.learning.curate import PAIRINGS, closest_parent, diverse_pairs, hindsight_pairs, uniform_pairs
from soar.learning.dedup import BY_COSINE, DEDUPLICATIONS, by_similarity, by_similarity_and_outputs
from soar.learning.embed import code_rank_embed, ngrams
from soar.learning.examples import Row, refinement_example, replay_examples, sampling_example
from soar.learning.relabel import relabel
from soar.learning.select import examples_of, shown_pairs
from soar.prompts.chat import Chat
from soar.seeds import rng


@pytest.mark.parametrize(("accuracy", "place"), [(0, 0), (0.01, 1), (0.34, 1), (0.35, 2), (0.97, 2), (0.98, 3), (1, 3)])
def test_a_parents_accuracy_has_one_of_four_bins(accuracy, place):
    assert curate._bin(accuracy) == place


def test_pairs_are_taken_from_the_bins_in_turn_in_the_order_drawn():
    pairs = [(acting(n, right), acting(90 + n, 4, 2)) for n, right in enumerate((0, 0, 0, 1, 1, 2, 4))]
    drawn = uniform_pairs(TASK, pairs, 7, np.random.default_rng(4))
    bins = [[pair for pair in drawn if curate._bin(pair[0].accuracy) == place] for place in range(4)]
    first, second = [each[0] for each in bins], [each[1] for each in bins if len(each) > 1]
    found = diverse_pairs(TASK, pairs, 7, np.random.default_rng(4))
    assert found == [*first, *second, bins[0][2]]
    assert {"uniform": uniform_pairs, "diverse": diverse_pairs} == PAIRINGS


def test_weights_become_probabilities_and_all_are_alike_where_none_has_any():
    for weights, shares in (([1, 3], [0.25, 0.75]), ([0, 0], [0.5, 0.5]), ([0.5], [1]), ([], [])):
        assert curate._shares(np.array(weights)).tolist() == shares


def test_the_closest_parent_is_one_of_thirty_two_that_are_drawn():
    programs = [acting(n, 0, 0, n + 1) for n in range(40)]
    child, compared = acting(99, 4, 2), []

    def closeness(task, program):
        assert task == relabel(TASK, child)
        compared.append(program)
        return program.origin.index

    found = closest_parent(TASK, programs, child, np.random.default_rng(0), closeness)
    drawn = np.random.default_rng(0).permutation(40)[:32]
    assert compared == [programs[place] for place in drawn]
    assert found == programs[max(drawn)]
    assert closest_parent(TASK, [child], child, np.random.default_rng(0), closeness) is None


def test_half_of_the_children_by_hindsight_are_right_and_taken_in_turn():
    right, wrong = [acting(n, 4, 2) for n in range(2)], [acting(10 + n, 0, 0, n + 1) for n in range(5)]

    def children(n, given):
        pairs = hindsight_pairs(TASK, wrong, given, n, np.random.default_rng(0))
        return [child.origin.index for _, child in pairs]

    for n in (6, 7):
        found = children(n, [*right, *wrong])
        assert found[:3] == [0, 1, 0]
        assert len(found) == len(set(found[3:])) + 3 == n
        assert all(index >= 10 for index in found[3:])
    assert len(children(4, wrong)) == 4
    assert children(0, right) == []


def test_a_deduplication_has_the_embedding_and_the_bound_of_its_name():
    found = {
        name: (each.func, each.keywords["embed"], each.keywords["above"])
        for name, each in DEDUPLICATIONS.items()
        if isinstance(each, partial)
    }
    assert found == {
        "ngrams": (by_similarity, ngrams, 0.985),
        "ngrams-code": (by_similarity_and_outputs, ngrams, 0.985),
        "embeddings": (by_similarity, code_rank_embed, 0.9),
        "embeddings-code": (by_similarity_and_outputs, code_rank_embed, 0.9),
    }
    assert set(BY_COSINE) == found.keys()
    assert DEDUPLICATIONS.keys() - found.keys() == {"none", "text", "outputs"}


def test_the_shuffles_of_the_pairs_are_drawn_from_the_seed_and_the_task_row_after_row():
    chosen = [acting(n, 4, 2, code=f"code_{n}") for n in range(3)]
    child = acting(9, 4, 2, code="child", parents=(acting(8, 0, 0, 1).key,))
    rows = examples_of(teaching(curator="uniform"), TASK, [*chosen, acting(8, 0, 0, 1), child], seed=3)
    draw, by_key = rng(3, "pair-order", "t"), {each.key: each for each in [*chosen, acting(8, 0, 0, 1), child]}
    for row in rows:
        program = by_key[str(row["program"])]
        expected = (
            sampling_example(Chat(Arc()), TASK, program, draw)
            if row["kind"] == "sample"
            else refinement_example(Chat(Arc()), TASK, by_key[child.parents[0]], program, draw)
        )
        assert {name: each for name, each in row.items() if name != "why"} == expected
    assert [row["kind"] for row in rows] == ["sample"] * 5 + ["refine"]


def test_the_pairs_shown_are_inputs_with_the_expected_outputs_or_a_programs():
    inputs, program = [example.input for example in TASK.train], acting(1, 2, 0, 5)
    assert shown_pairs(TASK) == tuple(zip(inputs, [example.output for example in TASK.train], strict=True))
    assert shown_pairs(TASK, program) == tuple(zip(inputs, program.train, strict=True))


def test_a_row_of_a_chat_is_messages_with_the_answer_of_the_assistant():
    program = acting(1, 4, 2, code="def transform(grid):\n    return 1")
    row = sampling_example(Chat(Arc()), TASK, program, np.random.default_rng(0))
    assert row.keys() == {"prompt", "completion", "kind", "task", "program"}
    assert (row["kind"], row["task"], row["program"]) == ("sample", "t", program.key)
    answer = {"role": "assistant", "content": Chat(Arc()).completion(program.code)}
    assert row["completion"] == [answer]
    assert all(message.keys() == {"role", "content"} for message in row["prompt"])  # type: ignore[attr-defined]
    assert row["prompt"][-1]["role"] == "user"  # type: ignore[index]


def test_replayed_rows_are_drawn_and_said_to_be_so_in_the_order_of_their_file(tmp_path):
    own: list[Row] = [{"prompt": f"p{n}", "completion": "ë", "kind": "sample", "why": "was"} for n in range(10)]
    text = "".join(json.dumps(row) + "\n" for row in own)
    (tmp_path / "replay.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    added = {"kind": "replay", "task": None, "program": None, "why": "replay"}
    drawn = sorted(np.random.default_rng(2).permutation(10)[:4])
    assert replay_examples(tmp_path, 4, np.random.default_rng(2)) == [{**own[n], **added} for n in drawn]


def test_a_program_that_failed_is_named_as_solving_no_task():

    failed = made(7, [FAILURE] * 4, [FAILURE] * 2)
    with pytest.raises(ValueError) as error:
        relabel(TASK, failed)
    assert str(error.value) == f"{failed.key} failed on an input, so it solves no task"
