"""What two runs must have in common to be equal."""

import sqlite3
from pathlib import Path


def everything(run_dir: Path) -> dict[str, list | str]:
    """Return all that must be equal in two runs: rows without measured times, data, answers, manifests of weights."""
    connection = sqlite3.connect(f"file:{run_dir / 'archive.sqlite'}?mode=ro", uri=True)
    rows = {
        table: sorted(connection.execute(f"SELECT {columns} FROM {table}").fetchall(), key=repr)
        for table, columns in {
            "completions": "stage, iteration, task_id, phase, island, step, place, parents, prompt_detail, text,"
            " finish_reason, prompt_tokens, completion_tokens, status, code_hash",
            "executions": "task_id, code_hash, code, status, accuracy, train, test, ballot, behaviour",
            "outputs": "hash, value",
            "unsent": "*",
            "iterations": "stage, iteration, finished",
            "searched": "stage, iteration, task_id",
        }.items()
    }
    connection.close()
    patterns = ("data/**/*.jsonl", "answers/*.json", "adapters/*/manifest.json")
    files = sorted(file for pattern in patterns for file in run_dir.glob(pattern))
    return {**rows, **{str(file.relative_to(run_dir)): file.read_text() for file in files}}
