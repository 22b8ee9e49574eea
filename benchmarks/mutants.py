"""Would the fast tests notice? mutmut makes small changes of the code, one at a time; the tests that reach it are run.

``make mutants`` draws 400 of all such mutants by a stated seed, so that nobody chooses; ``SEED=1 make mutants`` draws
others. Which files are changed, and which tests are run, stands in pyproject.toml (``[tool.mutmut]``). mutmut makes the
mutants and notes which functions are reached. The tests are run here: all of them once, to see which test reaches which
function; then, mutant by mutant, those that reach it, the quickest first, in a fork of a process that has imported them
all. Functions that no test reaches here are tried by the tests that start commands, in whose processes nothing is
noted. What runs in processes of its own (the sandbox's child, the trainer) cannot hold all mutants at once, as mutmut
does it: such a file is changed in a copy of the tree, and the tests of its folder run there.
A mutant is *killed* when a test fails. *Timeouts* are counted apart. What no test reaches has survived.
Survivors are printed with what was changed. Results are kept in the folder ``mutants``; the same command resumes.
"""

import argparse
import difflib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

FOLDER = Path("mutants")
REACH = FOLDER / "reach.json"
VERDICTS = FOLDER / "verdicts.jsonl"

SETTINGS = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutmut"]

PYTEST = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
COMMANDS = ("tests/e2e/",)
"""Where the tests stand that start commands: child processes, in which mutmut counts nothing."""

WHOLE = {"src/soar/execution/local": "tests/execution", "src/soar/learning/trainers": "tests/learning"}
"""Folders of files that run in processes of their own, and the tests of each."""

MEMORY = 8 * 2**30
"""Bytes of data that a mutant's tests may allocate: some mutants fill a list without end."""

Stats = Mapping[str, Mapping[str, Any]]
"""Of all tests, run once: their `seconds`, and by function those that have `reached` it."""


def mutants() -> list[str]:
    """Return the names of all mutants: mutmut's own, and of the files that are changed whole ``path:number``."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.rglob("*.meta"))]
    names = [name for each in found for name in each["exit_code_by_key"]]
    return sorted([*names, *(f"{path}:{number}" for path in whole_files() for number in range(len(changes(path))))])


def whole_files() -> list[str]:
    """Return the files that are changed whole: those that mutmut is told to leave, where a test can reach them."""
    found = [str(path) for place in SETTINGS["do_not_mutate"] for path in sorted(Path().glob(place))]
    return [path for path in found if not path.endswith("unsloth_training.py")]  # it needs another environment


@cache
def changes(path: str) -> list[Callable[[], str]]:
    """Return a function for every change of a file, as mutmut would make it: it returns the changed text."""
    from mutmut.mutation.file_mutation import create_mutations, deep_replace  # pyright: ignore[reportMissingImports]

    module, found, *_ = create_mutations(path, Path(path).read_text(encoding="utf-8"))
    return [partial(_changed, module, each, deep_replace) for each in found]


def _changed(module: Any, one: Any, replace: Callable[..., Any]) -> str:
    return replace(module, one.original_node, one.mutated_node).code


def drawn(names: Sequence[str], count: int, seed: int) -> list[str]:
    """Return `count` of the names, drawn by the seed."""
    return random.Random(seed).sample(sorted(names), min(count, len(names)))


def seconds_of(stats: Stats, tests: Sequence[str]) -> float:
    """Return how long tests take, as they took when all were run once."""
    return sum(stats["seconds"].get(test, 0.0) for test in tests)


class Reach:
    """A pytest plugin that notes which functions of mutmut's tree each test reaches, and how long it takes."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.reached: dict[str, list[str]] = {}

    def pytest_runtest_teardown(self, item: Any) -> None:
        from mutmut.state import state  # pyright: ignore[reportMissingImports]

        for function in state()._stats:
            self.reached.setdefault(function, []).append(item.nodeid)
        state()._stats.clear()

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            print(f"left out, since it fails without a mutant: {report.nodeid}")
            self.seconds.pop(report.nodeid, None)
        elif report.when == "call" and report.passed:
            self.seconds[report.nodeid] = report.duration


def reach(part: int, parts: int) -> None:
    """Run every `parts`-th file of tests once; note what they reach."""
    os.chdir(FOLDER)
    sys.path.insert(0, str(Path("src").absolute()))
    import pytest
    from mutmut.mutation.trampoline import set_mutant_under_test  # pyright: ignore[reportMissingImports]

    set_mutant_under_test("stats")
    del os.environ["MUTANT_UNDER_TEST"]  # mutmut counts in this process; the commands that tests start must not try
    left_out = [each.partition("=")[2] for each in SETTINGS["pytest_add_cli_args_test_selection"] if "=" in each]
    files = [str(path) for path in sorted(Path("tests").rglob("test_*.py")) if str(path) not in left_out]
    plugin = Reach()
    pytest.main(["-q", *PYTEST[2:], *SETTINGS["pytest_add_cli_args"], *files[part::parts]], plugins=[plugin])
    reached = {name: [test for test in tests if test in plugin.seconds] for name, tests in plugin.reached.items()}
    found = {"seconds": plugin.seconds, "reached": reached}
    Path(f"reach-{part}.json").write_text(json.dumps(found), encoding="utf-8")


def in_parts(work: Callable[[int, int], None], parts: int) -> None:
    """Do a work in so many forks of this process, and wait for them."""
    children = []
    for part in range(parts):
        child = os.fork()
        if child == 0:
            work(part, parts)
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)


def prepare(processes: int) -> None:
    """Make all mutants, and note which tests reach them; `SystemExit` if mutmut made none."""
    # To collect tests is enough here: mutmut would otherwise run all of them, one after the other, until one fails.
    environment = {**os.environ, "PYTEST_ADDOPTS": "--collect-only"}
    subprocess.run([sys.executable, "-m", "mutmut", "run", "none"], env=environment, check=False)
    if not any(FOLDER.rglob("*.meta")):
        sys.exit("mutmut made no mutants: its messages stand above")
    in_parts(reach, processes)
    found = [json.loads((FOLDER / f"reach-{part}.json").read_text(encoding="utf-8")) for part in range(processes)]
    seconds = {test: each["seconds"][test] for each in found for test in each["seconds"]}
    names = {name for each in found for name in each["reached"]}
    reached = {name: [test for each in found for test in each["reached"].get(name, [])] for name in sorted(names)}
    REACH.write_text(json.dumps({"seconds": seconds, "reached": reached}, indent=1), encoding="utf-8")


def quickest_first(stats: Stats, tests: Sequence[str]) -> list[str]:
    return sorted(tests, key=lambda test: (seconds_of(stats, [test]), test))


def tests_for(name: str, stats: Stats) -> list[str]:
    """Return the tests that reach a mutant's function, else those that start commands; the quickest first."""
    reached = stats["reached"].get(name.rpartition("__mutmut_")[0])
    return quickest_first(stats, reached or [test for test in stats["seconds"] if test.startswith(COMMANDS)])


def killed(run: Callable[[], int], seconds: float) -> bool | None:
    """Return whether tests fail, run in a fork of this process; None if they take much longer than the `seconds` that
    they took without a mutant."""
    child = os.fork()
    if child == 0:
        os.setsid()  # so that what the tests start can be killed with them
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nothing, stream)
        os._exit(run())
    until = time.monotonic() + 60 + 3 * seconds
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status != 0
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def verdict(name: str, stats: Stats, tree: Path) -> str:
    """Return how a mutant ends: killed, timeout or survived."""
    dead = of_whole(name, stats, tree) if name.startswith("src/") else of_function(name, stats)
    return "timeout" if dead is None else "killed" if dead else "survived"


def of_function(name: str, stats: Stats) -> bool | None:
    """Return whether the tests kill a mutant that mutmut made; the process stands in mutmut's tree."""
    import pytest

    tests = tests_for(name, stats)

    def run() -> int:
        os.environ["MUTANT_UNDER_TEST"] = name
        return int(pytest.main([*PYTEST, *tests]))

    return killed(run, seconds_of(stats, tests))


def of_whole(name: str, stats: Stats, tree: Path) -> bool | None:
    """Return whether the tests kill a mutant that is a whole file, in a tree of its own."""
    path, _, number = name.rpartition(":")
    folder = next(tests for source, tests in WHOLE.items() if path.startswith(source))
    tests = quickest_first(stats, [test for test in stats["seconds"] if test.startswith(folder)])
    tests.sort(key=lambda test: Path(path).stem not in test.partition("::")[0])  # first those called after the file
    original = (tree / path).read_text(encoding="utf-8")
    (tree / path).write_text(changes(path)[int(number)](), encoding="utf-8")

    def run() -> int:
        environment = {**os.environ, "PYTHONPATH": str(tree / "src")}
        done = subprocess.run([sys.executable, "-m", "pytest", *PYTEST, *tests], cwd=tree, env=environment, check=False)
        return done.returncode

    try:
        return killed(run, seconds_of(stats, tests))
    finally:
        (tree / path).write_text(original, encoding="utf-8")


def judge(names: Sequence[str], part: int, parts: int) -> None:
    """Judge every `parts`-th of the names, in forks of this process."""
    stats = json.loads(REACH.read_text(encoding="utf-8"))
    mine = names[part::parts]
    for name in mine:
        if name.startswith("src/"):
            changes(name.rpartition(":")[0])  # while the sources stand here
    tree = (FOLDER / f"whole-{part}").absolute()
    shutil.rmtree(tree, ignore_errors=True)
    for place in ("src", "tests", "pyproject.toml", *SETTINGS["also_copy"]):
        copy = shutil.copytree if Path(place).is_dir() else shutil.copy
        tree.mkdir(parents=True, exist_ok=True)
        copy(place, tree / place)
    os.chdir(FOLDER)
    sys.path.insert(0, str(Path("src").absolute()))
    import pytest

    pytest.main([*PYTEST, "--collect-only", "-qqq", "tests"])  # imports what the forks need
    for name in mine:
        begun = time.monotonic()
        ending = {"name": name, "ending": verdict(name, stats, tree), "seconds": round(time.monotonic() - begun, 1)}
        with VERDICTS.relative_to(FOLDER).open("a", encoding="utf-8") as file:
            file.write(json.dumps(ending) + "\n")


def endings() -> dict[str, str]:
    """Return by name how every mutant that was judged has ended."""
    lines = VERDICTS.read_text(encoding="utf-8").splitlines() if VERDICTS.exists() else []
    return {each["name"]: each["ending"] for each in map(json.loads, lines)}


def report(names: Sequence[str], ended: Mapping[str, str]) -> Iterator[str]:
    """Yield lines: a count for each ending, the share killed, and by part of the package."""
    counts = Counter(ended[name] for name in names)
    judged = counts["killed"] + counts["survived"]
    yield ", ".join(f"{count} {ending}" for ending, count in counts.most_common())
    yield f"killed: {counts['killed']} of {judged}" + (f", {100 * counts['killed'] / judged:.1f} %" if judged else "")
    parts = Counter((part_of(name), ended[name]) for name in names)
    for part in sorted({part for part, _ in parts}):
        yield f"  {part}: {parts[part, 'killed']} of {parts[part, 'killed'] + parts[part, 'survived']}"


def part_of(name: str) -> str:
    """Return the part of the package that a mutant is in."""
    return name.split("/")[2] if name.startswith("src/") else name.split(".")[1]


def change(name: str) -> str:
    """Return the lines that a mutant changes."""
    if name.startswith("src/"):
        path, _, number = name.rpartition(":")
        before, after = Path(path).read_text(encoding="utf-8").splitlines(), changes(path)[int(number)]().splitlines()
        lines = difflib.unified_diff(before, after, lineterm="", n=0)
        return "\n".join(line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---"))
    done = subprocess.run([sys.executable, "-m", "mutmut", "show", name], capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", default="", help="draw from the mutants whose names contain this text")
    chosen = parser.parse_args()
    # Commands that tests start import the mutants too, and not what is installed.
    os.environ["PYTHONPATH"] = str((FOLDER / "src").absolute())
    if not REACH.exists():
        prepare(chosen.processes)
    every, ended = mutants(), endings()
    names = drawn([name for name in every if chosen.only in name], chosen.count, chosen.seed)
    left = [name for name in names if name not in ended]
    if left:
        in_parts(lambda part, parts: judge(left, part, parts), chosen.processes)
    ended = endings()
    print(f"\nseed {chosen.seed}: {len(names)} of {len(every)} mutants")
    print("\n".join(report(names, ended)))
    for name in names:
        if ended[name] == "survived":
            print(f"\n{name}\n{change(name)}")


if __name__ == "__main__":
    main()
