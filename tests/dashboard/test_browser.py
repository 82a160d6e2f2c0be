"""The dashboard in a real browser, on stores filled by `tracker.ingest`."""

import json
import os
import re
import shutil
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.dashboard import suite
from tests.dashboard.provider import log_in, serve_with_login
from tests.dashboard.serving import serve
from tracker.demo.build import make_demo
from tracker.store import Store, queries

pytestmark = pytest.mark.browser

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
         "--disable-component-update"]  # fmt: skip
WIDE, NARROW = (1440, 900), (400, 800)
TIMEOUT = 60_000  # milliseconds a page may take on a busy machine


@pytest.fixture(scope="module")
def browser():
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is on the PATH")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def served(filled):
    with serve(filled.url) as dashboard:
        yield dashboard


@pytest.fixture(scope="module")
def context_for(browser):
    """A browser context for a theme and size, kept so that the app's files are loaded once."""
    with ExitStack() as stack:

        @cache
        def chosen(theme, width, height):
            context = browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=theme
            )
            stack.callback(context.close)
            context.set_default_timeout(TIMEOUT)
            return context

        yield chosen


@pytest.fixture
def visit(context_for, served):
    """Open a page of the filled store and wait until it is drawn."""
    with ExitStack() as stack:

        def opened(path="", *, theme="light", size=WIDE, server=served.url, **params):
            page = context_for(theme, *size).new_page()
            stack.callback(page.close)
            page.goto(f"{server}/{path}?{urlencode(params)}")
            drawn(page)
            return page

        yield opened


def drawn(page):
    """Wait until the script has run and every chart and picture is there."""
    page.locator("[data-testid=stMain] h1").wait_for()
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    page.wait_for_function(
        "() => !document.querySelector('[data-testid=stSkeleton], [data-stale=true]')"
    )


def healthy(page):
    assert page.locator("[data-testid=stException]").count() == 0
    widths = page.evaluate("() => [document.documentElement.scrollWidth, window.innerWidth]")
    assert widths[0] <= widths[1], f"the body is wider than the window: {widths}"


def the_worst(filled, project):
    with Store.open(filled.url, read_only=True) as store:
        return queries.overview(store, project).worse[0][0]


def query(page):
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def test_the_overview_leads_to_the_finding_and_its_series_and_a_reload_keeps_it(filled, visit):
    for project in filled.projects:
        worst = the_worst(filled, project)
        page = visit(project=project)
        page.locator("[class*='st-key-moved-'] [data-testid=stPageLink] a").first.click()
        page.wait_for_url("**/finding?*")
        drawn(page)
        page.get_by_role("heading", name="Suspects").wait_for()
        healthy(page)
        links = page.locator("[data-testid=stMain] [data-testid=stPageLink] a")
        link = links.filter(has_not_text="Account").first  # the worst series stands first
        assert link.inner_text().strip() == worst.metric
        link.click()
        page.wait_for_url("**/series?*")
        drawn(page)
        page.get_by_role("heading", name=worst.metric).wait_for()
        assert query(page) == {"project": project, "series": str(worst.id)}
        page.locator(
            "[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg"
        ).wait_for()
        page.reload()
        drawn(page)
        page.get_by_role("heading", name=worst.metric).wait_for()
        healthy(page)


def test_a_sparkline_is_a_picture_that_loads(visit):
    page = visit(project="sim")
    picture = page.locator("img[alt^='history of']").first
    picture.wait_for()
    assert picture.evaluate("img => img.complete && img.naturalWidth > 0")
    assert picture.bounding_box()["width"] > 100


def test_what_is_chosen_goes_into_the_url_and_a_copied_link_shows_it(visit):
    page = visit("series", project="sim")
    search = page.get_by_role("textbox", name="Search")
    search.fill("summarise")
    search.press("Enter")
    page.get_by_text(f"Series ({len(suite.METRICS)})", exact=True).wait_for()
    page.get_by_role("radio", name="whole scenario").click()
    page.get_by_role("heading", name="bench_serving.Summarise", exact=True).wait_for()
    page.wait_for_url("**view=whole+scenario*")
    chosen = query(page)
    assert chosen["search"] == "summarise"
    copy = visit("series", **chosen)
    copy.get_by_role("heading", name="bench_serving.Summarise", exact=True).wait_for()
    assert copy.get_by_role("textbox", name="Search").input_value() == "summarise"
    assert query(copy) == chosen


def test_the_project_follows_the_reader_from_page_to_page(visit):
    page = visit("compare", project="sim")
    page.get_by_role("link", name="Gates").click()
    page.wait_for_url("**/gates?*project=sim*")
    drawn(page)
    healthy(page)


def test_two_commits_are_compared(visit):
    page = visit("compare", project="sim", base=suite.commit(39)[:10], head=suite.commit(40))
    page.get_by_role("heading", name="Largest changes").wait_for()
    assert page.get_by_text("Worse, beyond noise").is_visible()
    assert query(page)["base"] == suite.commit(39)
    page.locator("[data-testid=stDataFrame]").wait_for()
    healthy(page)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_every_page_draws(filled, visit, theme, size):
    views = [("", {}), ("series", {}), ("series", {"view": "whole scenario"}), ("compare", {}),
             ("finding", {}), ("trust", {}), ("runs", {}), ("gates", {"gate": filled.gate_id})]  # fmt: skip
    project = filled.projects[-1]
    for path, params in views:
        page = visit(
            path, theme=theme, size=size, project="sim" if "gate" in params else project, **params
        )
        healthy(page)
        colour = page.evaluate(
            "() => getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"
        )
        assert colour == {"light": "rgb(255, 255, 255)", "dark": "rgb(16, 21, 29)"}[theme]


AXE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pacekeeper"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]


@pytest.fixture(scope="session")
def axe():
    """The file of axe-core, as `.ci/axe-core` fetches it."""
    found = sorted(AXE.glob("axe-core-*/axe.min.js"))
    if not found:
        pytest.skip("no axe-core: run .ci/axe-core, which fetches it with npm")
    return found[-1]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_passes_axe_at_wcag_aa(filled, visit, axe, theme):
    views = [("", {}), ("series", {}), ("series", {"at": suite.commit(12)[:10]}),
             ("series", {"view": "whole scenario"}), ("compare", {}),
             ("compare", {"base": suite.commit(39)[:10], "head": suite.commit(40)}), ("finding", {}),
             ("frontier", {}), ("utilization", {}), ("trust", {}), ("week", {}), ("runs", {}),
             ("gates", {"gate": filled.gate_id}), ("account", {})]  # fmt: skip
    faults = []
    for path, params in views:
        page = visit(path, theme=theme, project="sim", **params)
        page.wait_for_timeout(300)  # what fades in has its final colours
        page.add_script_tag(path=axe)
        result = page.evaluate("tags => axe.run(document, {runOnly: tags})", RULES)
        assert len(result["passes"]) > 10, "axe looked at nothing"
        faults += [
            (path, fault["id"], node["html"][:200])
            for fault in result["violations"]
            for node in fault["nodes"]
        ]
        page.close()
    assert not faults


def test_the_keyboard_reaches_every_control(visit):
    page = visit("series", project="sim")
    reachable = """() => [...document.querySelectorAll('a[href], button, input, [tabindex="0"]')]
        .filter(e => e.checkVisibility() && !e.disabled && e.tabIndex >= 0)
        .filter(e => !e.closest('[data-testid=stVegaLiteChart], canvas'))"""
    page.evaluate(f"() => {{ window.wanted = ({reachable})(); window.reached = new Set(); }}")
    count = page.evaluate("() => window.wanted.length")
    assert count > 20
    page.locator("body").press("Tab")
    for _ in range(2 * count + 20):
        page.evaluate("() => window.reached.add(document.activeElement)")
        page.keyboard.press("Tab")
    missed = page.evaluate(
        # Of a row of exclusive choices the keyboard reaches one; arrows move between them.
        "() => window.wanted.filter(e => !window.reached.has(e) && e.isConnected && e.role !== 'radio')"
        ".map(e => e.outerHTML.slice(0, 300))"
    )
    assert missed == []
    assert page.get_by_role("textbox", name="Search").evaluate("e => window.reached.has(e)")


def files_of(page, chart):
    """Every file that a chart offers, by the ending of its name."""
    page.get_by_role("button", name="Files").nth(chart).click()
    files = {}
    for kind in ("PNG", "SVG", "CSV", "JSON"):
        with page.expect_download() as download:
            page.get_by_role("button", name=kind, exact=True).click()
        name = download.value.suggested_filename
        files[name.rpartition(".")[2]] = Path(download.value.path()).read_bytes()
    page.keyboard.press("Escape")
    return files


def test_every_chart_is_a_picture_a_table_and_a_specification(filled, visit):
    page = visit("series", project="sim", series=the_worst(filled, "sim").id)
    files = files_of(page, 0)
    assert files["png"].startswith(b"\x89PNG") and len(files["png"]) > 10_000
    assert files["svg"].startswith(b"<svg") and b"lower is better" in files["svg"]
    header, *rows = files["csv"].decode().splitlines()
    assert header.startswith("commit,committed,value (ms)") and len(rows) == suite.NUM_COMMITS
    assert json.loads(files["json"])["$schema"].startswith(
        "https://vega.github.io/schema/vega-lite"
    )
    for path, params in (("", {}), ("gates", {"gate": filled.gate_id})):
        assert files_of(visit(path, project="sim", **params), 0)["png"].startswith(b"\x89PNG")


def test_a_click_on_a_point_shows_its_runs(filled, visit):
    page = visit("series", project="sim", series=the_worst(filled, "sim").id)
    commit = suite.commit(suite.REPEATED[1])[:10]
    marks = page.locator("[data-testid=stVegaLiteChart] svg")
    marks.locator(f"path[aria-label*='commit: {commit}'][aria-label*='attempts']").last.click()
    page.wait_for_url(f"**at={commit}*")
    page.get_by_role("button", name="Close").wait_for()
    drawn(page)
    assert page.get_by_text(commit, exact=True).first.is_visible()
    assert page.get_by_text("torch 2.12.0").first.is_visible()
    healthy(page)


def test_the_report_of_a_gate_is_downloaded_as_one_page(filled, visit):
    page = visit("gates", project="sim", gate=filled.gate_id)
    with page.expect_download() as download:
        page.get_by_role("button", name="Report (HTML)").click()
    text = Path(download.value.path()).read_text()
    assert text.startswith("<!doctype html>") and suite.commit(40)[:8] in text
    assert "default-src &#x27;none&#x27;" in text


def test_an_empty_store_names_the_command_that_fills_it(visit, empty_url):
    with serve(empty_url) as dashboard:
        page = visit(server=dashboard.url, size=NARROW)
        page.get_by_text("tracker ingest").first.wait_for()
        healthy(page)


def test_a_store_that_breaks_while_it_is_shown_is_a_message(visit, filled, tmp_path):
    path = tmp_path / "store.db"
    shutil.copy(filled.url.removeprefix("sqlite:///"), path)
    with serve(f"sqlite:///{path}") as dashboard:
        page = visit(server=dashboard.url)
        page.get_by_role("heading", name="Today").wait_for()
        path.unlink()
        path.write_bytes(b"not a database any more" * 200)
        page.reload()
        drawn(page)
        page.get_by_text("not a SQLite database").wait_for()
        healthy(page)


def test_the_planted_regression_is_found_triaged_and_shared(browser, tmp_path):
    demo = make_demo(tmp_path / "demo", end=datetime(2026, 11, 28, tzinfo=UTC))
    url = f"sqlite:///{demo.store}"
    with Store.open(url) as store:
        store.add_account("ann@example.org", "triager", by="test", now=datetime.now(UTC))
        gates = [(subject, queries.get_gate(store, gate)) for gate, subject, _ in demo.gates]
    planted, commit = next(
        (s, g.head.commit) for s, g in gates if s == "Log the size of every batch"
    )
    with serve_with_login(url, tmp_path, email="Ann@example.org") as dashboard:
        context = browser.new_context()
        context.set_default_timeout(TIMEOUT)
        page = context.new_page()
        log_in(page, dashboard)
        drawn(page)
        # Its level shift is a finding by its subject; until the history shows it, its alert by its hash.
        named = page.get_by_role("link", name=re.compile(f"{planted}|^{commit[:12]}"))
        if not named.count():
            page.get_by_role("button", name=re.compile("^Show .* more")).first.click()
            drawn(page)
        named.first.click()  # the second click at most
        page.wait_for_url("**/finding?*")
        drawn(page)
        page.get_by_role("heading", name=planted).wait_for()
        text = page.get_by_test_id("stMain").inner_text()
        assert re.search(r"Cause\s+code|is worse on", text)
        assert "regression" in text  # the paired run says so
        page.get_by_role("button", name="Acknowledge").first.click()  # the third
        page.get_by_text("· acked").first.wait_for()
        drawn(page)
        healthy(page)
        shared = page.url
        context.close()
        fresh = browser.new_context()
        fresh.set_default_timeout(TIMEOUT)
        other = fresh.new_page()
        other.goto(shared)
        drawn(other)
        other.get_by_role("heading", name=planted).wait_for()
        other.get_by_text("ann@example.org").first.wait_for()
        assert other.get_by_role("button", name="Acknowledge").count() == 0
        healthy(other)
        fresh.close()
    with Store.open(url, read_only=True) as store:
        acked = [alert for alert in queries.list_alerts(store) if alert.state == "acked"]
    assert [(alert.revision.subject, alert.history[-1].by) for alert in acked] == [
        (planted, "ann@example.org")
    ]
