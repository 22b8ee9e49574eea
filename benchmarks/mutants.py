"""Would the fast tests notice? mutmut makes small changes of the code, one at a time, and runs the tests that reach it.

``make mutants`` draws 400 of all such mutants by a stated seed, so that nobody chooses; ``SEED=1 make mutants`` draws
others. Which files are changed, and which tests are run, stands in pyproject.toml (``[tool.mutmut]``). A mutant is
*killed* when a test fails; *timeouts* and mutants that no test reaches are counted apart, and the share that is killed
is of all that a test reaches and that came to an end. Survivors are printed with what was changed.
Results are kept in the folder ``mutants``; the same command resumes.
"""

import argparse
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

FOLDER = Path("mutants")

ENDINGS = {0: "survived", 1: "killed", 3: "killed", 5: "unreached", 33: "unreached", None: "not run"}
"""How a mutant's tests ended, by mutmut's exit codes; any other is a timeout or a crash."""


def endings() -> dict[str, str]:
    """Return by name how every mutant that was made has ended so far."""
    found: dict[str, str] = {}
    for path in sorted(FOLDER.rglob("*.meta")):
        codes = json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
        found |= {name: ENDINGS.get(code, "timeout") for name, code in codes.items()}
    return found


def drawn(names: Sequence[str], count: int, seed: int) -> list[str]:
    """Return `count` of the names, drawn by the seed."""
    return random.Random(seed).sample(sorted(names), min(count, len(names)))


def report(names: Sequence[str], ended: dict[str, str]) -> Iterator[str]:
    """Yield lines: a count for each ending, the share killed, and by part of the package."""
    counts = Counter(ended[name] for name in names)
    judged = counts["killed"] + counts["survived"]
    yield ", ".join(f"{count} {ending}" for ending, count in counts.most_common())
    yield f"killed: {counts['killed']} of {judged}" + (f", {100 * counts['killed'] / judged:.1f} %" if judged else "")
    parts = Counter((name.split(".")[1], ended[name]) for name in names)
    for part in sorted({part for part, _ in parts}):
        yield f"  {part}: {parts[part, 'killed']} of {parts[part, 'killed'] + parts[part, 'survived']}"


def change(name: str) -> str:
    """Return the lines that a mutant changes."""
    done = subprocess.run([sys.executable, "-m", "mutmut", "show", name], capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    chosen = parser.parse_args()
    run = [sys.executable, "-m", "mutmut", "run", "--max-children", str(chosen.processes)]
    if not endings():
        # A name that fits no mutant: all are made, and none is run.
        subprocess.run([*run, "none"], check=False)
    names = drawn(list(endings()), chosen.count, chosen.seed)
    if not names:
        sys.exit("mutmut made no mutants: its messages stand above")
    if left := [name for name in names if endings()[name] == "not run"]:
        subprocess.run([*run, *left], check=False)
    ended = endings()
    print(f"\nseed {chosen.seed}: {len(names)} of {len(ended)} mutants")
    print("\n".join(report(names, ended)))
    for name in names:
        if ended[name] == "survived":
            print(f"\n{name}\n{change(name)}")


if __name__ == "__main__":
    main()
