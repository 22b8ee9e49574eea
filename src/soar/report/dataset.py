"""A run's programs as a table: a Parquet file, or a folder with a card that Hugging Face's `datasets` loads.

Knows the columns of the published dataset (soar_arc_train_5M), not where programs come from. Writes rows as it reads
them, so a run of millions of programs fits in memory. What these columns lack (lineage, phase) is only in the lines of
`soar.report.export`.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soar import __version__
from soar.errors import ConfigError, StoreError
from soar.files import growing, write_atomically
from soar.report.export import model_of, program_lines
from soar.report.foreign import visible
from soar.report.meant import stage_of
from soar.report.view import RunView, leak_lines
from soar.settings import require

if TYPE_CHECKING:
    import pyarrow

COLUMNS: Mapping[str, str] = {
    "code": "the program",
    "correct_train_input": "for each training pair, whether the program is right on it",
    "predicted_train_output": "for each training pair, the program's output; null where it failed",
    "correct_test_input": "for each test pair, whether the program is right on it; null if the answers are not known",
    "predicted_test_output": "for each test pair, the program's output; null where it failed",
    "task_id": "the task that the program was written for",
    "model": "the configured model, before any finetuning",
    "generation": "the iteration of the search, 0 before any finetuning",
}
VALUES = ("predicted_train_output", "predicted_test_output")
ROWS = 10_000
"""Rows held in memory at once."""


def write_parquet(view: RunView, out: Path, stage: str | None = None) -> str:
    """Write the programs of a stage, the last by default, as one Parquet file; return what was written.

    Values are lists if the domain has its own codec, else JSON text. `ConfigError` without pyarrow, `DataError` if no
    search of the stage has begun.
    """
    pyarrow_or_error()
    import pyarrow
    from pyarrow import parquet

    name, count = stage_of(view, stage), 0
    schema = _schema(view, name)
    lines = _rows(view, program_lines(view, name))
    with growing(out, binary=True) as sink, parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
        while rows := list(islice(lines, ROWS)):
            writer.write_table(pyarrow.Table.from_pylist(rows, schema))
            count += len(rows)
    return f"{count} programs of stage {name!r}"


def write_dataset(view: RunView, out: Path, stage: str | None = None) -> str:
    """Write the programs of a stage as a new folder with a card; return what was written.

    `ConfigError` if the folder exists; otherwise as `write_parquet`. What fails or is stopped leaves nothing.
    """
    pyarrow_or_error()
    name = stage_of(view, stage)
    if out.exists():
        raise ConfigError(f"{out} already exists: name a new folder, or remove this one")
    # Written beside and renamed at the end: a folder of this name is always complete.
    aside = out.with_name(out.name + ".partial")
    try:
        aside.mkdir(parents=True)
    except FileExistsError:
        raise ConfigError(f"{aside} already exists: remove it, or name a new folder") from None
    except OSError as error:
        raise StoreError(f"{out} cannot be written: {error}") from None
    try:
        (aside / "data").mkdir()
        told = write_parquet(view, aside / "data" / "train.parquet", name)
        write_atomically(aside / "README.md", card(view, name, told))
        aside.replace(out)
    except BaseException as error:
        shutil.rmtree(aside, ignore_errors=True)
        if isinstance(error, OSError):
            raise StoreError(f"{out} cannot be written: {error}") from None
        raise
    return told


def card(view: RunView, stage: str, told: str) -> str:
    """Return the dataset card: what the folder holds, from which model, tasks and version, and how to load it."""
    answers = next(step.stage.answers for step in view.plan if step.stage.name == stage)
    source = Path(view.sources[stage]).name
    facts = {
        "programs": told,
        "tasks": f"{len(view.tasks[stage])} of {source}",
        "answers": f"{answers} during the search"
        + ("; correct_test_input is judged by them" if answers == "hidden" else ""),
        "model": model_of(view),
        "made by": f"soar {__version__}",
    }
    if view.leaks:
        facts["note"] = "; ".join(leak_lines(view.leaks))
    return CARD.format(
        facts="\n".join(f"| {name} | {_cell(value)} |" for name, value in facts.items()),
        columns="\n".join(f"| `{name}` | {what} |" for name, what in COLUMNS.items()),
    )


CARD = """---
pretty_name: Programs of a SOAR run
task_categories:
- text-generation
tags:
- program-synthesis
- programming-by-example
configs:
- config_name: default
  data_files:
  - split: train
    path: data/*.parquet
---
# Programs of a SOAR run

Every program that a language model wrote in one stage of a run, right or wrong, with its outputs on its task. Each was
executed in a sandbox; nobody has reviewed them.

| | |
|---|---|
{facts}

The columns are those of soar_arc_train_5M:

| column | |
|---|---|
{columns}

    from datasets import load_dataset
    programs = load_dataset("FOLDER", split="train")

`soar import FOLDER CONFIG RUN_DIR` makes them the first search of a run, to inspect or to learn from.

No licence is given: add one before you publish this, and check the licences of the model and the tasks.
"""


def pyarrow_or_error() -> None:
    """Raise `ConfigError` with the install command if pyarrow is missing."""
    require("a table of programs", "parquet", "pyarrow")


def _cell(text: str) -> str:
    return visible(text).replace("|", "\\|").replace("<", "&lt;")


def _schema(view: RunView, stage: str) -> "pyarrow.Schema":
    import pyarrow

    values = pyarrow.list_(_value_type(view, stage))
    verdicts = pyarrow.list_(pyarrow.bool_())
    types = {"correct_train_input": verdicts, "correct_test_input": verdicts, "generation": pyarrow.int64()}
    return pyarrow.schema([(name, values if name in VALUES else types.get(name, pyarrow.string())) for name in COLUMNS])


def _value_type(view: RunView, stage: str) -> "pyarrow.DataType":
    """Return the type of one value: that of the tasks' own values if a codec keeps them all to one kind."""
    import pyarrow

    if view.domain.codec == "json":
        return pyarrow.string()
    task = view.tasks[stage][0]
    return pyarrow.array([example.input for example in task.train]).type


def _rows(view: RunView, lines: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    as_text = view.domain.codec == "json"
    for line in lines:
        row = {name: line[name] for name in COLUMNS}
        if as_text:
            row |= {name: [None if value is None else json.dumps(value) for value in row[name]] for name in VALUES}
        yield row
