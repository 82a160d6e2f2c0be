"""What `asv publish` and `tracker ingest` with `tracker changepoints` take for the same results.

``python -m tests.tracker.versus_publish DIR --commits 1000 --series 200`` makes an asv project in DIR
unless it is there (a git history, a result file a commit, noise of recorded histories and a step of
10 % in every fourth series) and runs both over it in turn, each from nothing. `--data` is the
folder with ``histories/windows.json.gz``.
"""

import argparse
import gzip
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.tracker.asv_results import result_file, row, write_benchmarks, write_machine

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("PACEKEEPER_DATA", ROOT.parent / "shared" / "data"))
START, HOUR = 1_700_000_000, 3600
ENVIRONMENT = "existing-py_usr_bin_python3"


def values(data: Path, num_commits: int, num_series: int) -> np.ndarray:
    """``[commits, series]``, about 1: recorded windows end to end, each over its median."""
    with gzip.open(data / "histories" / "windows.json.gz") as file:
        recorded = [window["y"] for pool in json.load(file).values() for window in pool]
    rng = np.random.default_rng(0)
    made = np.empty((num_commits, num_series))
    for series in range(num_series):
        drawn: list[float] = []
        while len(drawn) < num_commits:
            window = recorded[rng.integers(len(recorded))]
            drawn.extend(np.array(window) / np.median(window))
        made[:, series] = drawn[:num_commits]
        if series % 4 == 0:
            made[rng.integers(num_commits) :, series] *= 1.1
    return made


def make_history(repository: Path, num_commits: int) -> list[str]:
    """Make a git history on the branch `main`; return its commits, oldest first."""
    stream = []
    for number in range(num_commits):
        message, content = f"Commit {number}", f"{number}\n"
        stream.append(
            f"commit refs/heads/main\ncommitter A <a@example.com> {START + number * HOUR} +0000\n"
            f"data {len(message)}\n{message}\n"
            f"M 644 inline number\ndata {len(content)}\n{content}\n"
        )
    subprocess.run(["git", "init", "-q", "-b", "main", repository], check=True)
    git = ["git", "-C", str(repository)]
    subprocess.run([*git, "fast-import", "--quiet"], input="".join(stream), text=True, check=True)
    listed = subprocess.run(
        [*git, "rev-list", "--reverse", "main"], capture_output=True, text=True, check=True
    )
    return listed.stdout.split()


def make_project(place: Path, data: Path, num_commits: int, num_series: int) -> None:
    """Write the project; `asv.conf.json` comes last, so that it stands for the whole."""
    names = [f"bench_{index // 20}.Suite.time_{index % 20}" for index in range(num_series)]
    results = place / "results"
    write_machine(results)
    write_benchmarks(
        results,
        {name: {"params": [], "param_names": [], "timeout": 60, "code": ""} for name in names},
    )
    commits = make_history(place / "repository", num_commits)
    noise = values(data, num_commits, num_series)
    for number, (commit, measured) in enumerate(zip(commits, noise.tolist(), strict=True)):
        moment = (START + number * HOUR) * 1000
        rows = {
            name: row(
                value,
                started=moment,
                stats_ci_99_a=[0.99 * value],
                stats_ci_99_b=[1.01 * value],
                stats_q_25=[0.995 * value],
                stats_q_75=[1.005 * value],
                stats_number=[1],
                stats_repeat=[10],
            )
            for name, value in zip(names, measured, strict=True)
        }
        content = result_file(number, rows, env_name=ENVIRONMENT, commit_hash=commit, date=moment)
        (results / "box" / f"{commit[:8]}-{ENVIRONMENT}.json").write_text(json.dumps(content))
    config = {
        "version": 1, "project": "generated", "project_url": "https://example.com",
        "repo": "repository", "branches": ["main"], "environment_type": "existing",
        "results_dir": "results", "html_dir": "html",
    }  # fmt: skip
    (place / "asv.conf.json").write_text(json.dumps(config))


def timed(place: Path, *command: str) -> tuple[float, float]:
    """Run the command in `place`; return seconds by the clock, and of processor time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=place,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def compare(place: Path) -> float:
    """Run both from nothing, print what each took, and return how many times faster ours is."""
    shutil.rmtree(place / "html", ignore_errors=True)
    for stale in place.glob("store.db*"):
        stale.unlink()
    tracker = (sys.executable, "-m", "tracker", "--db", f"sqlite:///{place / 'store.db'}")
    took, cpus = {}, {}
    for name, *command in (
        ("asv publish", sys.executable, "-m", "asv", "publish"),
        ("tracker ingest", *tracker, "ingest", "results"),
        ("tracker changepoints", *tracker, "changepoints"),
    ):
        took[name], cpus[name] = timed(place, *command)
        print(f"{name:22}{took[name]:8.1f} s{cpus[name]:8.1f} s of processor time", flush=True)
    ratio, of_cpu = (times.pop("asv publish") / sum(times.values()) for times in (took, cpus))
    print(f"{ratio:.1f} times faster, {of_cpu:.1f} times in processor time", flush=True)
    return ratio


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.tracker.versus_publish", description=__doc__
    )
    parser.add_argument("place", type=Path, metavar="DIR")
    parser.add_argument("--commits", type=int, default=1_000)
    parser.add_argument("--series", type=int, default=200)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--data", type=Path, default=DATA)
    asked = parser.parse_args(arguments)
    place = asked.place.resolve()
    if not (place / "asv.conf.json").exists():
        make_project(place, asked.data, asked.commits, asked.series)
    ratios = [compare(place) for _ in range(asked.repeat)]
    print(f"median of {len(ratios)}: {np.median(ratios):.1f} times faster")


if __name__ == "__main__":
    main()
