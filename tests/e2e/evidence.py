"""The evidence that the gate keeps its promises, end to end: the real engine, asv and store.

::

    python -m tests.e2e.evidence --aa 20 --planted 10 --load 1

In a clone of this checkout's HEAD it runs A/A gates (`tracker calibrate`) and gates of commits
whose every engine step takes 10 % longer, as busy work of the CPU or as sleep, while `--load`
processes each keep a core busy. It prints a tally; the exit code is 1 where an A/A gate called a
regression, a planted slowdown passed, or fewer than nine in ten were called.

Everything lies in `--home`: started again, it goes on where it was. Too long for `make test`; the
figures it gave stand in docs/statistics.md.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tracker.domain import BenchmarkInfo, GateInfo, VerdictInfo
from tracker.gate.policy_file import parse_policy
from tracker.stats.calibration import lower_bound, upper_bound
from tracker.store import Store, queries

ROOT = Path(__file__).parents[2]

# A launch of this suite takes five seconds, most of them to start; a gate eight pairs or more.
POLICY = r"""
[project]
name = "pacekeeper"

[gate]
bench = ['bench_decode\.TinyB8\.']
alpha = 0.01
margin = 0.03
detect = 0.08
max_pairs = 24

[gate.metrics.'itl_p99$']
vote = false
"""

# Appended to the engine: whatever CPU time a step took, it takes that share of it longer. What the
# wait overshoots is taken off the next one.
PLANTED = """

import time as _time

_step = LLM.step
_owed = 0.0


def _slow_step(self):
    global _owed
    began = _time.thread_time()
    events = _step(self)
    _owed += {share} * (_time.thread_time() - began)
    began = _time.{clock}()
    {wait}
    _owed -= _time.{clock}() - began
    return events


LLM.step = _slow_step
"""
# By kind: the clock that the wait is measured by, and the wait.
WAITS = {
    "busy": ("thread_time", "while _time.thread_time() - began < _owed: pass"),
    "sleep": ("perf_counter", "_time.sleep(max(0.0, _owed))"),
}


@dataclass(frozen=True)
class Tally:
    """How the gates of one kind ended."""

    kind: str
    gates: Sequence[GateInfo]

    @property
    def called(self) -> int:
        return sum(gate.exit_code == 1 for gate in self.gates)

    @property
    def undecided(self) -> int:
        return sum(
            gate.exit_code in (0, 3)
            and any(v.status == "inconclusive" and _votes(v) for v in gate.verdicts)
            for gate in self.gates
        )

    @property
    def invalid(self) -> int:
        return sum(gate.exit_code == 4 for gate in self.gates)

    @property
    def passed(self) -> int:
        return len(self.gates) - self.called - self.undecided - self.invalid

    @property
    def good(self) -> bool:
        if self.kind == "A/A":
            return self.called == 0 and self.invalid < len(self.gates)
        return self.passed == 0 and 10 * self.called >= 9 * len(self.gates)

    def row(self) -> str:
        ended = [gate for gate in self.gates if gate.finished_at is not None]
        seconds = [(gate.finished_at - gate.started_at).total_seconds() for gate in ended]
        pairs = [gate.pairs for gate in ended]
        low = lower_bound(self.called, len(self.gates))
        high = upper_bound(self.called, len(self.gates))
        return (
            f"| {self.kind} | {len(self.gates)} | {self.called} | {self.undecided} | {self.passed} | "
            f"{self.invalid} | {low:.1%} to {high:.1%} | {sum(pairs) / len(pairs):.1f} | "
            f"{sum(seconds) / len(seconds):.0f} s |"
        )


def _votes(verdict: VerdictInfo) -> bool:
    policy = parse_policy(tomllib.loads(POLICY))
    one = BenchmarkInfo(verdict.metric, "", "", verdict.unit, verdict.better, verdict.kind)
    return policy.metric(verdict.metric, one).vote


class Clone:
    """A clone of the checkout with a store of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.path = home / "clone"
        self.db = f"sqlite:///{home}/evidence.db"
        if not self.path.exists():
            home.mkdir(parents=True, exist_ok=True)
            subprocess.run(["git", "clone", "-q", str(ROOT), str(self.path)], check=True)
            self.git("config", "user.name", "Evidence")
            self.git("config", "user.email", "evidence@example.invalid")
            self.git("checkout", "-q", "-b", "base")
            (home / "policy.toml").write_text(POLICY)
        self.base = self.git("rev-parse", "base")

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(self.path), *arguments], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def planted(self, kind: str, share: float, number: int) -> str:
        """Return the commit that plants the slowdown, made where it is not there yet."""
        branch = f"{kind}-{share:g}-{number}"
        if not self.git("branch", "--list", branch):
            self.git("checkout", "-q", "-b", branch, "base")
            engine = self.path / "inference" / "engine.py"
            clock, wait = WAITS[kind]
            slowdown = PLANTED.format(share=share, clock=clock, wait=wait)
            engine.write_text(f"{engine.read_text()}{slowdown}\n# {number}\n")
            self.git("commit", "-q", "-am", f"Plant {share:.0%} of {kind} ({number})")
            self.git("checkout", "-q", "base")
        return self.git("rev-parse", branch)

    def tracker(self, *arguments: str, codes: Sequence[int]) -> None:
        environment = {
            **os.environ,
            "PACEKEEPER_DB": self.db,
            "PACEKEEPER_CACHE": str(self.home / "cache"),
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, "-m", "tracker", *arguments]
        policy = ["--policy", str(self.home / "policy.toml")]
        done = subprocess.run([*command, *policy], cwd=self.path, env=environment, check=False)
        if done.returncode not in codes:
            sys.exit(f"{' '.join(command)} ended with exit code {done.returncode}")

    def gates(self, head: str) -> list[GateInfo]:
        """Finished gates of `head` against the base, oldest first."""
        with Store.open(self.db) as store:
            if not queries.list_projects(store):
                return []
            listed = queries.list_gates(store, "pacekeeper", limit=10_000)
        ours = [g for g in listed if (g.base.commit, g.head.commit) == (self.base, head)]
        return [gate for gate in reversed(ours) if gate.exit_code is not None]


# Ends by itself when whoever started it is gone, however that ended.
BURNER = """
import os
parent = os.getppid()
while os.getppid() == parent:
    for _ in range(1_000_000):
        pass
"""


@contextmanager
def load(processes: int) -> Iterator[None]:
    """Keep `processes` cores busy."""
    burners = [subprocess.Popen([sys.executable, "-c", BURNER]) for _ in range(processes)]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


def main() -> int:
    """Run what is missing and print the tally."""
    options = _options()
    clone = Clone(options.home.resolve())
    with load(options.load):
        if options.aa:
            clone.tracker("calibrate", "--gates", str(options.aa), codes=(0, 4))
        heads = {kind: [] for kind in options.kind if options.planted}
        for kind, commits in heads.items():
            for number in range(1, options.planted + 1):
                commits.append(clone.planted(kind, options.share, number))
                if all(gate.exit_code == 4 for gate in clone.gates(commits[-1])):
                    clone.tracker("gate", "base", commits[-1], codes=(0, 1, 3, 4))
    tallies = [Tally("A/A", clone.gates(clone.base))] if options.aa else []
    for kind, commits in heads.items():
        gates = [clone.gates(commit)[-1] for commit in commits]
        tallies.append(Tally(f"+{options.share:.0%} {kind}", gates))
    print(f"\ncommit {clone.base[:8]}, {options.load} other busy processes\n")
    print("| gates | number | called | undecided | passed | invalid | rate (95 %) | pairs | time |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    for tally in tallies:
        print(tally.row())
    return 0 if all(tally.good for tally in tallies) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.evidence", description=__doc__)
    parser.add_argument("--aa", type=int, default=20, help="A/A gates")
    parser.add_argument("--planted", type=int, default=10, help="gates of each planted slowdown")
    parser.add_argument("--kind", nargs="+", choices=list(WAITS), default=list(WAITS))
    parser.add_argument("--share", type=float, default=0.10, help="of a step's time")
    parser.add_argument("--load", type=int, default=1, help="other processes that burn a core")
    parser.add_argument("--home", type=Path, default=ROOT / ".pacekeeper" / "evidence")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
