"""Parts of one's own through the commands: domains, a selector, a curator, a backend, an executor; and what is refused
before anything is written."""

import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

RUN = """
seed = 1
[tasks]
domain = "{domain}"
source = "{source}"
[lm]
backend = "scripted"
model = "{model}"
[search]
samples = 8
refinements = 4
samples_per_request = 4
enough = 0
[[stages]]
name = "train"
"""

LISTS = {
    "c002": "return xs",
    "c003": "return [len(xs)]",
    "c004": "return [max(xs)]",
    "c007": "return list(dict.fromkeys(xs))",
    "c008": "return [sum(xs)]",
    "c010": "return sorted(xs)[-3:]",
    "c026": "return xs[1:]",
    "c060": "return [99 - x for x in xs]",
    "c065": "return [x for x in xs[::-1] if x % 2 == 0]",
    "c067": "return [x for x in xs if x % 3 == 0]",
    "c088": "return [int(x % 3 == 0) for x in xs]",
}
"""Right programs for all but one of the tasks of src/soar/examples/list_functions.jsonl."""


@pytest.fixture
def call(soar, environment, tmp_path):
    """Run the command in the repository, with modules of the test's folder at hand; return code, output and errors."""

    def run(*arguments):
        where = {**environment, "PYTHONPATH": f"{tmp_path}:{environment['PYTHONPATH']}"}
        done = subprocess.run([*soar, *map(str, arguments)], env=where, capture_output=True, text=True, cwd=ROOT)
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture
def replies(tmp_path):
    """Write a file of replies, a program each; return its path."""

    def write(bodies, signature):
        path = tmp_path / "replies.jsonl"
        texts = [f"```python\ndef {signature}:\n    {body}\n```" for body in bodies]
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        return path

    return write


@pytest.mark.slow
def test_a_whole_domain_of_lists_is_run_executed_and_reported(tmp_path, call, replies):
    domain, source = "soar.examples.list_functions:ListFunctions", "list-functions"
    config, model = tmp_path / "lists.toml", replies(LISTS.values(), "transform(xs)")
    config.write_text(RUN.format(domain=domain, source=source, model=model))
    code, said, errors = call("run", config, tmp_path / "run", "--set", "search.samples=60")
    assert (code, errors) == (0, "")
    assert "test input" in said

    (record,) = json.loads(call("report", tmp_path / "run", "--json")[1])["iterations"]
    assert (record["tasks"], record["solved"], record["oracle"]) == (12, 11, 11)
    assert call("status", tmp_path / "run")[1].startswith("finished")
    answers = json.loads((tmp_path / "run/answers/0.json").read_text())
    assert len(answers["c002"]) == 3

    programs = tmp_path / "programs.jsonl"
    lines = [{"task_id": task, "code": f"def transform(xs):\n    {body}"} for task, body in LISTS.items()]
    lines.append({"task_id": "c016", "code": "def transform(xs):\n    return {1: 2}"})
    programs.write_text("\n".join(map(json.dumps, lines)))
    code, said, _ = call("exec", programs, "--domain", domain, "--tasks", source)
    found = [json.loads(line) for line in said.splitlines()]
    assert [line["status"] for line in found] == ["ok"] * 11 + ["failed"]
    assert all(pair["correct"] for line in found[:11] for pair in line["train"])
    assert found[11]["train"][0]["failure"]["type"] == "InvalidOutput"


SEQUENCES = '''
"""Integer sequences: the smallest domain there is."""
from soar.types import Example, Task

RULES = {"squares": lambda n: n * n, "evens": lambda n: 2 * n, "cubes": lambda n: n**3, "fours": lambda n: 4}


class Sequences:
    def load(self, source):
        return [
            Task(
                name,
                tuple(Example(n, rule(n)) for n in range(8)),
                tuple(Example(n, rule(n)) for n in range(8, 11)),
            )
            for name, rule in RULES.items()
        ]

    def parse(self, value):
        if type(value) is not int:
            raise ValueError(f"expected an integer, found {type(value).__name__}")
        return value
'''


@pytest.mark.slow
def test_the_smallest_domain_solves_what_its_programs_solve(tmp_path, call, replies):
    (tmp_path / "scratch_sequences.py").write_text(SEQUENCES)
    config = tmp_path / "sequences.toml"
    model = replies(["return x * x", "return 2 * x", "return x**3", "return 4", "return x / 1"], "transform(x)")
    config.write_text(RUN.format(domain="scratch_sequences:Sequences", source="any", model=model))
    code, said, errors = call("run", config, tmp_path / "run", "--set", "search.samples=40")
    assert (code, errors) == (0, "")
    (record,) = json.loads(call("report", tmp_path / "run", "--json")[1])["iterations"]
    assert (record["solved"], record["tasks"]) == (4, 4)
    assert "512" in said, "a solved task is drawn: 8 cubed"
    assert record["status"]["failed"] > 0, "4.0 is no integer"


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        ["search.selector=soar.examples.my_selector:top_three"],
        ["answer.voter=soar.examples.my_voter:one_each"],
        [
            "learning.curator=soar.examples.my_curator:best_of_each",
            "stages.0.iterations=2",
            "finetune.trainer=scripted",
        ],
        ["executor.kind=soar.examples.my_executor:Gentle", "executor.at_once=2"],
        [
            "lm.backend=soar.examples.my_backend:Parrot",
            'lm.text="""```python\ndef transform(grid):\n    return grid\n```"""',
        ],
    ],
    ids=["selector", "voter", "curator", "executor", "backend"],
)
def test_a_part_of_ones_own_is_named_and_used(tmp_path, task_folder, call, changes):
    config = tmp_path / "config.toml"
    text = RUN.format(domain="arc", source=task_folder, model="replies:reply")
    if changes[0].startswith("lm."):
        text = text.replace('model = "replies:reply"\n', "")
    config.write_text(text)
    code, _, errors = call("run", config, tmp_path / "run", *(word for each in changes for word in ("--set", each)))
    assert (code, errors) == (0, "")
    report = json.loads(call("report", tmp_path / "run", "--json")[1])
    assert all(record["completions"] == 6 * 12 for record in report["iterations"])


def test_examples_are_short():
    for path in (ROOT / "src" / "soar" / "examples").glob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) < 40, path.name


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (["search.selector=math:pi"], "search.selector 'math:pi' is a float, expected a function of (pool, rng)"),
        (["search.selector=math:sqrt"], "search.selector 'math:sqrt' does not take 2 arguments (pool, rng)"),
        (["tasks.domain=math:pi"], "domain 'math:pi' is a float, expected an object with load and parse"),
        (["lm.backend=embedded", "prompt.rendering=chat"], 'prompt.rendering = "chat" writes chat'),
        (["lm.backend=math:pi"], "lm.backend 'math:pi' cannot be opened with its settings"),
        (["finetune.trainer=math:pi", "stages.0.iterations=2"], "finetune.trainer 'math:pi' cannot be opened"),
        (["executor.kind=math:pi"], "executor.kind 'math:pi' cannot be opened with its settings"),
        (["executor.level=none"], "choose one of full, weak"),
        (["lm.backend=embedded", "lm.model=nowhere"], "holds no config.json"),
        pytest.param(
            ["learning.deduplicate=embeddings", "stages.0.iterations=2"],
            'learning.deduplicate = "embeddings" needs',
            marks=pytest.mark.slow,  # imports what it needs, if that is installed
        ),
        (["learning.replay=5", "stages.0.iterations=2"], "holds no replay.jsonl.gz: set it to 0"),
        (["lm.model=nowhere:nothing"], "scripted model 'nowhere:nothing' cannot be imported"),
    ],
)
def test_a_mistake_is_found_before_anything_is_written(tmp_path, task_folder, call, changes, reason):
    config = tmp_path / "config.toml"
    text = RUN.format(domain="arc", source=task_folder, model="replies:reply")
    if changes[0].startswith("lm.backend"):
        text = text.replace('model = "replies:reply"\n', "")
    config.write_text(text)
    code, _, errors = call("run", config, tmp_path / "run", *(word for each in changes for word in ("--set", each)))
    assert code == 2
    assert reason in errors
    assert "Traceback" not in errors
    assert not (tmp_path / "run").exists()


def test_a_model_that_reads_one_domain_only_is_refused_for_another(tmp_path, call):
    config = tmp_path / "config.toml"
    text = RUN.format(domain="soar.examples.list_functions:ListFunctions", source="list-functions", model="")
    config.write_text(re.sub(r"\[lm\]\n.*\n.*\n", "", text))
    code, _, errors = call("run", config, tmp_path / "run")
    assert code == 2
    assert 'opens a model of the domain "arc", and tasks.domain = "soar.examples.list_functions:' in errors
