"""Interleaved pairs of launches of two commits, each asked for a trace of its suites."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tracker.domain import Arm, Fingerprint
from tracker.explain.trace import Trace, TraceError, read_trace
from tracker.gate.complaint import Complaint
from tracker.gate.order import PairOrder
from tracker.gate.validity import BaseTokens, pair_complaints
from tracker.load.profile import SUFFIX
from tracker.measure.launch import LaunchResult, Runner

__all__ = ["PROFILE", "Captured", "Check", "OnLaunch", "capture_pairs"]

PROFILE = {"PACEKEEPER_PROFILE": "1"}  # what a runner's launches see, so that they write traces
OnLaunch = Callable[[int, int, Arm], None]
Check = Callable[[LaunchResult], LaunchResult]
_MOST_DROPPED = 3


@dataclass(slots=True)
class Captured:
    """The traces of the pairs, and what was missing.

    Attributes:
        traces: By suite, (base, head) of every pair that has both.
        problems: By suite, why it has no trace, in either commit, or not in every pair.
        complaints: Why pairs were dropped.
        source: Where the traces are from, if they were there before; empty: just captured.
        interrupted: Whether Ctrl-C ended it.
    """

    traces: dict[str, list[tuple[Trace, Trace]]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    complaints: list[Complaint] = field(default_factory=list)
    source: str = ""
    interrupted: bool = False

    def arms(self, benchmark: str) -> tuple[Sequence[Trace], Sequence[Trace]]:
        """Return a suite's traces of base and head, by pair."""
        pairs = self.traces[benchmark]
        return [base for base, _ in pairs], [head for _, head in pairs]


def capture_pairs(
    runner: Runner, base: str, head: str, *, pairs: int, seed: int,
    bench: Sequence[str] | None = None, on_launch: OnLaunch | None = None, check: Check | None = None,
) -> Captured:  # fmt: skip
    """Launch both commits in turn, the order of each pair drawn, and read their traces.

    Pairs that may not be compared are dropped, as in the gate; after three of them no more are
    launched. Ctrl-C ends it with the pairs there are.

    Args:
        runner: Its launches see `PROFILE`.
        base: Full hash.
        head: Full hash; may equal `base`.
        pairs: How many.
        seed: Of the order.
        bench: Regular expressions of the benchmarks; None: the runner's own.
        on_launch: Called before each launch with the number of the pair, of all pairs, and the arm.
        check: Adds what else speaks against a launch: `Recorder.checked`.

    Raises:
        MeasurementError: A launch measured nothing.
    """
    captured = Captured()
    order, base_tokens = PairOrder(seed), BaseTokens()
    environment: dict[str, Fingerprint] = {}
    commits: dict[Arm, str] = {"base": base, "head": head}
    valid = dropped = 0
    try:
        while valid < pairs and dropped < _MOST_DROPPED:
            launched: dict[Arm, LaunchResult] = {}
            for arm in next(order):
                if on_launch is not None:
                    on_launch(valid + 1, pairs, arm)
                result = runner.launch(commits[arm], bench=bench)
                launched[arm] = result if check is None else check(result)
            base_tokens.add(launched["base"].launches)
            complaints = pair_complaints(
                launched["base"], launched["head"],
                base_tokens=base_tokens, environment=environment, same_work="counts",
            )  # fmt: skip
            if complaints:
                dropped += 1
                captured.complaints += complaints
                continue
            environment = environment or {
                launch.benchmark: launch.fingerprint for launch in launched["base"].launches
            }
            valid += 1
            traces = {arm: _traces(launched[arm], arm, captured) for arm in launched}
            for benchmark in traces["base"].keys() & traces["head"].keys():
                pair = traces["base"][benchmark], traces["head"][benchmark]
                captured.traces.setdefault(benchmark, []).append(pair)
    except KeyboardInterrupt:
        captured.interrupted = True
    return captured


def _traces(result: LaunchResult, arm: Arm, captured: Captured) -> dict[str, Trace]:
    """Read a launch's traces; what cannot be read, or is not there, becomes its suite's problem."""
    found: dict[str, Trace] = {}
    stated: set[str] = set()
    for path in sorted((result.directory / "artifacts").glob(f"*{SUFFIX}")):
        benchmark = path.name.removesuffix(SUFFIX)
        stated.add(benchmark.partition("(")[0])
        try:
            found[benchmark] = read_trace(path)
        except TraceError as error:
            captured.problems.setdefault(benchmark, f"{arm}: {error}")
    suites = {m.benchmark.rpartition(".")[0] for m in result.file.measurements}
    for benchmark in suites - stated:
        captured.problems.setdefault(
            benchmark,
            f"{arm}: it wrote no trace: it was skipped, or it runs no engine in this process "
            "(docs/explain.md says which suites are traced)",
        )
    return found
