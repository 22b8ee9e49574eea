"""What the surprise benchmark asks a model, on programs made up for it, and that it scores as transformers does."""

import numpy as np
import pytest

from experiments.surprise import rows_of, rows_of_corpus, scorer, steps_of
from soar.domains.arc.domain import Arc
from soar.lm.embedded import SHIPPED
from soar.types import Origin, Program

TASK = Arc().load("arc1-training")[3].without_answers()


def program(place, cell, *parents):
    outputs = tuple(((cell,),) for _ in TASK.inputs)
    train, test = outputs[: len(TASK.train)], outputs[len(TASK.train) :]
    origin = Origin("s", 0, TASK.id, "refine" if parents else "sample", 0, 0, place)
    return Program(origin, f"def transform(grid):\n    return [[{place}]]", train, test, 0.0, tuple(parents))


FIRST, SECOND = program(0, 0), program(1, 1)
SAME, OTHER, THIRD = program(2, 0, FIRST.key), program(3, 3, FIRST.key), program(4, 4, SECOND.key)
FOUND = [FIRST, SECOND, SAME, OTHER, THIRD]


def test_steps_are_refinements_that_do_something_else_than_their_parent():
    assert steps_of(FOUND) == [(FIRST, OTHER), (SECOND, THIRD)]


def test_a_program_is_asked_for_in_four_ways_with_the_same_completion():
    rows = list(rows_of(TASK, FOUND, 9, np.random.default_rng(0)))
    assert [kind for kind, _ in rows] == ["from scratch", "own parent", "another parent", "closest parent"] * 2
    for at in (0, 4):
        scratch, own, another, closest = (str(row["prompt"]) for _, row in rows[at : at + 4])
        assert len({row["completion"] for _, row in rows[at : at + 4]}) == 1
        assert closest.count("<parent>") == 1
        assert str(rows[at][1]["completion"]) not in closest.split("<parent>")[1]
        assert "<parent>" not in scratch
        assert ("[[0]]" in own) != ("[[1]]" in own)
        assert ("[[0]]" in another) != ("[[0]]" in own)


def test_the_score_is_the_models_negative_log_likelihood_of_the_completion():
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    rows = [row for _, row in rows_of_corpus(3)]
    tokenizer, model = AutoTokenizer.from_pretrained(SHIPPED), AutoModelForCausalLM.from_pretrained(SHIPPED)
    wanted = []
    for row in rows:
        before = tokenizer(row["prompt"], add_special_tokens=False)["input_ids"]
        after = [*tokenizer(row["completion"], add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        with torch.inference_mode():
            scores = model(torch.tensor([before + after])).logits[0, len(before) - 1 : -1].log_softmax(-1)
        wanted.append(-float(scores[torch.arange(len(after)), torch.tensor(after)].sum()))
    assert sorted(scorer(SHIPPED)(rows)) == pytest.approx(sorted(wanted), rel=1e-4)
