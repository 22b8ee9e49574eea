from pathlib import Path
from typing import Any

import pytest

from soar.config import free_settings, load_config, validated
from soar.errors import ConfigError
from soar.run import base_of, steps
from soar.settings import Positive, Section, resolve


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return path


def test_defaults_are_the_papers_values():
    config: Any = validated({})
    assert (config.search.samples, config.search.refinements, config.search.samples_per_request) == (3000, 3000, 50)
    assert (config.search.islands, config.search.completions_per_refinement, config.search.enough) == (4, 4, 100)
    assert (config.sampling.temperature, config.sampling.min_p) == (1.0, 0.05)
    assert (config.finetune.rank, config.finetune.alpha, config.finetune.lr) == (256, 32, 5e-5)


def test_an_unknown_key_is_refused_with_the_choices(tmp_path):
    with pytest.raises(ConfigError, match=r"unknown key search\.sample; did you mean 'samples'\?.*refinements"):
        load_config(written(tmp_path, "[search]\nsample = 3\n"))


def test_an_unknown_key_in_a_stage_is_refused_with_the_choices(tmp_path):
    with pytest.raises(ConfigError, match=r"unknown key stages\.0\.answer.*iterations"):
        load_config(written(tmp_path, '[[stages]]\nanswer = "known"\n'))


def test_a_value_out_of_bounds_says_where_and_what(tmp_path):
    with pytest.raises(ConfigError, match=r"search\.islands.*greater than 0"):
        load_config(written(tmp_path, "[search]\nislands = 0\n"))


def test_broken_toml_is_a_configuration_error(tmp_path):
    with pytest.raises(ConfigError, match="TOML"):
        load_config(written(tmp_path, "[search\n"))


def test_a_missing_file_is_a_configuration_error(tmp_path):
    with pytest.raises(ConfigError, match="no configuration"):
        load_config(tmp_path / "nothing.toml")


def test_overrides_set_numbers_text_and_entries_of_stages(tmp_path):
    path = written(tmp_path, '[[stages]]\nname = "a"\n')
    config = load_config(path, ["search.samples=7", "tasks.source=arc1-evaluation", "stages.0.iterations=3"])
    assert config.search.samples == 7
    assert config.tasks.source == "arc1-evaluation"
    assert config.stages[0].iterations == 3


@pytest.mark.parametrize("override", ["samples", "search.=3", "seed.deeper=1"])
def test_a_malformed_override_is_refused(tmp_path, override):
    with pytest.raises(ConfigError):
        load_config(written(tmp_path, "seed = 1\n"), [override])


def test_a_stage_may_only_build_on_an_earlier_one():
    with pytest.raises(ConfigError, match="expected one of: model"):
        validated({"stages": [{"name": "a", "base": "b"}, {"name": "b"}]})


def test_a_component_is_a_built_in_name_or_an_import():
    assert resolve("a", {"a": 1}, "thing") == 1
    assert resolve("math:pi", {}, "thing") > 3
    with pytest.raises(ConfigError, match="choose one of a, b"):
        resolve("c", {"a": 1, "b": 2}, "thing")
    with pytest.raises(ConfigError, match="cannot be imported"):
        resolve("math:nothing", {}, "thing")
    for name in ("./mine.py:vote", ":vote", "..mine:vote"):
        with pytest.raises(ConfigError, match=r'unknown thing .* choose one of a, or "package.module:name"'):
            resolve(name, {"a": 1}, "thing")


def test_steps_number_all_searches_over_the_stages():
    config = validated({"stages": [{"name": "a", "iterations": 2}, {"name": "b", "base": "a"}]})
    assert [(step.number, step.stage.name, step.iteration) for step in steps(config.plan())] == [
        (0, "a", 0),
        (1, "a", 1),
        (2, "b", 0),
    ]


def test_a_stage_begins_from_the_last_weights_of_its_base_or_what_that_began_from():
    stages = [{"name": "a", "iterations": 3}, {"name": "b", "base": "a"}, {"name": "c", "base": "b"}, {"name": "d"}]
    plan = steps(validated({"stages": stages}).plan())
    began = {step.stage.name: base_of(plan, step.stage) for step in plan}
    assert {name: before and before.number for name, before in began.items()} == {"a": None, "b": 2, "c": 2, "d": None}


def test_a_stage_learns_from_earlier_stages_alone():
    stages = [{"name": "a"}, {"name": "b", "learns_from": ["a"]}]
    assert validated({"stages": stages}).plan()[1].learns_from == ("a",)
    for wrong in (["b"], ["c"], ["a", "runs/x"]):
        with pytest.raises(ConfigError, match=rf"stage 'b' learns from '{wrong[-1]}', which is no earlier stage \(a\)"):
            validated({"stages": [{"name": "a"}, {"name": "b", "learns_from": wrong}]})


def test_a_section_takes_the_settings_of_the_part_that_it_names(tmp_path):
    served = '[lm]\nbackend = "openai"\nmodel = "m"\nbase_url = "http://localhost/v1"\n'
    config: Any = load_config(written(tmp_path, served))
    assert (config.lm.model, config.lm.concurrency) == ("m", 64)
    with pytest.raises(ConfigError, match=r"unknown key lm\.base_url\. Known keys: backend, model"):
        load_config(written(tmp_path, served.replace("openai", "embedded")))
    with pytest.raises(ConfigError, match=r"lm\.base_url is missing"):
        load_config(written(tmp_path, '[lm]\nbackend = "openai"\nmodel = "m"\n'))


class Endless:
    """A trainer of one's own, with a setting that no other has."""

    class Settings(Section):
        patience: Positive = 3

    def __init__(self, settings):
        self.patience = settings.patience


def test_a_part_of_ones_own_brings_its_settings(tmp_path):
    name = f"{__name__}:Endless"
    config: Any = validated({"finetune": {"trainer": name, "patience": 7}})
    assert (config.finetune.trainer, config.finetune.patience) == (name, 7)
    assert config.as_dict()["finetune"] == {"trainer": name, "patience": 7}
    with pytest.raises(ConfigError, match=r"finetune\.patience.*greater than 0"):
        validated({"finetune": {"trainer": name, "patience": 0}})
    with pytest.raises(ConfigError, match=r"unknown key finetune\.lr"):
        validated({"finetune": {"trainer": name, "lr": 1.0}})


def test_settings_that_have_moved_are_read_where_they_were():
    config: Any = validated({"sandbox": {"cpu_seconds": 2.0, "level": "weak", "workers": 3}, "lm": {"concurrency": 64}})
    assert (config.sandbox.cpu_seconds, config.executor.level, config.executor.workers) == (2.0, "weak", 3)


def test_the_scripted_model_stands_in_for_any_backend(tmp_path):
    served = '[lm]\nbackend = "openai"\nmodel = "m"\nbase_url = "http://localhost/v1"\n'
    config: Any = load_config(written(tmp_path, served), ["lm.backend=scripted", "lm.model=a:b"])
    assert config.as_dict()["lm"] == {"backend": "scripted", "model": "a:b"}


def test_what_no_result_depends_on_is_known_by_name():
    served = {"backend": "openai", "model": "m", "base_url": "http://localhost/v1"}
    assert free_settings(validated({"lm": served})) >= {"lm.base_url", "lm.api_key_env", "executor.workers"}
    assert "lm.model" not in free_settings(validated({"lm": served}))


def test_a_file_with_a_byte_order_mark_is_read(tmp_path):
    (tmp_path / "config.toml").write_bytes(b"\xef\xbb\xbfseed = 5\n")
    assert load_config(tmp_path / "config.toml").seed == 5


def test_another_part_takes_over_the_settings_that_it_knows_and_the_others_are_left_to_the_files_part(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text('[lm]\nbackend = "openai"\nmodel = "name"\nbase_url = "http://127.0.0.1:1/v1"\n')
    found = load_config(path, ["lm.backend=scripted"])
    assert (found.lm.backend, found.lm.model_dump()["model"]) == ("scripted", "name")
    assert "base_url" not in found.lm.model_dump()
    parrot = ["lm.text=x", "lm.backend=soar.examples.my_backend:Parrot"]
    assert load_config(path, parrot).lm.model_dump() == {"backend": parrot[1].partition("=")[2], "text": "x"}
    with pytest.raises(ConfigError, match=r"unknown key lm\.base_url"):
        load_config(path, [*parrot, "lm.base_url=http://127.0.0.1:2/v1"])
    with pytest.raises(ConfigError, match=r"unknown key lm\.url"):
        load_config(path, ["lm.url=http://127.0.0.1:2/v1"])


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e400"])
def test_a_number_that_is_none_is_refused_and_it_is_said_how_to_have_no_limit(tmp_path, value):
    with pytest.raises(ConfigError, match=r"budget\.max_seconds: expected a finite number, .*leave the setting out"):
        load_config(written(tmp_path, f"[budget]\nmax_seconds = {value.replace('1e400', 'inf')}\n"))
    with pytest.raises(ConfigError, match=r"sampling\.temperature: expected a finite number"):
        load_config(written(tmp_path, "seed = 1\n"), [f"sampling.temperature={value}"])


def test_a_section_that_is_none_is_refused_where_settings_have_moved_there():
    with pytest.raises(ConfigError, match="executor: "):
        validated({"executor": "local", "sandbox": {"workers": 2}})


def test_a_digit_that_is_no_number_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="not in a section"):
        load_config(written(tmp_path, '[[stages]]\nname = "a"\n'), ["stages.².b=1"])
