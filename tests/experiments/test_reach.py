"""What the reach benchmark asks: known programs, the probability of drawing one, and how tasks are grouped."""

import asyncio
import json
from io import StringIO

import numpy as np
import pytest
import torch
from rich.console import Console

from experiments.reach import BANDS, GROUPS, expected, groups_of, known_programs, log_chances, report
from soar import session
from soar.config import validated
from soar.domains.arc.compact import Compact
from soar.domains.arc.domain import Arc
from soar.lm.embedded import SHIPPED
from soar.run import RunDirectory

TASK = Arc().load("arc1-training")[0]
CODES = [
    "import numpy as np\nfrom scipy import ndimage\n\n\ndef transform(grid):\n    g = np.array(grid)\n" + body
    for body in ("    g = np.kron(g > 0, g)\n    return g\n", "    g = g.T\n    return g\n")
]


def test_known_programs_are_the_shortest_of_all_lines():
    rows = [{"task": "a", "code": "x" * n} for n in (6, 2, 9, 2, 5, 7)] + [{"task": "b", "code": None}]
    assert known_programs(rows) == {"a": ["x" * n for n in (2, 5, 6, 7)]}


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_the_chance_of_either_program_is_the_sum_of_their_chances(temperature):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    (found,) = log_chances(SHIPPED, [(TASK, CODES)], temperature).values()
    tokenizer, model = AutoTokenizer.from_pretrained(SHIPPED), AutoModelForCausalLM.from_pretrained(SHIPPED)
    prompt = tokenizer(Compact().sampling(TASK.without_answers()), add_special_tokens=False)["input_ids"]
    chances = []
    for code in CODES:
        ids = tokenizer(Compact().completion(code), add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
        with torch.inference_mode():
            scores = model(torch.tensor([prompt + ids])).logits[0, len(prompt) - 1 : -1] / temperature
        chances.append(float(scores.log_softmax(-1)[torch.arange(len(ids)), torch.tensor(ids)].sum().exp()))
    assert found == pytest.approx(np.log(sum(chances)), rel=1e-3)


def test_samples_expected_to_solve_a_task_follow_from_its_chance():
    assert expected(np.log([1e-12, 1.0]), 128) == pytest.approx(1.0)
    assert expected(np.log([1 / 128]), 128) == pytest.approx(1 - np.exp(-1))


def test_every_known_task_that_was_not_taught_is_in_one_band():
    tasks = Arc().load("arc1-training")[:4]
    groups = dict(zip(GROUPS, ([task] for task in tasks), strict=True))
    before = dict(zip((task.id for task in tasks), (-1.0, -4.0, -6.0, -50.0), strict=True))
    table = report(groups, before, {task: value + 1 for task, value in before.items()})
    counts = list(table.columns[1].cells)
    assert counts[: len(GROUPS)] == ["1"] * len(GROUPS)
    assert counts[len(GROUPS) :] == ["1", "0", "1", "1", "0"]
    assert len(counts) == len(GROUPS) + len(BANDS) - 1


@pytest.mark.slow
def test_tasks_are_grouped_by_what_the_first_search_made_of_them(tmp_path):
    training, evaluation = (Arc().load(f"arc1-{name}") for name in ("training", "evaluation"))
    ids = tmp_path / "ids.txt"
    ids.write_text("007bbfb7\n00d62c1b\n")
    replies = tmp_path / "replies.jsonl"
    replies.write_text(json.dumps({"text": Compact().completion(CODES[0])}) + "\n")
    settings = {
        "lm": {"backend": "scripted", "model": str(replies)},
        "prompt": {"rendering": "compact"},
        "search": {"samples": 2, "refinements": 0, "samples_per_request": 2},
        "executor": {"level": "weak"},
        "stages": [{"source": "arc1-training", "ids_file": str(ids)}],
    }
    config = validated(settings)
    directory = tmp_path / "run"
    asyncio.run(session.run(config, directory, Console(file=StringIO())))
    groups = groups_of(RunDirectory(directory), {"arc1-training": training, "arc1-evaluation": evaluation})
    assert [task.id for task in groups["solved"]] == ["007bbfb7"]
    assert [task.id for task in groups["unsolved"]] == ["00d62c1b"]
    assert len(groups["not searched"]) == len(training) - 2
    assert groups["evaluation"] == evaluation
