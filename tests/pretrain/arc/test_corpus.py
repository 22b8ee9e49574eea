import asyncio
import gzip

import numpy as np
import pytest

from soar.domains.arc.domain import Arc
from soar.execution import open_sandbox
from soar.pretrain.arc.audit import count_real
from soar.pretrain.arc.corpus import Exercise, from_line, read_exercises, shard_path, shards_of, to_line, write_shard
from soar.pretrain.arc.generate import Tally, balanced, is_dull, make_shard
from soar.pretrain.arc.grammar import IDIOMS, WEIGHTS, Grammar, Step
from soar.pretrain.arc.grammar_draw import Palette
from soar.pretrain.arc.leaks import RealPairs, real_inputs, real_pairs
from soar.pretrain.arc.mutate import mutate, without_each
from soar.pretrain.arc.scenes import draw_scene, held_out, sources

TRAINING, EVALUATION = Arc().load("arc1-training"), Arc().load("arc1-evaluation")


@pytest.fixture(scope="module")
def real():
    return real_pairs([*TRAINING, *EVALUATION])


@pytest.fixture(scope="module")
def grids():
    return sources(TRAINING, EVALUATION)


def _shard(shard, size, grids, real):
    async def make():
        async with open_sandbox(workers=1, cpu_seconds=2, level="weak", codec="arc") as sandbox:
            return await make_shard(5, shard, size, grids=grids, real=real, sandbox=sandbox, batch=48)

    return asyncio.run(make())


@pytest.fixture(scope="module")
def made(grids, real):
    return _shard(0, 60, grids, real)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_shard_and_another_shard_is_another(made, grids, real):
    again, other = _shard(0, 60, grids, real), _shard(1, 5, grids, real)
    assert again == made
    assert other[0][0] not in made[0]


@pytest.mark.slow
def test_every_exercise_reproduces_its_outputs_and_its_parents(made):
    async def check():
        async with open_sandbox(workers=1, cpu_seconds=2, level="weak", codec="arc") as sandbox:
            for exercise in made[0]:
                assert (await sandbox.run(exercise.code, exercise.inputs)).outputs == exercise.outputs
                if exercise.parent is not None:
                    assert (await sandbox.run(exercise.parent, exercise.inputs)).outputs == exercise.parent_outputs

    asyncio.run(check())


def test_exercises_are_valid_varied_and_not_the_identity(made):
    exercises, tally = made
    for exercise in exercises:
        assert 3 <= len(exercise.inputs) == len(exercise.outputs) <= 5
        assert not is_dull(exercise.inputs, exercise.outputs)
        assert all(Arc().parse(grid) == grid for grid in (*exercise.inputs, *exercise.outputs))
    assert len({exercise.behaviour for exercise in exercises}) == len(exercises) == tally.kept
    parents = [exercise for exercise in exercises if exercise.parent]
    assert 0.15 < len(parents) / len(exercises) < 0.6
    assert all(exercise.parent_outputs != exercise.outputs for exercise in parents)
    assert tally.candidates == tally.kept + tally.failed + tally.dull + tally.real + tally.repeated + tally.surplus


def test_no_evaluation_pair_and_no_held_out_task_is_in_the_corpus(made, grids, real):
    inputs = real_inputs(EVALUATION)
    unused = held_out(TRAINING)
    assert len(unused) == 100
    for exercise in made[0]:
        assert exercise.source not in unused
        assert not any(real.has(*pair) for pair in zip(exercise.inputs, exercise.outputs, strict=True))
    assert not unused & set(grids)
    assert not any(inputs.has(grid, grid) for found in grids.values() for grid in found)


def test_an_audit_finds_the_pairs_that_are_real(made, real):
    exercises, (first, *_) = made[0], made[0]
    pairs = sum(len(exercise.inputs) for exercise in exercises)
    assert count_real(exercises, real) == (pairs, 0)
    planted = RealPairs([(first.inputs[0], first.outputs[0])])
    assert count_real([first], planted)[1] >= 1


def test_a_shard_is_read_as_it_was_written_and_repeated_behaviour_once(made, tmp_path):
    exercises = made[0][:20]
    assert [from_line(to_line(exercise)) for exercise in exercises] == exercises
    write_shard(shard_path(tmp_path, 0, 0), exercises)
    write_shard(shard_path(tmp_path, 0, 1), exercises[5:])
    (tmp_path / "shard-0-00002.jsonl.gz.part").write_bytes(gzip.compress(b"{"))
    assert list(read_exercises(tmp_path)) == exercises


def test_an_exercise_is_a_task_that_its_program_solves(made):
    exercise = next(exercise for exercise in made[0] if exercise.parent)
    task, parent = exercise.task(), exercise.parent_program()
    assert task.inputs == exercise.inputs
    assert task.test[0].output == exercise.outputs[-1]
    assert parent is not None
    assert parent.outputs == exercise.parent_outputs
    right = sum(output == example.output for output, example in zip(parent.train, task.train, strict=True))
    assert parent.accuracy == right / len(task.train)
    assert Exercise(exercise.inputs, exercise.outputs, "", ()).parent_program() is None


def test_dull_outputs_are_told():
    a, b, c = ((1, 0),), ((2, 0),), ((0, 3),)
    assert is_dull((a, b, c), (a, b, c))
    assert is_dull((a, b, c), (a, c, b))
    assert is_dull((a, b, c), (c, c, c))
    assert not is_dull((a, b, c), (b, c, a))
    empty = ((0,) * 10,)
    assert is_dull((a, b, c), (empty, ((1,) * 10,), a))


def test_rare_idioms_gain_weight_and_common_ones_lose():
    tally = Tally()
    tally.idioms.update(dict.fromkeys(list(IDIOMS)[1:], 50))
    weights = dict(zip(IDIOMS, balanced(tally), strict=True))
    prior = {name: WEIGHTS[idiom] / sum(WEIGHTS.values()) for name, idiom in IDIOMS.items()}
    first, last = next(iter(IDIOMS)), "block.colour_per_block"
    assert weights[first] > prior[first]
    assert weights[last] < prior[last]


def test_shards_cover_the_examples():
    assert list(shards_of(10, 4)) == [0, 1, 2]


def test_mutations_change_one_thing():
    grammar, palette = Grammar(), Palette((0, 1, 2), (0, 1, 2, 3))
    steps = (Step("shape.turn", "g = g.T"), Step("colour.recolour", "g[g == 1] = 2"), Step("shape.crop", "g = g[:3]"))
    for seed in range(200):
        wrong = mutate(steps, palette, grammar, np.random.default_rng(seed))
        assert 2 <= len(wrong) <= 4
        assert sum(step in wrong for step in steps) >= 2
    assert without_each(steps) == [steps[1:], (steps[0], steps[2]), steps[:2]]
    assert without_each(steps[:1]) == []


def test_scenes_augment_all_grids_in_the_same_way():
    grids = {"one": (((0, 1, 2), (3, 4, 5)), ((0, 5, 4), (3, 2, 1)), ((0, 0, 1), (2, 2, 0)))}
    for seed in range(100):
        scene = draw_scene(grids, np.random.default_rng(seed))
        assert 3 <= len(scene.inputs) <= 5
        assert all(Arc().parse(grid) == grid for grid in scene.inputs)
        assert {cell for grid in scene.inputs for row in grid for cell in row} == set(scene.palette.sources)
        assert set(scene.palette.sources) <= set(scene.palette.paints)
