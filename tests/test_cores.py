"""How many cores this process may use, by its affinity and by the quotas of its control groups."""

import os

import pytest

from soar import cores


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Return a function that gives this process 8 cores, its control groups, and the files of such groups."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0: set(range(8))}[pid], raising=False)
    monkeypatch.setattr(cores, "CGROUP", tmp_path / "cgroup")
    monkeypatch.setattr(cores, "QUOTAS", tmp_path / "fs")

    def made(groups, files):
        (tmp_path / "cgroup").write_text(groups)
        for name, text in files.items():
            path = tmp_path / "fs" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n")

    return made


def test_every_core_that_may_be_used_counts(machine, monkeypatch):
    assert cores.available_cores() == 8, "without control groups"
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0: {3, 5, 7}}[pid])
    assert cores.available_cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    for count, found in ((5, 5), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda count=count: count)
        assert cores.available_cores() == found


@pytest.mark.parametrize(
    ("limits", "found"),
    [
        ({"cpu.max": "250000 100000"}, 3),
        ({"cpu.max": "max 100000"}, 8),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu.max": "6400000 100000"}, 8),
        ({"cpu.max": "nonsense"}, 8),
        ({"a/b/cpu.max": "max 100000", "a/cpu.max": "400000 100000"}, 4),
        ({"a/b/cpu.max": "200000 100000", "a/cpu.max": "400000 100000"}, 2),
        ({"other/cpu.max": "100000 100000"}, 8),
    ],
)
def test_the_least_of_a_groups_quotas_counts(machine, limits, found):
    machine("0::/a/b\n", limits)
    assert cores.available_cores() == found


@pytest.mark.parametrize(
    ("folder", "quota", "found"), [("cpu/job", "150000", 3), ("cpu/job", "-1", 8), ("memory/job", "150000", 8)]
)
def test_quotas_are_read_in_their_older_form_too(machine, folder, quota, found):
    machine(
        "4:memory:/job\n3:cpu:/job\n0::/\n",
        {f"{folder}/cpu.cfs_quota_us": quota, f"{folder}/cpu.cfs_period_us": "50000"},
    )
    assert cores.available_cores() == found
