"""Small things that the tests of searching share."""

from soar.archive.reader import ArchiveReader


def block(body: str) -> str:
    return f"```python\ndef transform(grid):\n    {body}\n```"


NOTHING = block("return grid")
MIRROR = block("return [row[::-1] for row in grid]")
RAISES = block("return grid[9]")


def variants(*replies: str):
    """Answer with one of the replies, chosen by the seed, each with a comment that makes its text its own."""
    return lambda prompt, seed: replies[seed % len(replies)].replace("grid):", f"grid):  # {seed % 1000}")


def grid(*rows: str) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(map(int, row)) for row in rows)


def calls(reader: ArchiveReader) -> list[tuple]:
    """Every completion without times, in order of its place."""
    return sorted(
        reader.query("SELECT task_id, phase, island, step, place, parents, text, status, code_hash FROM completions")
    )
