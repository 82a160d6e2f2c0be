"""The pictures of docs/dashboard.md, taken of `tracker demo`: `python -m tests.dashboard.pictures docs/img`."""

import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from shutil import which

from playwright.sync_api import sync_playwright

from tests.dashboard.provider import log_in, serve_with_login
from tests.dashboard.test_browser import BROWSERS, FLAGS
from tracker.demo.build import make_demo
from tracker.store import Store, queries
from tracker.stored_findings import triaged_at
from tracker.triage import Assign, SetState

END = datetime(2026, 11, 28, tzinfo=UTC)
SETTLED = 4_000  # milliseconds until a page's charts stand still


def take(folder: Path) -> None:
    """Write every picture into `folder`."""
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        demo = make_demo(Path(scratch) / "demo", end=END)
        url = f"sqlite:///{demo.store}"
        with Store.open(url) as store:
            store.add_account("ann@example.org", "triager", by="demo", now=END)
            finding = next(
                items[0].alert
                for alert in queries.list_alerts(store)
                if (items := triaged_at(store, "demo-engine", alert.revision.commit))
            )
            for act in (
                SetState("ack", "the level came with this commit"),
                Assign("ann@example.org"),
            ):
                store.triage([finding.id], act, by="ann@example.org", now=END)
            (series,) = [
                s.id
                for s in queries.list_series(store, "demo-engine", search="Chat.track_tpot_p50")
                if (s.machine, s.environment) == ("synthetic-80gb", "python3.12")
            ]
            worst = queries.get_gate(store, [id_ for id_, _, code in demo.gates if code == 1][-1])
        base, head = worst.base.commit, worst.head.commit
        pages = (
            ("overview", "", "light", 1280, 1200),
            ("finding", f"finding?commit={finding.revision.commit}", "light", 1280, 1090),
            ("series", f"series?series={series}", "light", 1280, 1090),
            ("scenario", f"series?series={series}&view=whole+scenario", "light", 1280, 1300),
            ("compare", f"compare?base={base}&head={head}&machine=synthetic-80gb", "light", 1280, 1900),
            ("frontier", "frontier?latency=ttft_p50", "light", 1280, 1000),
            ("utilization", "utilization?machine=synthetic-80gb", "dark", 1280, 2080),
            ("gate", f"gates?gate={worst.id}", "light", 1280, 1020),
            ("trust", "trust", "light", 1280, 1300),
            ("narrow", f"series?series={series}", "light", 400, 1350),
        )  # fmt: skip
        path = next(found for name in BROWSERS if (found := which(name)))
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        with serve_with_login(url, Path(scratch), email="ann@example.org") as dashboard:
            page = browser.new_page()
            log_in(page, dashboard)
            state = page.context.storage_state()
            for name, place, theme, width, height in pages:
                page = browser.new_page(
                    viewport={"width": width, "height": height},
                    color_scheme=theme,
                    storage_state=state if name == "finding" else None,
                )
                page.goto(f"{dashboard.url}/{place}", timeout=120_000)
                page.get_by_test_id("stMain").locator("canvas, svg").first.wait_for(timeout=120_000)
                page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for(
                    timeout=120_000
                )
                page.wait_for_timeout(SETTLED)
                page.screenshot(path=folder / f"dashboard-{name}.png")
                page.close()
        browser.close()


if __name__ == "__main__":
    take(Path(sys.argv[1]))
