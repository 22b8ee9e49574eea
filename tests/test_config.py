from pathlib import Path

import pytest

from soar.config import Config, StageConfig, load_config, resolve
from soar.errors import ConfigError
from soar.run import steps


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return path


def test_defaults_are_the_papers_values():
    config = Config()
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
    with pytest.raises(ValueError, match="expected one of: model"):
        Config(stages=(StageConfig(name="a", base="b"), StageConfig(name="b")))


def test_a_served_model_cannot_be_finetuned_from_here(tmp_path):
    text = '[lm]\nbackend = "openai"\nmodel = "m"\nbase_url = "http://localhost/v1"\n[[stages]]\niterations = 2\n'
    with pytest.raises(ConfigError, match="cannot be finetuned"):
        load_config(written(tmp_path, text))


def test_a_server_is_not_asked_for_distinct_samples(tmp_path):
    text = '[lm]\nbackend = "openai"\nmodel = "m"\nbase_url = "http://localhost/v1"\n[sampling]\ndistinct = true\n'
    with pytest.raises(ConfigError, match=r"sampling\.distinct = false"):
        load_config(written(tmp_path, text))


def test_a_component_is_a_built_in_name_or_an_import():
    assert resolve("a", {"a": 1}, "thing") == 1
    assert resolve("math:pi", {}, "thing") > 3
    with pytest.raises(ConfigError, match="choose one of a, b"):
        resolve("c", {"a": 1, "b": 2}, "thing")
    with pytest.raises(ConfigError, match="cannot be imported"):
        resolve("math:nothing", {}, "thing")


def test_steps_number_all_searches_over_the_stages():
    config = Config(stages=(StageConfig(name="a", iterations=2), StageConfig(name="b", base="a")))
    assert [(step.number, step.stage.name, step.iteration) for step in steps(config)] == [
        (0, "a", 0),
        (1, "a", 1),
        (2, "b", 0),
    ]


@pytest.mark.parametrize("path", sorted(Path("configs").glob("*.toml")), ids=lambda path: path.name)
def test_every_shipped_configuration_is_valid(path):
    load_config(path)
