"""Which programs are known to be right, and what the table says of them."""

import asyncio
from contextlib import closing

from rich.console import Console

from experiments.sequence_reach import known_programs, report
from soar.archive.rows import execution_row
from soar.archive.writer import ArchiveWriter
from soar.domains.sequences.domain import task_of
from soar.run import RunDirectory
from soar.types import Execution

SQUARES, EVEN = task_of("squares", [n * n for n in range(24)]), task_of("even", [2 * n for n in range(24)])


def test_a_right_program_is_known_for_whatever_task_it_was_written(tmp_path):
    def row(task, code, terms):
        return execution_row(task, code, Execution(tuple(terms)))

    rows = [
        row(SQUARES, "twice", [2 * n for n in range(24)]),
        row(SQUARES, "wrong at the end", [*[n * n for n in range(23)], 0]),
        *[row(EVEN, "more" * count, [2 * n for n in range(24)]) for count in range(1, 6)],
    ]
    with closing(ArchiveWriter(RunDirectory(tmp_path).archive)) as writer:
        asyncio.run(writer.add(rows))
    shortest = ["more", "twice", "moremore", "moremoremore"]
    assert known_programs([RunDirectory(tmp_path)], [SQUARES, EVEN]) == {"even": shortest}


def test_the_table_tells_what_was_taught_from_what_was_not():
    console = Console(width=100, record=True, quiet=False)
    with console.capture() as said:
        console.print(report({"a"}, {"a": -1.0, "b": -9.0, "c": -7.0}, {"a": -2.0, "b": -8.0, "c": -6.0}))
    taught, other = [line for line in said.get().splitlines() if "taught" in line]
    assert taught.split()[:4] == ["taught", "1", "-1.00", "-1.00"]
    assert other.split()[:5] == ["not", "taught", "2", "-8.00", "+1.00"]
