"""What one process does with a trainer, step by step, with a stand-in for TRL's: what is prepared, in which order it
is learnt, logged, saved and published, and what each process but the first leaves to it."""

import importlib
import json
import runpy
import warnings
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from soar.errors import DataError, Interrupted
from soar.learning.trainers import process, training
from soar.learning.trainers.settings import FinetuneSettings
from soar.learning.trainers.tokens import Tokens, order, read_tokens
from soar.learning.trainers.training import Learner, _probe_examples, _trainer, train
from soar.learning.trainers.trl import new_job
from soar.lm.notes import Probe
from soar.lm.transformers.load import out_of_memory
from soar.seeds import rng, seed_of

SETTINGS = FinetuneSettings(method="lora", rank=4, batch_size=4, accumulation=2, epochs=1.5, max_length=8)


@pytest.fixture(autouse=True, scope="module")
def libraries():
    """What looks for a GPU when it is imported, imported before a test says that there is one."""
    importlib.import_module("transformers.trainer")
    importlib.import_module("datasets")


class Model:
    def __init__(self, value=1.0):
        self.value = value

    def state_dict(self):
        return {"good": torch.ones(2), "bad": torch.tensor([1.0, self.value])}


class Recorder:
    """Keeps what TRL's trainer would have been given."""

    def __init__(self, **given):
        self.given, self.removed, self.accelerator = given, [], SimpleNamespace(num_processes=3)

    def remove_callback(self, callback):
        self.removed.append(callback)


@pytest.fixture
def prepared(rows, base, tmp_path, monkeypatch):
    """Prepare a trainer with stand-ins; return it, the counts, the probes and what was asked meanwhile."""

    def prepared(settings=SETTINGS, *, gpu=False, fast=False, model=None):
        asked: dict[str, Any] = {}

        def load(job, bf16):
            asked.update(bf16=bf16, seed=torch.initial_seed(), loaded=job)
            return Learner(model or Model(), "adapter", "checkpointing")  # type: ignore[arg-type]

        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
        monkeypatch.setattr(training, "has_fast_bf16", lambda device: asked.update(device=device) or fast)
        monkeypatch.setattr(training, "_enable_fsdp_on_cpu", lambda: asked.update(fsdp=True))
        monkeypatch.setattr(training, "_trainer_class", lambda: Recorder)
        monkeypatch.setattr(training, "_arguments", lambda job, **more: (job, more))
        job = new_job(rows, base, tmp_path / "out", 5, settings)
        return job, asked, *_trainer(job, load)

    return prepared


def test_a_trainer_gets_the_examples_in_their_order_and_all_that_was_loaded(prepared, rows, base, monkeypatch):
    from transformers import AutoTokenizer, PrinterCallback

    real, asked_for = AutoTokenizer.from_pretrained, []
    monkeypatch.setattr(AutoTokenizer, "from_pretrained", lambda *a, **k: asked_for.append((a, k)) or real(*a, **k))
    job, asked, trainer, counts, probes = prepared()
    assert asked_for == [((base,), {"local_files_only": True})]
    examples, dropped = read_tokens(rows, real(base), 8)
    assert dropped == 20
    sequence = order([len(each.ids) for each in examples], batch_size=4, epochs=1.5, rng=rng(5, "order"))
    given = trainer.given
    assert given.pop("train_dataset").to_dict() == {
        "input_ids": [examples[place].ids for place in sequence],
        "labels": [examples[place].labels for place in sequence],
    }
    assert isinstance(given.pop("model"), Model)
    assert given.pop("processing_class")("w0")["input_ids"] == real(base)("w0")["input_ids"]
    assert given == {
        "args": (job, {"bf16": False, "checkpointing": "checkpointing"}),
        "peft_config": "adapter",
    }
    assert trainer.removed == [PrinterCallback]
    tokens = sum(len(examples[place].ids) for place in sequence)
    assert counts == {"examples": 28, "too_long": 20, "tokens": tokens, "processes": 3}
    assert probes == _probe_examples(examples)
    assert asked == {"bf16": False, "seed": seed_of(5, "initial"), "loaded": job, "device": "cpu"}


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("gpu", [True, False])
def test_bfloat16_is_computed_in_where_it_is_asked_for_and_fast(prepared, gpu, fast, dtype):
    _, asked, trainer, *_ = prepared(SETTINGS.model_copy(update={"dtype": dtype}), gpu=gpu, fast=fast)
    assert asked["bf16"] == trainer.given["args"][1]["bf16"] == (fast and dtype == "bfloat16")
    assert asked.get("device", "none") == ("none" if dtype == "float32" else "cuda" if gpu else "cpu")


@pytest.mark.parametrize("gpu", [True, False])
@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("sharding", ["ddp", "fsdp"])
def test_sharding_on_a_cpu_is_made_possible_where_it_is_needed(prepared, gpu, processes, sharding):
    _, asked, *_ = prepared(SETTINGS.model_copy(update={"processes": processes, "sharding": sharding}), gpu=gpu)
    assert asked.get("fsdp", False) == (not gpu and processes == 2 and sharding == "fsdp")


def test_a_base_that_is_not_finite_is_refused_by_the_name_of_its_tensor(prepared, base):
    with pytest.raises(DataError) as error:
        prepared(model=Model(float("inf")))
    assert str(error.value) == (
        f"the weights in {base} hold values that are not finite in bad: restore them from a copy"
    )


def test_probes_are_three_short_examples_spread_over_all():
    def probed(*lengths):
        every = [Tokens(range(length), 0, line) for line, length in enumerate(lengths)]
        return [each.line for each in _probe_examples(every)]

    assert probed(1, 1, 1, 1, 1, 1, 1) == [0, 2, 4]
    assert probed(1, 1) == [0, 1]
    assert probed(1025, 1024, 1, 2000) == [1, 2]
    assert probed() == []


class Trainer:
    """Trains nothing, and keeps in `done` what it is told and what is so meanwhile."""

    def __init__(self, done, first, bf16, request=None):
        self.done, self.first, self.request = done, first, request
        self.args = SimpleNamespace(bf16=bf16)
        self.accelerator = SimpleNamespace(wait_for_everyone=lambda: done.append("wait"))

    def is_world_process_zero(self):
        return self.first

    def add_callback(self, watch):
        self.watch = watch

    def train(self, **given):
        import datasets

        self.done.append(("train", given, torch.get_num_threads(), datasets.are_progress_bars_disabled()))
        warnings.warn("one library to another", FutureWarning, stacklevel=1)
        self.watch.interrupted = self.request


@pytest.fixture
def stepped(rows, base, tmp_path, monkeypatch):
    """Do a job with stand-ins for all that it calls; return what they were told, in order."""
    job = replace(new_job(rows, base, tmp_path / "out", 5, SETTINGS), resume="a checkpoint", micro=2)

    def stepped(*, first=True, bf16=False, gpu=False, request=None, **changes):
        done: list[Any] = []
        this = replace(job, settings=SETTINGS.model_copy(update=changes))
        trainer = Trainer(done, first, bf16, request)
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        monkeypatch.setattr(training, "available_cores", lambda: 8)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
        monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 123)

        def prepare(given, load):
            assert (given, load) == (this, "load")
            return trainer, {"examples": 48}, [Tokens([1, 2, 3], 2, 4)]

        def watch(on_log, data):
            done.append(("watch", data))
            return SimpleNamespace(on_log=on_log, interrupted=None)

        def save(given, folder, *more):
            assert given is trainer
            done.append(("save", folder, *more))
            folder.mkdir(exist_ok=True)

        monkeypatch.setattr(training, "_trainer", prepare)
        monkeypatch.setattr(training, "_watch", watch)
        monkeypatch.setattr(training, "save", save)
        monkeypatch.setattr(training, "note_probes", lambda *given: done.append(("probes", *given)))
        monkeypatch.setattr(training, "publish", lambda *given: done.append(("publish", *given)))
        before = torch.get_num_threads()
        try:
            train(this, lambda entry: done.append(("log", entry)), "load")  # type: ignore[arg-type]
        finally:
            assert torch.get_num_threads() == before
            done.append("ended")
        return this, done

    return stepped


def steps(job, threads=8):
    return [
        ("watch", job.data),
        ("train", {"resume_from_checkpoint": "a checkpoint"}, threads, True),
        "wait",
        ("save", job.out.with_name("out.tmp"), job.base, job.settings.method),
        "wait",
    ]


def test_the_first_process_logs_saves_notes_and_publishes(stepped, rows):
    job, done = stepped()
    aside = job.out.with_name("out.tmp")
    prompt = json.loads(rows.read_text().splitlines()[3])["prompt"]
    how = {"examples": 48, "micro_batch": 2, "computed_in": "torch.float32", "most_gpu_bytes": None}
    assert done == [
        ("log", {"examples": 48}),
        *steps(job),
        ("probes", aside, job.base, 4, [Probe(prompt, [1, 2, 3], 2)]),
        ("publish", aside, job.out, {**job.data, **how}),
        "ended",
    ]


def test_what_an_earlier_session_left_aside_is_not_published(stepped, tmp_path):
    (tmp_path / "out.tmp").mkdir()
    (tmp_path / "out.tmp" / "left").touch()
    stepped(first=False)
    assert (tmp_path / "out.tmp" / "left").exists(), "the first process alone clears it"
    stepped()
    assert not (tmp_path / "out.tmp" / "left").exists()


def test_the_other_processes_save_their_part_and_no_more(stepped):
    job, done = stepped(first=False, processes=4)
    assert done == [*steps(job, threads=2), "ended"]


def test_how_it_was_computed_is_published_and_all_weights_have_no_rank(stepped):
    _, done = stepped(bf16=True, gpu=True, method="full")
    about = done[-2][-1]
    assert (about["computed_in"], about["most_gpu_bytes"]) == ("torch.bfloat16", 123)
    assert done[-3][3] is None


def test_an_interrupted_training_saves_nothing(stepped):
    with pytest.raises(Interrupted, match="enough") as error:
        stepped(request=Interrupted("enough"))
    assert str(error.value) == "enough"


@pytest.mark.parametrize(("count", "processes", "threads"), [(8, 3, 2), (2, 4, 1)])
def test_a_process_computes_on_its_share_of_the_cores_unless_the_environment_says(
    monkeypatch, count, processes, threads
):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(training, "available_cores", lambda: count)
    before = torch.get_num_threads()
    torch.set_num_threads(5)
    try:
        with training._all_threads(processes):
            assert torch.get_num_threads() == threads
        assert torch.get_num_threads() == 5
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        with training._all_threads(processes):
            assert torch.get_num_threads() == 5
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("shown", [True, False])
def test_progress_bars_are_hidden_meanwhile_and_then_as_before(shown):
    import datasets

    before = datasets.are_progress_bars_disabled()
    (datasets.enable_progress_bars if shown else datasets.disable_progress_bars)()
    try:
        with training._quiet():
            assert datasets.are_progress_bars_disabled()
            with pytest.raises(UserWarning, match="ours"):
                warnings.warn("ours", UserWarning, stacklevel=1)
        assert datasets.are_progress_bars_disabled() == (not shown)
    finally:
        (datasets.disable_progress_bars if before else datasets.enable_progress_bars)()


def test_as_the_main_module_it_takes_part_in_a_job_and_ends_with_its_code(monkeypatch):
    given = []
    monkeypatch.setattr(process, "take_part", lambda *parts: given.append(parts) or 7)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(training.__file__, run_name="__main__")
    assert ended.value.code == 7
    ((part, memory),) = given
    assert (part.__name__, memory) == ("train", out_of_memory)
