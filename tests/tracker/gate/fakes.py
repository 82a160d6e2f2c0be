"""A measurement without asv: numbers in, launches out, and a listener that remembers."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tracker.domain import BenchmarkInfo, Fingerprint, Launch, Measurement, ResultFile
from tracker.errors import MeasurementError
from tracker.gate.listener import Standing
from tracker.measure.launch import FailedBenchmark, LaunchResult

BASE, HEAD = "b" * 40, "h" * 40

BENCHMARKS = {
    info.name: info
    for info in (
        BenchmarkInfo("suite.A.track_ttft", "1", "track", "s", "lower", "timing"),
        BenchmarkInfo("suite.A.track_rate", "1", "track", "tokens/s", "higher", "rate"),
        BenchmarkInfo("suite.A.track_steps", "1", "track", "steps", "lower", "exact"),
        BenchmarkInfo("suite.B.track_e2e", "1", "track", "s", "lower", "timing"),
        BenchmarkInfo("suite.B.track_mood", "1", "track", "points", None, "other"),
    )
}
VALUES = {
    "suite.A.track_ttft": 0.1,
    "suite.A.track_rate": 500.0,
    "suite.A.track_steps": 40.0,
    "suite.B.track_e2e": 2.0,
    "suite.B.track_mood": 3.0,
}
FINGERPRINT = Fingerprint(driver="570")
WORK = {"requests": 4, "output_tokens": 64, "tokens_sha256": "aa"}


def launch(
    commit: str = BASE,
    values: Mapping[str, float | None] = VALUES,
    *,
    work: Mapping[str, object] = WORK,
    fingerprint: Fingerprint = FINGERPRINT,
    error_rate: float = 0.0,
    telemetry: Mapping[str, object] | None = None,
) -> LaunchResult:
    """A launch of the suites A and B; a value of None is a failed benchmark."""
    measurements = tuple(
        Measurement(name, "1", 0, (), "ok" if value is not None else "failed", value)
        for name, value in values.items()
    )
    header: dict[str, object] = {
        "fingerprint": {"driver": fingerprint.driver},
        "work": dict(work),
        "metrics": {"error_rate": error_rate},
        "telemetry": telemetry,
    }
    return LaunchResult(
        commit=commit,
        directory=Path("/nowhere"),
        file=ResultFile(
            path="x", digest="d", format_version=2, machine="m", commit=commit,
            committed_at=datetime(2026, 1, 1, tzinfo=UTC), env_name="existing", python=None,
            measurements=measurements,
        ),
        benchmarks=BENCHMARKS,
        machine=None,
        launches=(Launch("p", "d", "id", "suite.A", fingerprint, header),),
        failures=tuple(FailedBenchmark(n, "it broke") for n, v in values.items() if v is None),
        seconds=1.0,
    )  # fmt: skip


@dataclass
class Lab:
    """Measures by multiplying base values: `effect` by metric for the head, `noise` for both.

    `script` overrides single launches: by their number from 0, a function of the result or an
    exception to raise.
    """

    effect: Mapping[str, float] = field(default_factory=dict)
    noise: float = 0.002
    seed: int = 0
    script: Mapping[int, object] = field(default_factory=dict)
    broken: Mapping[str, Sequence[str]] = field(default_factory=dict)
    work: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    calls: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def __call__(self, commit: str, arm: str, bench: Sequence[str]) -> LaunchResult:
        number = len(self.calls)
        self.calls.append((arm, tuple(bench)))
        step = self.script.get(number)
        if isinstance(step, BaseException):
            raise step
        values: dict[str, float | None] = {}
        for name, value in VALUES.items():
            if bench and not any(re.search(pattern, name) for pattern in bench):
                continue
            noisy = BENCHMARKS[name].kind != "exact"
            factor = 1 + self.effect.get(name, 0.0) if arm == "head" else 1.0
            jitter = 1 + self._random.gauss(0, self.noise) if noisy else 1.0
            values[name] = None if name in self.broken.get(arm, ()) else value * factor * jitter
        result = launch(commit, values, work=self.work.get(arm, WORK))
        return step(result) if isinstance(step, Callable) else result  # type: ignore[arg-type,operator]


@dataclass
class Notes:
    """A listener that remembers."""

    launched_as: list[tuple[str, int | None]] = field(default_factory=list)
    dropped: list[list[str]] = field(default_factory=list)
    standings: list[Standing] = field(default_factory=list)
    resumed_after: int | None = None

    def launching(self, pair, arm, bench) -> None: ...

    def launched(self, result, pair, arm) -> None:
        self.launched_as.append((arm, pair))

    def resumed(self, pairs) -> None:
        self.resumed_after = pairs

    def pair_done(self, standing) -> None:
        self.standings.append(standing)

    def pair_dropped(self, complaints) -> None:
        self.dropped.append([complaint.text for complaint in complaints])


__all__ = [
    "BASE",
    "BENCHMARKS",
    "HEAD",
    "VALUES",
    "WORK",
    "Lab",
    "MeasurementError",
    "Notes",
    "launch",
]
