"""The page in a real browser, Debian's Chromium driven by Playwright, where both are there."""

import json
import shutil
from pathlib import Path

import pytest
from scripted_runs import search

from soar import session
from soar.report.html.page import write_page

pytestmark = pytest.mark.slow  # a browser starts

CHROMIUM = shutil.which("chromium")
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@pytest.fixture
def browser():
    driver = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with driver.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield opened
        opened.close()


@pytest.fixture(params=["hostile", "lists", "shipped"])
def run(request, tmp_path):
    """A finished run: with hostile text in ids, code and messages; of another domain; of the shipped model."""
    if request.param == "hostile":
        return request.getfixturevalue("finished")
    reply = "```python\ndef transform(xs):\n    return xs[::-1]\n```"
    parrot = ["lm.backend=soar.examples.my_backend:Parrot", f"lm.text={json.dumps(reply)}"]
    lists = ["tasks.domain=soar.examples.list_functions:ListFunctions", "tasks.source=list-functions", "tasks.count=4"]
    small = ["stages.0.iterations=1", "stages.1.iterations=1", "stages.0.count=4", "stages.1.count=4"]
    few = ["search.samples=8", "search.refinements=4"]
    if request.param == "lists":
        search(Path("endpoint"), tmp_path / "run", *parrot, *lists, *few)
    else:
        search(Path("demo"), tmp_path / "run", *small, *few)
    return tmp_path / "run"


@pytest.mark.filterwarnings("default")  # those of the driver are not ours
def test_the_page_is_shown_whole_and_no_request_leaves_its_file(run, browser, tmp_path):
    with session.view_run(run) as view:
        write_page(view, tmp_path / "page.html")
        tasks = sum(map(len, view.tasks.values()))
    url, grounds = (tmp_path / "page.html").as_uri(), {}
    for scheme in ("light", "dark"):
        tab = browser.new_page(color_scheme=scheme, java_script_enabled=True)
        asked, said = [], []
        tab.on("request", lambda request, asked=asked: asked.append(request.url))
        tab.on("console", lambda message, said=said: said.append(message.text))
        tab.goto(url)
        assert (asked, said) == ([url], [])
        assert tab.locator("h2").all_text_contents()[-1] == "Telling programs"
        assert tab.locator(".wall li").count() == tasks
        assert all(box["width"] > 20 for box in (svg.bounding_box() for svg in tab.locator(".values svg").all()))
        assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        grounds[scheme] = tab.evaluate("getComputedStyle(document.body).backgroundColor")
        tab.close()
    assert grounds["light"] != grounds["dark"]
    page = browser.new_page(java_script_enabled=False, viewport={"width": 400, "height": 800})
    page.goto(url)
    assert page.locator(".chart").first.bounding_box()["width"] < 400
    assert len(page.pdf()) > 10_000
