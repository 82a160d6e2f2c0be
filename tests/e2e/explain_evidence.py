"""The evidence that `tracker explain` names the right place: planted slowdowns of the real engine.

::

    python -m tests.e2e.explain_evidence [--pairs 7] [--only NAME ...] [--unseen] [--aa 1]

In a clone of this checkout's HEAD every edit of `planted_slowdowns.py` becomes a commit, which
`tracker explain` compares with the one before it. An edit counts where the first row names its place.
`--aa` times the base is compared with itself, where nothing may be called slower or faster. The exit code
is 1 where fewer than nine of the first ten were named, fewer than five of six of the unseen ones, or an A/A
named anything. Text suites run on a tiny model
with a tokenizer, made here, so that no weights are needed.

Everything lies in `--home`. The figures that it gave stand in docs/explain.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.e2e.planted_slowdowns import DECODE, FIRST, PLANTED, UNSEEN, Planted

__all__ = ["Clone", "named_first"]

ROOT = Path(__file__).parents[2]
PAIRS = 7


class Clone:
    """A clone of the checkout with a branch for each planted edit, and a cache with a text model.

    Args:
        home: Where all of it goes; made anew.
    """

    def __init__(self, home: Path) -> None:
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        self.home = home
        self.path = home / "clone"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(self.path)], check=True)
        self.git("config", "user.name", "Evidence")
        self.git("config", "user.email", "evidence@example.invalid")
        self.git("checkout", "-q", "-b", "base")
        from tests.inference.conftest import write_text_model

        model = home / "cache" / "smollm2-135m-instruct"
        model.mkdir(parents=True)
        write_text_model(model, max_position=1024)

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(self.path), *arguments], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def plant(self, planted: Planted) -> str:
        """Return the commit of an edit on top of the base; it must apply exactly once."""
        self.git("checkout", "-q", "--detach", "base")
        file = self.path / planted.file
        text = file.read_text()
        assert text.count(planted.old) == 1, f"{planted.file} no longer holds {planted.old!r} once"
        file.write_text(text.replace(planted.old, planted.new))
        self.git("commit", "-q", "-am", planted.name)
        commit = self.git("rev-parse", "HEAD")
        self.git("checkout", "-q", "base")
        return commit

    def explain(self, head: str, bench: str, pairs: int) -> dict[str, Any]:
        """Return what `tracker explain base HEAD` says of one suite."""
        environment = {
            **os.environ,
            "PACEKEEPER_DB": f"sqlite:///{self.home}/store.db",
            "PACEKEEPER_CACHE": str(self.home / "cache"),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, "-m", "tracker", "explain", "base", head, "--bench", bench]
        done = subprocess.run(
            [*command, "--pairs", str(pairs), "--format", "json"],
            cwd=self.path, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        (suite,) = json.loads(done.stdout)["suites"]
        return dict(suite)


def named_first(planted: Planted, suite: dict[str, Any]) -> bool:
    """Return whether the first row, or what was counted otherwise with it, names the edit's place."""
    return bool(suite["rows"]) and re.search(planted.named, first_row(suite)) is not None


def first_row(suite: dict[str, Any]) -> str:
    """Return the first row as a line of text."""
    if not suite["rows"]:
        return "nothing"
    row = suite["rows"][0]
    counted = ", ".join(suite["counters"]) if not row["function"] else ""
    parts = (row["where"], row["function"], row["what"], row["code"], counted)
    return " ".join(part for part in parts if part)


def main() -> int:
    """Explain every planted edit, print a table, and return the exit code."""
    options = _options()
    clone = Clone(options.home.resolve())
    wanted = [
        p
        for p in (UNSEEN if options.unseen else PLANTED)
        if not options.only or p.name in options.only
    ]
    missed: list[Planted] = []
    print("| planted | named first | time a step, 95 % interval | share |\n|---|---|---|--:|")
    for planted in wanted:
        suite = clone.explain(clone.plant(planted), planted.bench, options.pairs)
        if not (is_right := named_first(planted, suite)):
            missed.append(planted)
        mark = "yes" if is_right else "**no**"
        row = suite["rows"][0] if suite["rows"] else None
        figures = "–" if row is None or row["low"] is None else _figures(row)
        share = "" if row is None or row["share"] is None else f"{row['share']:.0%}"
        print(f"| {planted.name} | {mark}: {first_row(suite)} | {figures} | {share} |", flush=True)
    alarms = 0
    for _ in range(options.aa):
        suite = clone.explain(clone.git("rev-parse", "base"), DECODE, options.pairs)
        alarms += suite["verdict"] != "no difference"
        print(f"| nothing (A/A) | {suite['verdict']}: {suite['headline']} | | |", flush=True)
    right = len(wanted) - len(missed)
    print(f"\n{right} of {len(wanted)} named first; {alarms} of {options.aa} A/A with an alarm")
    groups = ((FIRST, 0.1), (UNSEEN, 1 / 6))
    enough = all(
        sum(p in missed for p in group) <= accepted * sum(p in wanted for p in group)
        for group, accepted in groups
    )
    return 0 if enough and not alarms else 1


def _figures(row: dict[str, Any]) -> str:
    low, high, middle = (f"{row[key] * 1e6:.3g}" for key in ("low", "high", "seconds"))
    return f"{middle} [{low}, {high}] µs"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.e2e.explain_evidence", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--only", nargs="+", default=[], help="names of planted edits")
    parser.add_argument("--unseen", action="store_true", help="only the edits not seen before")
    parser.add_argument("--aa", type=int, default=1, help="comparisons of the base with itself")
    parser.add_argument("--home", type=Path, default=ROOT / ".pacekeeper" / "explain-evidence")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
