"""The most telling programs of a run, each with its task's values and its own outputs."""

from collections.abc import Sequence

from soar.protocols import Domain
from soar.report.html.code import code
from soar.report.html.markup import Html, element, joined
from soar.report.html.values import Group, groups, verdict
from soar.report.overview import Telling
from soar.scoring import verdicts

PAIRS = 3
"""How many training pairs are shown with each program, preferring those it is wrong on."""


def telling(found: Sequence[Telling], domain: Domain) -> Html:
    """Return the programs, one below the other."""
    return joined(_program(each, domain) for each in found) if found else element("p", "No programs yet.")


def _program(each: Telling, domain: Domain) -> Html:
    origin = each.program.origin
    where = f"{each.program.key}{f', refined from {each.program.parents[0]}' if each.program.parents else ''}"
    title = f"{each.task.id}, {origin.stage} {origin.iteration}"
    style = {"right": "good", "deceived": "half", "near": "bad"}[each.kind]
    return element(
        "div",
        element("h3", title),
        element("p", element("span", _why(each), class_=style), element("span", f" {where}", class_="soft")),
        groups(domain, [*_train(each), *_test(each)]),
        code(each.program.code),
        class_="program",
    )


def _why(each: Telling) -> str:
    pairs = len(each.task.train)
    right = sum(verdicts(each.task.train, each.program.train))
    how = "A refinement" if each.program.parents else "A sample"
    if each.kind == "near":
        return f"{how}, right on {right} of {pairs} training pairs, the nearest of {each.programs} programs."
    those = (
        f"{each.right_programs} of {each.programs} programs are" if each.right_programs > 1 else "no other program is"
    )
    if each.kind == "deceived":
        return f"{how}, right on all {pairs} training pairs but wrong on a test output; {those} right on the pairs."
    tests = "" if each.test_right is None else " and on the test pairs"
    return f"{how}, right on all {pairs} training pairs{tests}; {those} right on the pairs."


def _train(each: Telling) -> list[Group]:
    right = verdicts(each.task.train, each.program.train)
    shown = sorted(sorted(range(len(right)), key=lambda n: right[n])[:PAIRS])
    return [
        [
            (f"pair {n + 1}", each.task.train[n].input),
            ("expected", each.task.train[n].output),
            (verdict(each.program.train[n], right=right[n]), each.program.train[n]),
        ]
        for n in shown
    ]


def _test(each: Telling) -> list[Group]:
    right = each.test_right or (None,) * len(each.task.test)
    return [
        [
            (f"test {n + 1}", example.input),
            *([("expected", example.output)] if example.output is not None else []),
            (verdict(output, right=correct), output),
        ]
        for n, (example, output, correct) in enumerate(zip(each.task.test, each.program.test, right, strict=True))
    ]
