"""How the pages' time depends on the history, and how twenty users at once fare.

``python -m tests.dashboard.speed DIR`` makes two stores in DIR unless they are there (10,000 and
1,000,000 results), serves both, and opens each page in turn on one and on the other in Chromium: the
ratios are of one run, so that a busy machine moves both sides. ``--users 20`` then lets that many readers
change pages at once on the larger store, in one process, and counts what they see of errors.
"""

import argparse
import asyncio
import os
import random
import statistics
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import which

from playwright.async_api import async_playwright

from tests.dashboard.serving import serve
from tests.dashboard.test_browser import BROWSERS, FLAGS
from tracker.changepoints import analyze
from tracker.domain import BenchmarkInfo, Measurement, ResultFile, RevisionRecord
from tracker.store import Store, queries

START = datetime(2025, 1, 1, tzinfo=UTC)
PROJECT = "speed"
METRICS = (("ttft_p50", "s", "lower", "timing", 0.2), ("tpot_p50", "s", "lower", "timing", 0.02),
           ("gpu_utilization", "1", "higher", "utilization", 0.8),
           ("throughput", "tokens/s", "higher", "rate", 2000.0))  # fmt: skip
ROUNDS = 7


def fill(path: Path, num_commits: int, num_series: int) -> None:
    """Write a store of num_commits x num_series results; every tenth series steps by 10 %, at one commit."""
    suites = num_series // len(METRICS)
    infos, levels, steps = {}, {}, {}
    chance = random.Random(0)
    for suite in range(suites):
        for name, unit, better, kind, level in METRICS:
            full = f"bench_s{suite}.Chat.track_{name}"
            infos[full] = BenchmarkInfo(full, "1", "track", unit, better, kind)
            levels[full] = level
            steps[full] = num_commits * 3 // 4 if len(steps) % 10 == 1 else num_commits
    hashes = [random.Random(place).randbytes(20).hex() for place in range(num_commits)]
    with Store.open(f"sqlite:///{path}") as store:
        store.record_revisions(
            PROJECT,
            [
                RevisionRecord(
                    commit,
                    START + timedelta(hours=place),
                    tuple(hashes[max(place - 1, 0) : place]),
                    f"Commit {place}",
                )
                for place, commit in enumerate(hashes)
            ],
        )
        for place, commit in enumerate(hashes):
            at = START + timedelta(hours=place)
            measured = tuple(
                Measurement(
                    full, "1", 0, (), "ok",
                    level * (1.1 if place >= steps[full] else 1.0) * (1 + chance.gauss(0, 0.01)),
                    started_at=at,
                )
                for full, level in levels.items()
            )  # fmt: skip
            file = ResultFile(
                f"{place}.json", commit, 2, "box", commit, at, "py", "3.12", measurements=measured
            )
            store.record_file(PROJECT, file, benchmarks=infos)
        analyze(store, project=PROJECT)


def places(url: str) -> dict[str, str]:
    """The pages that are opened, as addresses behind the server's."""
    with Store.open(url, read_only=True) as store:
        series = queries.list_series(store, PROJECT, search="tpot_p50")[0].id
        newest = queries.newest_revisions(store, PROJECT, limit=2)
        worse = queries.overview(store, PROJECT).worse
    commit = worse[0][1].revision.commit if worse else newest[0].commit
    return {
        "Today": "?",
        "Series": f"series?series={series}&",
        "Compare": f"compare?base={newest[1].commit}&head={newest[0].commit}&",
        "Finding": f"finding?commit={commit}&",
    }


async def drawn(page, address: str) -> float:
    """Seconds until the page at an address is drawn."""
    started = time.perf_counter()
    await page.goto(address)
    await page.locator("[data-testid=stMain] h1").wait_for()
    await page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    await page.wait_for_function(
        "() => !document.querySelector('[data-testid=stSkeleton], [data-stale=true]')"
    )
    if await page.locator("[data-testid=stException]").count():
        raise AssertionError(f"an error is shown at {address}")
    return time.perf_counter() - started


async def compare(browser, servers: dict[str, str], urls: dict[str, str]) -> None:
    context = await browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(120_000)
    page = await context.new_page()
    taken: dict[tuple[str, str], list[float]] = {}
    for number in range(ROUNDS + 1):
        order = list(servers) if number % 2 else list(servers)[::-1]
        for name in places(urls["small"]):
            for size in order:
                address = f"{servers[size]}/{places(urls[size])[name]}project={PROJECT}"
                seconds = await drawn(page, address)
                if number:  # the first fills the caches of the browser and of the server
                    taken.setdefault((name, size), []).append(seconds)
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, {ROUNDS} rounds, medians")
    print("page      10,000 results  1,000,000 results  ratio")
    for name in places(urls["small"]):
        small, large = (statistics.median(taken[name, size]) for size in ("small", "large"))
        print(f"{name:9} {small:12.2f} s {large:17.2f} s {large / small:6.2f}")


async def users(browser, server: str, url: str, count: int, changes: int) -> None:
    """Let `count` readers, each in a context of their own, open `changes` pages one after the other."""
    addresses = [f"{server}/{place}project={PROJECT}" for place in places(url).values()]
    seconds: list[float] = []
    errors: list[str] = []

    async def reader(number: int) -> None:
        context = await browser.new_context(viewport={"width": 1280, "height": 900})
        context.set_default_timeout(180_000)
        page = await context.new_page()
        for change in range(changes):
            try:
                taken = await drawn(page, addresses[(number + change) % len(addresses)])
            except Exception as error:
                errors.append(f"user {number}: {error}")
            else:
                if change:  # the first page loads the app's files
                    seconds.append(taken)
        await context.close()

    await asyncio.gather(*(reader(number) for number in range(count)))
    print(
        f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, {count} users, {changes} pages each"
    )
    ranked = sorted(seconds)
    if ranked:
        print(
            f"median {statistics.median(ranked):.2f} s, p95 {ranked[int(0.95 * len(ranked))]:.2f} s"
        )
    print(f"errors: {len(errors)}")
    for error in errors[:5]:
        print(f"  {error[:200]}")


async def run(folder: Path, count: int, changes: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    urls = {}
    for size, shape in (("small", (500, 20)), ("large", (1000, 1000))):
        path = folder / f"{size}.db"
        if not path.exists():
            started = time.perf_counter()
            fill(path, *shape)
            print(
                f"{path}: {shape[0] * shape[1]:,} results in {time.perf_counter() - started:.0f} s"
            )
        urls[size] = f"sqlite:///{path}"
    browser_path = next(found for name in BROWSERS if (found := which(name)))
    with serve(urls["small"]) as small, serve(urls["large"]) as large:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=browser_path, args=FLAGS)
            servers = {"small": small.url, "large": large.url}
            await compare(browser, servers, urls)
            if count:
                await users(browser, large.url, urls["large"], count, changes)
            await browser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--users", type=int, default=0)
    parser.add_argument("--changes", type=int, default=5, help="pages that each user opens")
    options = parser.parse_args()
    asyncio.run(run(options.folder, options.users, options.changes))
