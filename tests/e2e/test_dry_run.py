"""`soar run --dry-run`: what it expects is what a run does, it refuses what a run refuses, and it writes nothing."""

import json
import sqlite3
import struct
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from soar.cli import main
from soar.config import load_config
from soar.dry_run import estimated
from soar.report.estimate import Measured
from soar.session import open_parts

CONFIG = """
[search]
samples = 8
refinements = 9
samples_per_request = 3
islands = 2
completions_per_refinement = 2
enough = 0
[sampling]
sample_tokens = 300
refine_tokens = 200
[learning]
samples_per_task = 4
refinements_per_task = 3
[finetune]
trainer = "scripted"
batch_size = 2
accumulation = 2
[budget]
price_per_million_completion_tokens = 2.0
max_tokens = 10
[[stages]]
name = "train"
iterations = 2
"""


@pytest.fixture
def call(soar, environment):
    """Run the command; return exit code, standard output and standard error."""

    def run(*arguments):
        done = subprocess.run([*soar, *map(str, arguments)], env=environment, capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr

    return run


def files(folder: Path) -> dict[str, bytes]:
    """Return all files' contents, but for what SQLite keeps beside a database as long as someone reads it."""
    found = {str(file.relative_to(folder)): file for file in folder.rglob("*") if file.is_file()}
    return {name: file.read_bytes() for name, file in found.items() if not name.endswith(("-shm", "-wal"))}


def test_the_figures_of_a_small_run_are_exact(write_config, tmp_path):
    config = load_config(write_config(CONFIG))
    found = estimated(config, open_parts(config), Measured(), tmp_path)
    first, second = found.searches
    assert (first.tasks, first.requests, first.completions) == (6, 6 * (3 + 3 + 2), 6 * 17)
    assert first.completion_tokens == 6 * (8 * 300 + 9 * 200)
    assert (first.examples, first.steps) == (0, 0)
    assert (second.examples, second.steps) == (6 * 7, 32)
    figures = {figure.name: figure for figure in found.figures}
    assert figures["money"].value == pytest.approx(2 * 2 * first.completion_tokens / 1e6)
    assert "has no folder" in figures["CPU or GPU memory, search"].how
    assert figures["disk"].value is None
    assert all(figure.how for figure in found.figures)
    assert all(figure.value is not None or figure.how.startswith("unknown") for figure in found.figures)
    assert found.limits[0].startswith("budget.max_tokens = 10 may be reached")
    assert json.loads(json.dumps(found.as_json()))["version"] == 1


@pytest.mark.slow
def test_a_run_does_what_was_expected_and_is_then_the_measure_of_hours(write_config, tmp_path, call):
    config = write_config(CONFIG)
    more = ("--set", "budget.max_tokens=1000000")
    code, said, errors = call("run", config, "--dry-run", "--json", *more)
    assert (code, errors) == (0, "")
    expected = json.loads(said)
    assert expected["figures"]["hours, search"]["value"] is None
    assert call("run", config, tmp_path / "run", *more)[0] == 0
    report = json.loads(call("report", tmp_path / "run", "--json")[1])
    done = [record["completions"] for record in report["iterations"]]
    assert done == [search["completions"] for search in expected["searches"]]
    assert report["requests"]["issued"] == expected["figures"]["requests"]["value"]
    for record, search in zip(report["iterations"], expected["searches"], strict=True):
        assert record["tokens"]["completion"] <= search["completion_tokens"]
    examples = (tmp_path / "run/data/1/examples.jsonl").read_text().count("\n")
    assert 0 < examples <= expected["figures"]["examples"]["value"]

    before = files(tmp_path / "run")
    code, said, errors = call("run", config, tmp_path / "run", "--dry-run", "--json", *more)
    assert (code, errors) == (0, "")
    measured = json.loads(said)["figures"]
    with closing(sqlite3.connect(tmp_path / "run/archive.sqlite")) as archive:
        (seconds,) = archive.execute("SELECT SUM(seconds) FROM iterations").fetchone()
    assert measured["hours, search"]["value"] == pytest.approx(seconds / 3600)
    assert measured["hours, finetuning"]["value"] > 0
    assert files(tmp_path / "run") == before


@pytest.mark.slow
def test_it_says_so_in_tables_and_writes_nothing(write_config, tmp_path, call):
    config = write_config(CONFIG)
    before = files(tmp_path)
    code, said, errors = call("run", config, tmp_path / "new", "--dry-run")
    assert (code, errors) == (0, "")
    assert "upper bound" in said
    assert "not tried" in said
    assert files(tmp_path) == before
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "mistake",
    [
        "search.selector=nothing",
        "tasks.source=nowhere",
        "finetune.trainer=nothing",
        "search.sample=1",
        "tasks.count=99",
    ],
)
def test_what_a_run_refuses_it_refuses_in_the_same_words(write_config, tmp_path, call, mistake):
    config = write_config(CONFIG)
    code, _, errors = call("run", config, tmp_path / "run", "--set", mistake)
    assert code in (2, 3)
    assert call("run", config, tmp_path / "run", "--dry-run", "--set", mistake)[::2] == (code, errors)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_directory_that_a_run_would_refuse_is_refused(write_config, tmp_path, call):
    config, settings = write_config(CONFIG), ("--set", "budget.max_tokens=1000000")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/file").touch()
    assert call("run", config, tmp_path / "run", *settings)[0] == 0
    before = files(tmp_path)
    for name, changed in (("other", "seed=3"), ("run", "search.samples=3")):
        code, _, errors = call("run", config, tmp_path / name, *settings, "--set", changed)
        assert code == 2
        assert call("run", config, tmp_path / name, "--dry-run", *settings, "--set", changed)[::2] == (code, errors)
    assert files(tmp_path) == before


@pytest.mark.slow
def test_without_a_directory_it_looks_at_the_one_that_a_run_would_use(write_config, tmp_path, monkeypatch, capsys):
    config = write_config(CONFIG)
    monkeypatch.chdir(tmp_path)
    assert main(["run", str(config), "--dry-run"]) == 0
    assert not Path("runs").exists()
    place = Path("runs", config.stem)
    place.mkdir(parents=True)
    (place / "thesis.tex").write_text("x")
    said = []
    for more in (["--dry-run"], []):
        capsys.readouterr()
        assert main(["run", str(config), *more]) == 2
        said.append(capsys.readouterr().err)
    assert said[0] == said[1]
    assert f"{place} exists and is not a run directory" in said[0]


def test_json_is_for_dry_runs_alone(write_config, call):
    code, _, errors = call("run", write_config(CONFIG), "--json")
    assert (code, "--dry-run" in errors) == (2, True)


LOCAL = """
[lm]
backend = "transformers"
model = "{model}"
device = "cpu"
dtype = "bfloat16"
batch = 8
[search]
samples = 8
refinements = 0
samples_per_request = 4
enough = 0
[sampling]
sample_tokens = 100
[finetune]
rank = 2
max_length = 512
[learning]
samples_per_task = 2
[[stages]]
name = "train"
iterations = 2
answers = "hidden"
"""


def test_memory_is_that_of_a_models_headers(task_folder, tmp_path):
    """The weights themselves are not there: nothing can have loaded them."""
    config_json = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
    (tmp_path / "config.json").write_text(json.dumps({**config_json, "vocab_size": 1000}))
    tensors = {"embed_tokens": (1000, 64), "layers.0.mlp.up_proj": (96, 64), "layers.1.mlp.up_proj": (96, 64)}
    entries = {f"{name}.weight": {"shape": shape} for name, shape in tensors.items()}
    header = json.dumps(entries).encode()
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    path = tmp_path / "local.toml"
    path.write_text(f'[tasks]\nsource = "{task_folder}"\n' + LOCAL.format(model=tmp_path))
    config = load_config(path)
    found = estimated(config, open_parts(config), Measured(), tmp_path)
    figures = {figure.name: figure for figure in found.figures}
    parameters, cache, longest = 64_000 + 2 * 96 * 64, 2 * 2 * 64, int(found.prompts[0].rpartition(" ")[2])
    searching = 2 * parameters + 2 * cache * (8 * 100 + longest)
    assert figures["CPU memory, search"].value == pytest.approx(searching / (1 << 30))
    finetuning = next(figure for name, figure in figures.items() if name.endswith("memory, finetuning"))
    assert "lora of rank 2, 1 × 512 tokens at once" in finetuning.how
    assert figures["disk"].value is not None
    assert (found.searches[1].examples, found.searches[1].steps) == (12, 1)


EMBEDDED = """
[tasks]
source = "{folder}"
[lm]
backend = "embedded"
[search]
samples = 2
refinements = 0
samples_per_request = 2
enough = 0
[sampling]
sample_tokens = 8
[[stages]]
name = "train"
"""


@pytest.mark.slow
def test_prompt_tokens_are_those_that_the_model_reads(task_folder, tmp_path, call):
    config = tmp_path / "embedded.toml"
    config.write_text(EMBEDDED.format(folder=task_folder))
    code, said, errors = call("run", config, "--dry-run", "--json")
    assert (code, errors) == (0, "")
    found = json.loads(said)
    assert found["figures"]["CPU memory, search"]["value"] > 0
    assert call("run", config, tmp_path / "run")[0] == 0
    (record,) = json.loads(call("report", tmp_path / "run", "--json")[1])["iterations"]
    assert record["tokens"]["prompt"] == found["figures"]["prompt tokens"]["value"]
    assert record["tokens"]["completion"] <= found["figures"]["completion tokens"]["value"]
