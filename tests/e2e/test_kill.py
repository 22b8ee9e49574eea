"""A run that is killed again and again ends as one that never was."""

import sqlite3
import subprocess
from pathlib import Path

import pytest
from comparing import everything
from killing import kill_in

CONFIG = """
[search]
samples = 12
refinements = 22
samples_per_request = 5
completions_per_refinement = 4
enough = 8
tasks_in_flight = 3
[prompt]
few_shot = true
[learning]
samples_per_task = 6
refinements_per_task = 4
[finetune]
trainer = "replies:SlowTrainer"
[[stages]]
name = "train"
iterations = 3
"""
PHASES = [
    (iteration, phase)
    for iteration in range(3)
    for phase in ("sample", "refine", "finetune")
    if (iteration, phase) != (0, "finetune")
]


def reached(archive: Path, iteration: int, phase: str) -> bool:
    """Return whether a run has come as far as a phase of an iteration."""
    if not archive.exists():
        return False
    connection = sqlite3.connect(f"file:{archive}?mode=ro", uri=True)
    try:
        if phase == "finetune":
            sql, values = "SELECT COUNT(*) FROM iterations WHERE iteration = ?", (iteration,)
        else:
            sql, values = "SELECT COUNT(*) FROM completions WHERE iteration = ? AND phase = ?", (iteration, phase)
        return connection.execute(sql, values).fetchone()[0] > 0
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()


@pytest.mark.slow
def test_a_run_killed_at_random_moments_of_every_phase_equals_the_undisturbed_run(
    tmp_path, write_config, environment, soar
):
    config = write_config(CONFIG)
    calm, stormy = tmp_path / "calm", tmp_path / "stormy"
    subprocess.run([*soar, "run", str(config), str(calm)], env=environment, check=True, capture_output=True)

    command = [*soar, "run", str(config), str(stormy)]
    schedule = [phase for phase in PHASES for _ in range(3)]
    killed = kill_in(schedule, command, environment, lambda phase: reached(stormy / "archive.sqlite", *phase))
    assert len(killed) >= 20
    assert set(killed) == set(PHASES)

    subprocess.run([*soar, "run", str(config), str(stormy)], env=environment, check=True, capture_output=True)
    undisturbed, disturbed = everything(calm), everything(stormy)
    assert undisturbed.keys() == disturbed.keys()
    for name, content in undisturbed.items():
        assert disturbed[name] == content, name
    assert len(undisturbed["completions"]) > 400
