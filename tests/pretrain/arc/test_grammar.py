import asyncio
from collections import Counter

import numpy as np
import pytest

from soar.domains.arc.domain import Arc
from soar.domains.arc.program_text import unwrap
from soar.execution import open_sandbox
from soar.pretrain.arc import grammar
from soar.pretrain.arc.blind import blind_programs, grammar_digest
from soar.pretrain.arc.grammar import IDIOMS, WEIGHTS, Grammar, Step, body, draw_step, program
from soar.pretrain.arc.grammar_draw import Draw, Palette
from soar.pretrain.arc.scenes import draw_scene, sources
from soar.types import Failure

DRAWS = 300
"""How often an idiom is drawn at most until it does something."""

PALETTE = Palette((0, 1, 2, 5), (0, 1, 2, 3, 5))


@pytest.fixture(scope="module")
def grids():
    return sources(Arc().load("arc1-training"), Arc().load("arc1-evaluation"))


@pytest.fixture(scope="module")
def ran(grids):
    """For each idiom, how many of its draws ran on their scene, of how many, up to the first that changed it."""

    async def run():
        async with open_sandbox(workers=1, level="weak", codec="arc") as sandbox:
            return await asyncio.gather(*(_try(name, grids, sandbox) for name in IDIOMS))

    tried = asyncio.run(run())
    return {name: changed for name, (_, _, changed) in zip(IDIOMS, tried, strict=True)} | {
        "ran": sum(ran for ran, _, _ in tried),
        "drawn": sum(drawn for _, drawn, _ in tried),
    }


async def _try(name, grids, sandbox):
    """Return how many draws of an idiom ran, of how many, and whether one changed every grid; stop when one did."""
    ran = 0
    for number in range(DRAWS):
        rng = np.random.default_rng([list(IDIOMS).index(name), number])
        scene = draw_scene(grids, rng)
        outputs = (await sandbox.run(program((draw_step(name, scene.palette, rng),)), scene.inputs)).outputs
        ran += not any(isinstance(output, Failure) for output in outputs)
        if not any(isinstance(a, Failure) or a == b for a, b in zip(outputs, scene.inputs, strict=True)):
            return ran, number + 1, True
    return ran, DRAWS, False


@pytest.mark.parametrize("name", IDIOMS)
def test_an_idiom_writes_python_of_the_one_style(name):
    for seed in range(20):
        step = draw_step(name, PALETTE, np.random.default_rng(seed))
        code = program((step,))
        compile(code, name, "exec")
        assert unwrap(code) == step.text == step.text.strip()
        assert "\t" not in code
        assert "  \n" not in code


@pytest.mark.slow
@pytest.mark.parametrize("name", IDIOMS)
def test_an_idiom_yields_a_program_that_changes_every_grid_of_a_scene(name, ran):
    assert ran[name]


@pytest.mark.slow
def test_most_programs_of_the_grammar_run(ran):
    assert ran["ran"] > 0.6 * ran["drawn"]


def test_there_are_many_idioms_each_with_a_weight():
    assert len(IDIOMS) == len(WEIGHTS) >= 80
    assert all(weight > 0 for weight in WEIGHTS.values())


def test_idioms_are_drawn_by_weight_and_programs_have_one_to_four_steps():
    grammar, rng = Grammar(), np.random.default_rng(0)
    drawn = [grammar.steps(PALETTE, rng) for _ in range(4000)]
    lengths = Counter(map(len, drawn))
    assert set(lengths) == {1, 2, 3, 4}
    assert 0.44 < lengths[1] / 4000 < 0.52
    names = Counter(step.idiom for steps in drawn for step in steps)
    share = WEIGHTS[IDIOMS["block.combine_halves"]] / sum(WEIGHTS.values())
    assert 0.7 * share < names["block.combine_halves"] / names.total() < 1.3 * share


def test_constants_are_drawn_from_the_palette():
    draw = Draw(Palette((0, 4, 7), (0, 7, 9)), np.random.default_rng(0))
    assert {draw.colour() for _ in range(100)} == {4, 7}
    assert {draw.paint() for _ in range(100)} == {7, 9}
    assert {draw.paint_or_zero() for _ in range(200)} == {0, 7, 9}


def test_a_palette_without_colours_still_gives_programs():
    grammar, rng = Grammar(), np.random.default_rng(0)
    for _ in range(500):
        compile(program(grammar.steps(Palette((0,), (0,)), rng)), "p", "exec")


def test_the_body_of_steps_is_their_texts_in_order():
    steps = (Step("a", "g = g.T"), Step("b", "g[g == 1] = 2"))
    assert body(steps) == "g = g.T\ng[g == 1] = 2"


def test_blind_programs_depend_on_the_task_and_the_generator_alone():
    task = Arc().load("arc1-training")[7]
    first, second = (blind_programs(task, 20, np.random.default_rng(3)) for _ in range(2))
    assert first == second
    assert first != blind_programs(task, 20, np.random.default_rng(4))
    assert blind_programs(task.without_answers(), 20, np.random.default_rng(3)) == first


def test_the_digest_of_the_grammar_changes_with_what_it_draws(monkeypatch):
    before = grammar_digest()
    assert before == grammar_digest()
    rarest = min(WEIGHTS, key=lambda idiom: WEIGHTS[idiom])
    monkeypatch.setattr(
        Grammar.__init__, "__defaults__", (tuple(2.0 if i is rarest else w for i, w in WEIGHTS.items()),)
    )
    assert grammar_digest() != before
    monkeypatch.undo()
    name = "block.combine_halves"
    monkeypatch.setitem(grammar.IDIOMS, name, lambda d: "g = g[::-1]")
    assert grammar_digest() != before
