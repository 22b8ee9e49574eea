"""The report as a page, of real runs: what it says, that it gives away no hidden answer, and that text stays text."""

import asyncio
import html
import re
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path

import pytest
from scripted_runs import ANSWER, HOSTILE

from soar import session
from soar.archive.rows import CompletionRow
from soar.archive.tallies import WITH_CODE
from soar.archive.writer import ArchiveWriter
from soar.config import load_config
from soar.domains.arc.domain import Arc
from soar.domains.arc.svg import svg
from soar.domains.complete import complete
from soar.report.foreign import visible
from soar.report.html.chart import Line, chart, ticks
from soar.report.html.code import code
from soar.report.html.markup import Html, element, joined, table, text
from soar.report.html.page import page, run_cell
from soar.report.html.searches import FAILURES, costs, failures
from soar.report.html.telling import telling
from soar.report.html.values import drawn, verdict
from soar.report.metrics import report, report_of
from soar.report.overview import FailureKind, Telling, overview
from soar.scoring import solves
from soar.types import Completion, Example, Failure, Origin, Program, Task

ELEMENTS = {
    *("html", "head", "meta", "title", "style", "body", "section", "div", "span", "p", "h1", "h2", "h3", "ul", "li"),
    *("table", "thead", "tbody", "tr", "th", "td", "pre", "code", "figure", "figcaption", "svg", "path", "g", "text"),
}
"""All that the page is made of: nothing that runs, and nothing that fetches."""


class Read(HTMLParser):
    """Reads a page as a browser would, and notes its elements, its attributes, and the text of each kind of element."""

    def __init__(self, source):
        super().__init__()
        self.elements, self.attributes, self.open, self.texts = set(), set(), [], {}
        self.feed(source)
        assert self.open == [], "every element is closed"

    def handle_starttag(self, tag, attrs):
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in ("meta", "br"):
            self.open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        for tag in set(self.open):
            self.texts[tag][-1] += data


@pytest.fixture(scope="module")
def view(finished):
    with session.view_run(finished) as opened:
        yield opened


@pytest.fixture(scope="module")
def seen(view):
    return overview(view)


@pytest.fixture(scope="module")
def written(view):
    return page(view)


def test_what_is_no_markup_is_text_in_elements_and_attributes():
    foreign = "<script>alert(\"1\" & '2')</script>\x1b\u202e\ud800"
    made = element("p", foreign, element("b", foreign), title=foreign, class_=None, stroke_width=2)
    inside = "&lt;script&gt;alert(&quot;1&quot; &amp; &#x27;2&#x27;)&lt;/script&gt;\\x1b\\u202e\\ud800"
    assert made == f'<p title="{inside}" stroke-width="2">{inside}<b>{inside}</b></p>'
    assert joined([Html("<i>"), "<i>", None, 3]) == "<i>&lt;i&gt;3"
    assert element("p", name=Html("<i>")) == '<p name="&lt;i&gt;"></p>', "markup is text in an attribute"
    assert type(text("x")) is Html
    assert table(["<"], [["<", "<"]]).count("&lt;") == 3


def test_a_program_is_shown_whole_in_colours_or_without():
    programs = [
        "def transform(grid):\n    return grid  # <b>\n",
        "def f(\n'<script>",
        "x = '''\n\x0c\x0b'''\ny = 1",
        "ü = 'ö∑' # ö\nreturn\r\nif",
        f"x = {HOSTILE!r}",
        "",
        "\tif x:\n  y",
    ]
    for program in programs:
        shown = code(program)
        assert html.unescape(re.sub(r"<[^>]*>", "", shown)) == visible(program)
    assert '<span class="kw">def</span>' in code(programs[0])
    assert '<span class="co"># &lt;b&gt;</span>' in code(programs[0])


def test_values_of_any_domain_are_text_and_failures_say_what_went_wrong():
    class Words:
        def load(self, source):
            return []

        def parse(self, value):
            return value

    domain = complete(Words())
    assert drawn(domain, ("<b>", 1)) == '<div class="value">[&quot;&lt;b&gt;&quot;,1]</div>'
    assert drawn(domain, None) == '<div class="value soft">?</div>'
    failed = drawn(domain, Failure("ValueError", "<b>", 2, "x"))
    assert failed == '<div class="value bad">ValueError: &lt;b&gt; (line 2: x)</div>'


def test_with_a_telling_program_stand_the_pairs_that_it_is_wrong_on():
    pairs = tuple(Example(((n,),), ((n,),)) for n in range(6))
    right = tuple(((n if n < 4 else 9,),) for n in range(6))
    program = Program(Origin("train", 0, "t", "sample", 0, 0, 0), "code", right, (((7,),),), 4 / 6)
    each = Telling("near", Task("t", pairs, (Example(((7,),), None),)), program, None, 0, 3)
    assert re.findall(r"pair \d", telling([each], complete(Arc()))) == ["pair 1", "pair 5", "pair 6"]


def test_the_page_is_made_of_harmless_elements_alone_and_fetches_nothing(written):
    read = Read(written)
    assert read.elements == ELEMENTS
    assert not {name for name in read.attributes if name.startswith("on") or name in ("src", "href", "srcset")}
    assert "url(" not in written
    assert "http" not in written.replace('http-equiv="', "")
    assert "default-src &#x27;none&#x27;" in written


def test_hostile_ids_code_and_messages_are_read_as_they_are(written):
    read = Read(written)
    assert "\x1b" not in written
    for tag in ("h3", "li", "code", "p"):  # ids, ids on the wall, code and messages, ids of programs
        assert any("[bold red]x\\x1b[2J :smile:" in found for found in read.texts[tag]), tag


def test_every_part_is_there_and_says_what_the_report_says(view, seen, written):
    read = Read(written)
    assert read.texts["h2"] == [
        *("Searches", "Tasks", "Score against programs", "Failures", "Costs", "Telling programs"),
    ]
    reported = report(view)
    assert seen.records == reported["iterations"]
    assert seen.requests == reported["requests"]
    first = seen.records[0]
    assert f"{first['tokens']['prompt']:,}" in read.texts["td"]
    assert {tile.task.id: tile.state for tile in seen.tiles["train"]} == {
        "flip": "solved",
        HOSTILE: "solved",
        "sums": "nothing",
    }
    assert {tile.state for tile in seen.tiles["target"]} == {"fits"}


def test_a_curve_says_how_many_tasks_the_first_programs_solve(view, seen):
    for stage, curves in seen.curves.items():
        tasks = view.tasks[stage]
        for curve in curves:
            judged = [
                task if curve.known else task.without_answers() for task in tasks if task.answered or not curve.known
            ]
            ordered = {task.id: in_time(view, task, curve.stage, curve.iteration) for task in judged}
            sampled = max(len(in_time(view, task, stage, curve.iteration)["sample"]) for task in tasks)
            for (count, solved), (until, _) in zip(curve.points, curve.points[1:], strict=False):
                for programs in range(count, until):
                    assert solved == sum(within(task, ordered[task.id], programs, sampled) for task in judged)
    ends = {(curve.stage, curve.iteration): curve.points[-1][1] for curve in seen.curves["train"] if not curve.known}
    records = {(record["stage"], record["iteration"]): record["solved_train_pairs"] for record in seen.records}
    assert ends == {place: count for place, count in records.items() if place[0] == "train"}


def in_time(view, task, stage, iteration):
    """Return a task's programs by phase, as they were asked for: the islands side by side."""
    programs = view.reader.programs(task.id, stage, iteration)
    order = sorted(programs, key=lambda p: (p.origin.step, p.origin.island, p.origin.index))
    return {phase: [p for p in order if p.origin.phase == phase] for phase in ("sample", "refine")}


def within(task, ordered, programs, sampled):
    """Return whether a task is solved by so many programs, refinements counted from where all sampling has ended."""
    tried = ordered["sample"][:programs] + ordered["refine"][: max(0, programs - sampled)]
    return any(solves(task, program) for program in tried)


def test_failures_are_counted_by_kind(view, seen):
    counts = {each.name: each.count for each in seen.failures}
    programs = [
        program
        for step in view.plan
        for task in view.tasks[step.stage.name]
        for program in view.reader.programs(task.id, *step.key)
    ]
    empty = sum(record["completions"] - record["programs"] for record in seen.records)
    assert sum(counts.values()) == sum(not program.ran for program in programs) + empty
    assert counts["IndexError"] > 0
    assert counts["ValueError"] > 0
    assert counts.keys() - {"IndexError", "ValueError"} == {
        status for record in seen.records for status in record["status"] if status not in WITH_CODE
    }
    assert next(each.example for each in seen.failures if each.name == "ValueError") == HOSTILE


def test_the_label_of_an_output_says_what_is_known_of_it():
    assert verdict(Failure("IndexError", "x"), right=False) == '<span class="bad">failed</span>'
    assert verdict(((1,),), right=None) == "<span>output</span>"
    assert verdict(((1,),), right=True) == '<span class="good">✓ right</span>'
    assert verdict(((1,),), right=False) == '<span class="bad">✗ wrong</span>'


def test_of_many_kinds_of_failure_the_rarest_are_one_line():
    kinds = [FailureKind(f"Error{n}", 100 - n, f"message {n}") for n in range(FAILURES + 2)]
    rows = re.findall(r"<tr>(.*?)</tr>", failures(kinds, 1000))
    assert len(rows) == 1 + FAILURES + 1
    last = re.findall(r"<t[hd].*?>(.*?)</t[hd]>", rows[-1])
    assert last == ["2 other kinds", "159", "15.9%", "", ""]
    assert len(re.findall(r"<tr>", failures(kinds[:FAILURES], 1000))) == 1 + FAILURES
    assert failures([], 0) == "<p>No program failed.</p>"


def test_the_programs_that_tell_most_are_one_per_task_with_what_they_are_worth(view, seen):
    kinds = {each.task.id: each.kind for each in seen.telling}
    assert kinds == {"flip": "right", HOSTILE: "right", "secret-task": "right", "quiz": "deceived"}
    for each in seen.telling:
        tasks = view.tasks[each.program.origin.stage]
        known = next(task for task in tasks if task.id == each.task.id)
        assert solves(known, each.program) == (each.kind == "right")
        assert each.test_right == (None if each.task.id == "secret-task" else (each.kind == "right",))
        assert 0 < each.right_programs < each.programs


def test_an_answer_that_a_stage_hides_is_drawn_nowhere(seen, written):
    told = [
        *(tile.task for tile in seen.tiles["target"]),
        *(each.task for each in seen.telling if each.task.id == "quiz"),
    ]
    assert len(told) == 3
    assert all(task == task.without_answers() for task in told)
    assert svg(tuple(map(tuple, ANSWER))) not in written
    assert Arc().svg(seen.tiles["target"][0].task.test[0].input) in written


def test_a_run_that_goes_on_is_reported_as_far_as_it_came(stopped):
    with session.view_run(stopped) as opened:
        read = Read(page(opened))
        states = {tile.state for tile in overview(opened).tiles["target"]}
    assert "1 of 3 searches finished" in read.texts["p"][0]
    assert "train 1 so far" in read.texts["th"]
    assert states == {"waiting"}


def test_a_search_of_which_rows_arrive_between_two_readings_has_no_share_above_all(scripted, tmp_path, monkeypatch):
    """A run stores rows all the time: none when its tasks were judged, and two when its totals are read."""

    async def begin():
        async with session.open_run(load_config(scripted), tmp_path / "run", print, print) as run:
            await run.writer.begin("train", 0)

    async def go_on():
        rows = [
            CompletionRow(Origin("train", 0, "flip", "sample", 0, 0, n), Completion("No."), "no-code") for n in (0, 1)
        ]
        await writer.add(rows)

    def between(view, searches):
        asyncio.run(go_on())
        return report_of(view, searches)

    asyncio.run(begin())
    with (
        session.view_run(tmp_path / "run") as opened,
        closing(ArchiveWriter(tmp_path / "run/archive.sqlite")) as writer,
    ):
        assert "No program failed." in page(opened)
        monkeypatch.setattr("soar.report.overview.report_of", between)
        read = Read(page(opened))
        (record,) = report(opened)["iterations"]
    assert "100.0%" in read.texts["td"]
    assert record["completions"] == sum(record["status"].values()) == 2


def test_a_run_that_lies_where_one_is_has_its_name_on_the_page(finished, monkeypatch):
    monkeypatch.chdir(finished)
    with session.view_run(Path()) as opened:
        read = Read(page(opened))
        assert "<h3>finished</h3>" in run_cell(opened)
    assert (read.texts["title"][0], read.texts["h1"]) == ("SOAR: finished", ["finished"])


def test_axes_have_a_few_round_numbers_from_nought_on():
    assert ticks(1) == [0, 1]
    assert ticks(5) == [0, 1, 2, 3, 4, 5]
    assert ticks(384) == [0, 100, 200, 300]
    assert ticks(0.5) == [0, 1]
    for top in (1, 2, 7, 19, 99, 101, 6000, 123_456):
        assert 2 <= len(ticks(top)) <= 7
        assert ticks(top)[-1] <= top


def test_a_line_keeps_its_height_until_the_next_point():
    drawing = chart([Line([(0, 0), (5, 2), (10, 2)], "s0", "<a>")], "across", "up")
    assert re.search(r'd="M44.0 222.0H297.0V\d+\.\d+H550.0V\d+\.\d+" class="s0"', drawing)
    assert "<title>&lt;a&gt;</title>" in drawing


def test_money_is_told_to_the_cent(finished):
    with session.view_run(finished) as view:
        record = report(view)["iterations"][0]
    records = [{**record, "cost": cost} for cost in (12.49, 1234.5, 0.01234, 0.0)]
    cells = Read(costs(records, {"issued": 1, "retried": 0, "failed": 0})).texts["td"]
    assert cells[5::6] == ["12.49", "1,234.50", "0.0123", "0", "1,247.00"]
