"""What two runs must have in common to be equal."""

from contextlib import closing
from pathlib import Path

from soar.archive.reader import ArchiveReader


def everything(run_dir: Path) -> dict[str, list | str]:
    """Return all that must be equal in two runs: rows without measured times, data, answers, manifests of weights."""
    with closing(ArchiveReader(run_dir / "archive.sqlite")) as reader:
        rows = {
            table: sorted(reader.query(f"SELECT {columns} FROM {table}"), key=repr)
            for table, columns in {
                "completions": "stage, iteration, task_id, phase, island, step, place, parents, prompt_detail, text,"
                " finish_reason, prompt_tokens, completion_tokens, status, code_hash",
                "executions": "task_id, code_hash, code, status, accuracy, train, test, ballot, behaviour",
                "outputs": "hash, value",
                "codes": "hash, code",
                "unsent": "*",
                "iterations": "stage, iteration, finished",
                "searched": "stage, iteration, task_id",
            }.items()
        }
    patterns = ("data/**/*.jsonl", "answers/*.json", "adapters/*/manifest.json")
    files = sorted(file for pattern in patterns for file in run_dir.glob(pattern))
    return {**rows, **{str(file.relative_to(run_dir)): file.read_text() for file in files}}
