from dataclasses import replace

from experiments import ablation
from experiments.ablation import VARIANTS, Pairs, Plain, Short, corpus_of, is_over
from experiments.solved import counts, read_rows
from soar.domains.arc.compact import Compact
from soar.domains.arc.domain import Arc
from soar.lm.embedded import SHIPPED
from soar.pretrain.train import Settings
from soar.types import Example, Task

WIDE = tuple(tuple((x * y) % 10 for x in range(20)) for y in range(6))
TASK = Task(
    id="task",
    train=tuple(Example(input=WIDE, output=(*WIDE[:5], (number,) * 20)) for number in range(3)),
    test=(Example(input=((1,),), output=None),),
)


def prompt(rendering):
    return rendering.sampling(TASK, None, rendering.details(TASK)[0])


def test_each_variant_differs_from_the_recipe_and_names_settings_that_exist(tmp_path):
    recipe = Settings(tmp_path, tmp_path, muon_lr=4e-3)
    for name, variant in VARIANTS.items():
        changed = replace(recipe, **variant.settings) != recipe
        other = type(variant.rendering) is not Compact or variant.shards is not None
        assert (changed or other) == (name != "recipe")


def test_a_training_is_over_when_it_had_its_time_and_was_measured(tmp_path):
    log = tmp_path / "log.jsonl"
    assert not is_over(tmp_path, 3.0)
    log.write_text('{"step": 50, "seconds": 179.0, "loss": 1.0}\n{"step": 60, "seconds": 181.0, "loss": 1.0}\n')
    assert not is_over(tmp_path, 3.0)
    log.write_text(log.read_text() + '{"step": 60, "seconds": 181.0, "held_out": 0.9}\n')
    assert is_over(tmp_path, 3.0)
    assert not is_over(tmp_path, 4.0)


def test_plain_outputs_point_at_no_input():
    assert "=\n" in prompt(Compact())
    assert "=\n" not in prompt(Plain())
    assert len(prompt(Plain())) > len(prompt(Compact()))


def test_two_pairs_are_shown_where_there_are_three():
    assert prompt(Compact()).count("out") == 3
    assert prompt(Pairs()).count("out") == 2


def test_a_short_task_drops_pairs_until_it_fits():
    assert prompt(Short()).count("out") < 3


def test_few_shards_are_the_first(tmp_path):
    for number in range(3):
        (tmp_path / f"shard-0-{number:05}.jsonl.gz").touch()
    assert corpus_of(tmp_path, None, tmp_path / "few") == tmp_path
    few = corpus_of(tmp_path, 2, tmp_path / "few")
    assert sorted(path.name for path in few.iterdir()) == ["shard-0-00000.jsonl.gz", "shard-0-00001.jsonl.gz"]
    assert corpus_of(tmp_path, 2, tmp_path / "few") == few


def test_of_the_programs_of_a_variant_the_first_count(tmp_path, monkeypatch):
    left_out = [task.id for task in Arc().load("arc1-training")[:2]]
    monkeypatch.setattr(ablation, "held_out", lambda tasks: left_out)
    monkeypatch.setattr(ablation, "SAMPLES", 8)
    scores = ablation.solved(SHIPPED, Compact(), tmp_path / "rows.jsonl")
    found = counts(read_rows(tmp_path / "rows.jsonl"), {})
    assert {task: (made.programs, made.distinct) for task, made in found.items()} == dict.fromkeys(left_out, (8, True))
    first = [made.earliest for made in found.values() if made.earliest is not None]
    assert scores == {f"solved at {k}": sum(place < k for place in first) for k in (1, 8)}
