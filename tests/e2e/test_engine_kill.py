"""A run with an engine of its own that is killed again and again ends as one that never was, and leaves no process."""

import random
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from comparing import everything
from killing import kill_in
from test_kill import reached

STUB = Path(__file__).parents[1] / "lm" / "served" / "stub_engine.py"
CONFIG = """
seed = 3
[tasks]
source = "{tasks}"
[lm]
backend = "served"
model = "{theta}"
engine = "{python} {stub} {{weights}} {{port}} slow=0.4"
[search]
samples = 8
refinements = 12
samples_per_request = 4
completions_per_refinement = 4
enough = 8
tasks_in_flight = 3
[learning]
samples_per_task = 6
refinements_per_task = 4
[finetune]
trainer = "replies:SlowTrainer"
[[stages]]
iterations = 3
"""
PHASES = [
    (iteration, phase)
    for iteration in range(3)
    for phase in ("finetune", "start", "sample", "refine")
    if (iteration, phase) != (0, "finetune")
]


def has_come_to(run: Path, iteration: int, phase: str) -> bool:
    """Return whether a run has come as far as a phase of an iteration."""
    if phase == "start":
        name = str(iteration) if iteration else "theta"
        return (run / "engines" / f"{name}.log").exists()
    return reached(run / "archive.sqlite", iteration, phase)


def none_left(path: Path, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not any(names(process, path) for process in psutil.process_iter()):
            return True
        time.sleep(0.1)
    return False


def names(process: psutil.Process, path: Path) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and any(str(path) in part for part in process.cmdline())
    except psutil.Error:
        return False


@pytest.mark.slow
def test_killed_in_every_phase_no_row_is_lost_and_no_engine_left(tmp_path, task_folder, environment, soar):
    theta, config = tmp_path / "theta", tmp_path / "config.toml"
    theta.mkdir()
    (theta / "config.json").write_text("{}")
    config.write_text(CONFIG.format(tasks=task_folder, theta=theta, python=sys.executable, stub=STUB))
    calm, stormy = tmp_path / "calm", tmp_path / "stormy"
    subprocess.run([*soar, "run", str(config), str(calm)], env=environment, check=True, capture_output=True)
    assert none_left(tmp_path, 0.5)

    chance = random.Random(0)

    def look() -> None:
        if chance.random() < 0.5:  # else the next start comes upon an engine that is ending
            assert none_left(tmp_path, 15)

    command = [*soar, "run", str(config), str(stormy)]
    schedule = [phase for phase in PHASES for _ in range(2)]
    killed = kill_in(schedule, command, environment, lambda phase: has_come_to(stormy, *phase), look)
    assert len(killed) >= 20
    assert set(killed) == set(PHASES)

    subprocess.run([*soar, "run", str(config), str(stormy)], env=environment, check=True, capture_output=True)
    assert none_left(tmp_path, 0.5)
    assert not list((stormy / "engines").glob("*.pid"))
    undisturbed, disturbed = everything(calm), everything(stormy)
    assert undisturbed.keys() == disturbed.keys()
    for name, content in undisturbed.items():
        assert disturbed[name] == content, name
    assert len(undisturbed["completions"]) > 250
