"""An installation without the extra `train` searches with the shipped model: here its modules are made missing."""

import json
import subprocess
import sys

import pytest

EXTRA = ("accelerate", "bitsandbytes", "datasets", "gguf", "peft", "torch", "transformers", "trl")

PLAIN = f"""
import sys
sys.modules.update(dict.fromkeys({EXTRA}))  # as if not installed: neither found nor imported
from soar.cli import main
code = main()
assert not any(sys.modules[name] for name in {EXTRA}), "something imported one all the same"
sys.exit(code)
"""


@pytest.fixture
def call(environment, tmp_path):
    def run(*arguments):
        command = [sys.executable, "-c", PLAIN, *map(str, arguments)]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300)

    return run


@pytest.fixture
def config(tmp_path, task_folder):
    """A search with the shipped model, of two small tasks."""
    path = tmp_path / "config.toml"
    path.write_text(
        f'[tasks]\nsource = "{task_folder}"\ncount = 2\n'
        '[lm]\nbackend = "embedded"\n[prompt]\nrendering = "compact"\n'
        "[search]\nsamples = 8\nrefinements = 4\nsamples_per_request = 8\nislands = 1\nenough = 0\n"
        '[[stages]]\nname = "train"\n'
    )
    return path


@pytest.mark.slow
def test_without_the_extra_the_shipped_model_searches_and_what_it_found_is_shown(call, config, tmp_path):
    done = call("run", config, tmp_path / "run")
    assert done.returncode == 0, done.stderr
    report = json.loads(call("report", tmp_path / "run", "--json").stdout)
    (search,) = report["iterations"]
    assert search["completions"] == 2 * 12
    assert search["programs"] > 12
    task = json.loads((tmp_path / "run" / "manifest.json").read_text())["tasks"]["train"]["ids"][0]
    assert json.loads(call("show", tmp_path / "run", task, "--json").stdout)["programs"]


SERVED = ["lm.backend=served", "lm.engine=serve {weights} {port}"]


@pytest.mark.parametrize(
    ("settings", "needs"),
    [
        (["stages.0.iterations=2"], 'finetune.trainer = "trl" needs torch'),
        (["lm.backend=transformers", "lm.model=somewhere"], 'lm.backend = "transformers" needs torch'),
        (
            [*SERVED, "lm.model=FOLDER", "lm.context=100"],
            "lm.context (how many tokens a prompt has) needs transformers",
        ),
        ([*SERVED, "lm.model=x.gguf"], "a .gguf file needs gguf, torch, transformers"),
    ],
)
def test_what_needs_the_extra_says_in_a_line_how_to_install_it(call, config, tmp_path, settings, needs):
    (tmp_path / "theta").mkdir()
    (tmp_path / "theta" / "config.json").write_text("{}")
    settings = [setting.replace("FOLDER", str(tmp_path / "theta")) for setting in settings]
    done = call("run", config, tmp_path / "run", *(f"--set={setting}" for setting in settings))
    assert done.returncode == 2
    assert needs in done.stderr
    assert done.stderr.endswith("which this installation lacks: pip install 'soar-synthesis[train]'\n")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()
