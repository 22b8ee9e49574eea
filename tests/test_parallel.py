"""Work shared out to processes: the same results in the same order, whatever happens to the processes."""

import importlib
import os
import subprocess
import sys
import threading
import time
from itertools import count
from pathlib import Path

import pytest

from soar import parallel
from soar.parallel import mapped

PID = "__import__('os').getpid()"


pytestmark = pytest.mark.usefixtures("sharing_out")


def met(folder_and_number):
    """Wait until two processes are here; return the number and this process."""
    folder, number = folder_and_number
    (folder / str(os.getpid())).touch()
    while len(list(folder.iterdir())) < 2:
        time.sleep(0.01)
    return number, os.getpid()


def test_results_come_in_order_and_from_several_processes(tmp_path):
    found = list(mapped(met, [(tmp_path, n) for n in range(8)]))
    assert [n for n, _ in found] == list(range(8))
    assert len({pid for _, pid in found} - {os.getpid()}) == 2


def test_work_that_takes_little_time_stays_here(monkeypatch):
    monkeypatch.setattr(parallel, "PATIENCE", 60.0)
    assert set(mapped(eval, [PID] * 5)) == {os.getpid()}


@pytest.mark.parametrize(("work", "items"), [(lambda _: os.getpid(), [1, 2, 3]), (callable, [len, lambda: 0, 5])])
def test_what_cannot_be_pickled_stays_here(work, items):
    assert list(mapped(work, items)) == [work(item) for item in items]


def test_without_another_process_it_is_done_here(monkeypatch):
    def refused(*_, **__):
        raise OSError("no process left")

    monkeypatch.setattr(subprocess, "Popen", refused)
    assert set(mapped(eval, [PID] * 3)) == {os.getpid()}


def test_an_item_whose_process_is_lost_is_done_here():
    lost = f"{PID} if {PID} == {os.getpid()} else __import__('os')._exit(1)"
    assert list(mapped(eval, ["0", lost, lost, lost, "5"])) == [0, *[os.getpid()] * 3, 5]


def test_an_error_is_that_of_the_work():
    found = mapped(eval, ["0", "1", "1 // 0", "3"])
    assert [next(found), next(found)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(found)


def test_what_the_work_prints_is_no_answer():
    assert list(mapped(eval, ["0", "print('x') or 1", "__import__('os').write(1, b'yy')"])) == [0, 1, 2]


def test_no_process_is_left_when_the_rest_is_not_wanted():
    found = mapped(eval, ["0", PID, *["__import__('time').sleep(60)"] * 4])
    assert next(found) == 0
    child, begun = next(found), time.monotonic()
    found.close()
    assert time.monotonic() - begun < 30
    assert not Path(f"/proc/{child}").exists()


def test_the_processes_end_with_the_one_that_started_them():
    program = (
        "from soar import parallel\nparallel.PATIENCE, parallel.available_cores = -1, lambda: 2\n"
        f"for found in parallel.mapped(eval, ['0', *[{PID!r}] * 3, *['__import__(\"time\").sleep(0.1)'] * 10**4]):\n"
        "    print(found, flush=True)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    pids = {int(parent.stdout.readline()) for _ in range(4)} - {0}
    parent.kill()
    parent.wait()
    parent.stdout.close()
    for tries in count():
        if not any(Path(f"/proc/{pid}").exists() for pid in pids):
            return
        assert tries < 300, "a process outlives the one that started it"
        time.sleep(0.1)


def test_one_lost_process_leaves_the_rest_of_the_work_to_the_others(tmp_path):
    lost = f"{PID} if {PID} == {os.getpid()} else __import__('os')._exit(1)"
    found = list(mapped(eval, [lost, *[f"__import__('time').sleep(0.05) or {PID}"] * 12]))
    assert found[0] == os.getpid()
    assert found.count(os.getpid()) <= 3  # one may be asked while the loss is not known yet


def test_a_failing_item_costs_no_process():
    failing = f"{PID} if {PID} == {os.getpid()} else 1 // 0"
    found = list(mapped(eval, [*[failing] * 6, *[f"__import__('time').sleep(0.05) or {PID}"] * 6]))
    assert found[:6] == [os.getpid()] * 6
    assert os.getpid() not in found[6:]


def test_what_cannot_be_read_back_is_done_here():
    error = "__import__('urllib.error').error.HTTPError('a', 1, 'b', None, None)"  # pickles, and does not unpickle
    assert [type(found).__name__ for found in mapped(eval, [error] * 3)] == ["HTTPError"] * 3


def test_the_work_has_no_standard_input_and_takes_no_module_of_the_working_directory(tmp_path, monkeypatch, capfd):
    (tmp_path / "struct.py").write_text("print('read')")
    monkeypatch.chdir(tmp_path)
    assert list(mapped(eval, ["__import__('sys').stdin.read()"] * 3)) == [""] * 3
    assert "read" not in "".join(capfd.readouterr())


def test_what_the_work_prints_is_shown(capfd):
    list(mapped(eval, [f"{PID} == {os.getpid()} or print('from elsewhere')"] * 3))
    assert "from elsewhere" in capfd.readouterr().err


def test_where_no_thread_can_start_it_is_done_here(monkeypatch):
    def refused(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    assert set(mapped(eval, [PID] * 3)) == {os.getpid()}


def test_work_whose_code_has_changed_stays_here(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "changing.py"
    file.write_text("def work(item):\n    return item, 1\n")
    work = importlib.import_module("changing").work
    monkeypatch.setattr(parallel, "_BEGUN", time.time() + 60)
    elsewhere = [parallel._code_changed()]
    monkeypatch.setattr(parallel, "_BEGUN", file.stat().st_ctime - 1e-3)
    file.write_text("def work(item):\n    return item, 2\n")
    elsewhere.append(parallel._code_changed())
    assert elsewhere == [False, True]
    assert list(mapped(work, [1, 2, 3])) == [(1, 1), (2, 1), (3, 1)]
