"""The tables of a report: what each search of a run reached, what it took, and what ended its programs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from soar.report.html.markup import Html, element, joined, table
from soar.report.overview import FailureKind

REACHED = (
    ("tasks", "tasks"),
    ("programs", "programs"),
    ("train pairs", "solved_train_pairs"),
    ("solved", "solved"),
    ("newly solved", "newly_solved"),
    ("oracle", "oracle"),
)
FAILURES = 20
"""How many kinds of failure are listed; the rest are one line."""

WIDEST = 12
"""The length in em of the longest bar."""

NAME, EXAMPLE = 60, 160
"""The most characters shown of a failure's kind and of its example: programs may name their own errors."""


def reached(records: Sequence[Mapping[str, Any]]) -> Html:
    """Return what each search reached, as ``soar report`` prints it."""
    rows = [[_search(record), *(_number(record[key]) for _, key in REACHED)] for record in records]
    return table(("search", *(heading for heading, _ in REACHED)), rows)


def costs(records: Sequence[Mapping[str, Any]], requests: Mapping[str, int]) -> Html:
    """Return tokens, seconds and, if a price is set, money of each search, and in total."""
    taken = [key for key in TAKEN if key != "money" or any(record["cost"] is not None for record in records)]
    rows = [[_search(record), *(_taken(key, TAKEN[key](record)) for key in taken)] for record in records]
    total = ["total", *(_taken(key, _sum(TAKEN[key](record) for record in records)) for key in taken)]
    issued, retried, failed = (requests[name] for name in ("issued", "retried", "failed"))
    asked = f"{issued:,} requests to the model, {retried:,} retried, {failed:,} failed."
    unknown = "" if "money" in taken else " Money is unknown: no price is set in [budget]."
    return joined([table(("search", *taken), [*rows, total]), element("p", asked + unknown, class_="soft")])


TAKEN: Mapping[str, Callable[[Mapping[str, Any]], float | None]] = {
    "completions": lambda record: record["completions"],
    "prompt tokens": lambda record: record["tokens"]["prompt"],
    "completion tokens": lambda record: record["tokens"]["completion"],
    "search s": lambda record: record["seconds"],
    "tuning s": lambda record: record["finetune_seconds"],
    "money": lambda record: record["cost"],
}
"""What a search takes, by its heading."""


def _sum(values: Iterable[float | None]) -> float:
    return sum(value for value in values if value is not None)


def _search(record: Mapping[str, Any]) -> str:
    return f"{record['stage']} {record['iteration']}{'' if record['finished'] else ' so far'}"


def _taken(key: str, value: float | None) -> str:
    """Return a value of `TAKEN`: of money the cents, too, and of less than one three digits."""
    return f"{value:,.2f}" if key == "money" and value is not None and value >= 1 else _number(value)


def _number(value: float | None) -> str:
    if value is None:
        return "?"
    return f"{value:,.0f}" if value >= 10 or value == round(value) else f"{value:,.3g}"


def failures(found: Sequence[FailureKind], completions: int) -> Html:
    """Return what ended programs and completions, by kind and with how often."""
    if not found:
        return element("p", "No program failed.")
    listed, rest = found[:FAILURES], found[FAILURES:]
    rows = [_failure(each, listed[0].count, completions) for each in listed]
    if rest:
        count = sum(each.count for each in rest)
        rows.append([f"{len(rest)} other kinds", f"{count:,}", _share(count, completions), "", ""])
    return table(("kind", "count", "of completions", "", "example"), rows, class_="left")


def _failure(each: FailureKind, most: int, completions: int) -> list[object]:
    bar = element("span", class_="bar", style=f"width:{WIDEST * each.count / most:.2f}em")
    share = _share(each.count, completions)
    return [_cut(each.name, NAME), f"{each.count:,}", share, bar, element("code", _cut(each.example, EXAMPLE))]


def _share(count: int, completions: int) -> str:
    share = count / completions if completions else 0.0
    return "<0.1%" if share < 0.001 else f"{share:.1%}"


def _cut(said: str, most: int) -> str:
    return said if len(said) <= most else f"{said[: most - 1]}…"
