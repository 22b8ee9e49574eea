"""Score per combination of runs (Figure 10), from their votes together. Knows votes; draws nothing."""

from collections.abc import Sequence

from soar.report.figures.figure import Figure, Panel, Series
from soar.report.together import Together, Vote, notes

MEASURES = ("score_mean", "solved", "oracle")
COLUMNS = ("runs", "searches", "programs", "measure", "value")
"""Columns of the long form."""


def combined_figure(found: Together, names: Sequence[str]) -> Figure:
    """Return the figure of joint votes: a place on the x axis per combination. `names` are those of the runs."""
    votes = [vote for vote in found.votes if vote.answered]
    legend = ", ".join(f"{number} {name}" for number, name in enumerate(names, 1))
    says = [
        f"Programs of several runs vote together: {legend}. Values are percent of the shared tasks whose answers are"
        " known; they are no means over seeds: every combination is one vote.",
        *(line[0].upper() + line[1:] + "." for line in notes(found)),
    ]
    rows = [[_combination(vote), *(f"{_percent(vote)[name]:.1f}" for name in MEASURES)] for vote in votes]
    values = [row for vote in votes for row in _values(found, vote, names)]
    series = [
        Series(
            name,
            [place + (number - 1) / 5 for place in range(len(votes))],  # side by side at their place
            [_percent(vote)[name] for vote in votes],
            [None] * len(votes),
            number,
        )
        for number, name in enumerate(MEASURES)
    ]
    panel = Panel("joint votes", "runs", "%", series, ticks=[_combination(vote) for vote in votes])
    headings = ("runs", *MEASURES)
    title = "Score per combination of runs"
    return Figure("combinations", title, "Figure 10", says, headings, rows, values, COLUMNS, [[panel]])


def _combination(vote: Vote) -> str:
    return "+".join(str(place + 1) for place in vote.runs)


def _percent(vote: Vote) -> dict[str, float]:
    return {name: 100 * getattr(vote, name) / vote.answered for name in MEASURES}


def _values(found: Together, vote: Vote, names: Sequence[str]) -> list[tuple[object, ...]]:
    """Return the rows of one combination in the long form."""
    places = [found.voices[place].searches[0].key for place in vote.runs]
    runs = " + ".join(names[place] for place in vote.runs)
    which = " + ".join(f"{stage}/{iteration}" for stage, iteration in places)
    return [(runs, which, vote.programs, name, value) for name, value in _percent(vote).items()]
