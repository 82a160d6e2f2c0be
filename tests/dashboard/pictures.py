"""The pictures of docs/dashboard.md, taken of `tracker demo`: `python -m tests.dashboard.pictures docs/img`."""

import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from shutil import which

from playwright.sync_api import sync_playwright

from tests.dashboard.serving import serve
from tests.dashboard.test_browser import BROWSERS, FLAGS
from tracker.demo.build import make_demo
from tracker.store import Store, queries

END = datetime(2026, 11, 28, tzinfo=UTC)
SETTLED = 4_000  # milliseconds until a page's charts stand still


def take(folder: Path) -> None:
    """Write every picture into `folder`."""
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        demo = make_demo(Path(scratch) / "demo", end=END)
        url = f"sqlite:///{demo.store}"
        with Store.open(url, read_only=True) as store:
            (series,) = [
                s.id
                for s in queries.list_series(store, "demo-engine", search="Chat.track_tpot_p50")
                if (s.machine, s.environment) == ("synthetic-80gb", "python3.12")
            ]
        gate = [gate_id for gate_id, _, code in demo.gates if code == 1][-1]
        pages = (
            ("overview", "", 1280, 1200),
            ("series", f"series?series={series}", 1280, 1000),
            ("scenario", f"series?series={series}&view=whole+scenario", 1280, 1300),
            ("gate", f"gates?gate={gate}", 1280, 1020),
            ("narrow", f"series?series={series}", 400, 1150),
        )
        path = next(found for name in BROWSERS if (found := which(name)))
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        with serve(url) as dashboard:
            for name, place, width, height in pages:
                page = browser.new_page(viewport={"width": width, "height": height})
                page.goto(f"{dashboard.url}/{place}")
                page.get_by_test_id("stMain").locator("canvas, svg").first.wait_for(timeout=60_000)
                page.wait_for_timeout(SETTLED)
                page.screenshot(path=folder / f"dashboard-{name}.png")
                page.close()
        browser.close()


if __name__ == "__main__":
    take(Path(sys.argv[1]))
