"""A small experiment on four sequences, with a scripted model that learns."""

import json

import pytest

RULES = {"A1": "n * n", "A2": "2 * n + 1", "A3": "n ** 3 - n", "A4": "7 * n % 5"}

EXPERIMENT = """
[tasks]
domain = "sequences"
source = "{folder}/tasks.jsonl"
[lm]
backend = "scripted"
model = "scripted_sequences:reply"
[search]
samples = 12
refinements = 0
samples_per_request = 4
enough = 0
[finetune]
trainer = "scripted"
[experiment]
seeds = [3]
searches = 3
tasks = "ids-{{seed}}.txt"
never_searched = "never.txt"
group = "family"
compare = [["soar", "frozen"]]
[experiment.arms.soar]
[experiment.arms.frozen]
learns = false
searches = 4
[experiment.arms.correct-only.learning]
curator = "correct-only"
[experiment.arms.blind]
function = "scripted_sequences:blind"
"""

MODEL = '''
RULES = {rules!r}


def reply(prompt, seed, weights):
    """Without learnt weights the first two rules, with them every rule; any of them for any task."""
    known = list(RULES.values())[: 4 if weights else 2]
    return f"```python\\ndef transform(n):\\n    return {{known[seed % len(known)]}}\\n```"


def other(prompt, seed, weights):
    """The third rule alone, learnt or not."""
    return f"```python\\ndef transform(n):\\n    return {{RULES['A3']}}\\n```"


def blind(tasks, programs):
    return [tasks[0].id] if programs == 3 * 12 * 3 else []
'''


@pytest.fixture
def experiment(tmp_path, monkeypatch):
    (tmp_path / "scripted_sequences.py").write_text(MODEL.format(rules=RULES))
    monkeypatch.syspath_prepend(str(tmp_path))
    lines = [
        {"id": name, "family": name[0], "terms": [eval(rule, {"n": n}) for n in range(24)]}
        for name, rule in RULES.items()
    ]
    (tmp_path / "tasks.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "ids-3.txt").write_text("A1\nA2\nA3\n")
    (tmp_path / "never.txt").write_text("A4\n")
    path = tmp_path / "experiment.toml"
    path.write_text(EXPERIMENT.format(folder=tmp_path))
    return path
