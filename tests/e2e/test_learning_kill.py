"""A run whose model is finetuned for real is killed in every phase of search and finetuning, and ends as one that never
was.

``SOAR_TEST_KILLS=N`` kills it N times in each phase (1)."""

import os
import subprocess
from pathlib import Path

import pytest
from comparing import everything
from killing import kill_in
from test_kill import reached

ITERATIONS = 3
PHASES = [(0, "sample")] + [
    (iteration, phase) for iteration in (1, 2) for phase in ("data", "finetune", "merge", "publish", "sample")
]
SETTINGS = {
    "tasks.count": 16,
    "search.samples": 24,
    "search.samples_per_request": 8,
    "search.tasks_in_flight": 4,
    "finetune.method": "lora",
    "finetune.rank": 8,
    "finetune.batch_size": 8,
    "finetune.checkpoint_steps": 4,
    "stages.0.iterations": ITERATIONS,
}


def has_come_to(run: Path, iteration: int, phase: str) -> bool:
    """Return whether a run has come as far as a phase of an iteration, or further."""
    published = run / "adapters" / str(iteration)
    merging, work = published.with_name(f"{iteration}.tmp"), published.with_name(f"{iteration}.work")
    if phase == "sample":
        return reached(run / "archive.sqlite", iteration, phase)
    if phase == "data":
        return (run / "data" / str(iteration) / "examples.jsonl").exists()
    if phase == "finetune":
        return merging.exists() or published.exists() or any(work.glob("checkpoint-*/manifest.json"))
    if phase == "merge":
        return merging.exists() or published.exists()
    return published.exists()


@pytest.mark.slow
def test_killed_while_it_searches_and_learns_a_run_ends_as_one_that_never_was(tmp_path, environment, soar):
    calm, stormy = tmp_path / "calm", tmp_path / "stormy"
    settings = [part for name, value in SETTINGS.items() for part in ("--set", f"{name}={value}")]
    subprocess.run([*soar, "run", "sequences", str(calm), *settings], env=environment, check=True, capture_output=True)

    command = [*soar, "run", "sequences", str(stormy), *settings]
    schedule = [phase for phase in PHASES for _ in range(int(os.environ.get("SOAR_TEST_KILLS", "1")))]
    killed = kill_in(schedule, command, environment, lambda phase: has_come_to(stormy, *phase))
    assert len(killed) == len(schedule)

    subprocess.run(command, env=environment, check=True, capture_output=True)
    undisturbed, disturbed = everything(calm), everything(stormy)
    assert undisturbed.keys() == disturbed.keys()
    for name, content in undisturbed.items():
        assert disturbed[name] == content, name
    assert len(undisturbed["completions"]) == 16 * 24 * ITERATIONS
    for iteration in range(1, ITERATIONS):
        for name in ("model.safetensors", "adapter/adapter_model.safetensors", "probe.json"):
            file = Path("adapters") / str(iteration) / name
            assert (calm / file).read_bytes() == (stormy / file).read_bytes()
        assert not list((stormy / "adapters").glob("*.work"))
