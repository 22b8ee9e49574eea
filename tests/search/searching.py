"""Small things that the tests of searching share."""

from soar.archive.reader import ArchiveReader


def block(body: str) -> str:
    return f"```python\ndef transform(grid):\n    {body}\n```"


def grid(*rows: str) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(map(int, row)) for row in rows)


def calls(reader: ArchiveReader) -> list[tuple]:
    """Every completion without times, in order of its place."""
    return sorted(
        reader.query("SELECT task_id, phase, island, step, place, parents, text, status, code_hash FROM completions")
    )
