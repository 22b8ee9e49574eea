"""The votes of several runs as a table in the terminal. Knows columns; computes nothing."""

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from soar.report.drawing import print_whole
from soar.report.together import Together, Vote, notes

HEADINGS = ("runs", "programs", "score_mean", "%", "solved", "oracle")


def print_together(found: Together, console: Console) -> None:
    """Print a row per combination of runs, the number of each run, and the notes needed to read the table."""
    table = Table(title="joint votes", box=box.SIMPLE, padding=0)
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading == "runs" else "right")
    for vote in found.votes:
        table.add_row(*map(Text, cells(vote)))
    console.print(table)
    for number, (name, voice) in enumerate(zip(found.names, found.voices, strict=True), 1):
        stage, iteration = voice.searches[0].key
        print_whole(console, f"{number}: {name}, stage {stage}, iteration {iteration}")
    for line in notes(found):
        print_whole(console, line)


def cells(vote: Vote) -> list[str]:
    """Return a row as text; "%" is the score in percent of the tasks whose answers are known."""
    runs = "+".join(str(place + 1) for place in vote.runs)
    if not vote.answered:
        return [runs, str(vote.programs), "?", "?", "?", "?"]
    score = [f"{vote.score_mean:.2f}", f"{100 * vote.score_mean / vote.answered:.1f}"]
    return [runs, str(vote.programs), *score, str(vote.solved), str(vote.oracle)]
