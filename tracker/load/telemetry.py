"""The GPU's own numbers over the timed part: a thread that looks ten times a second."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from tracker.load.nvml import NvmlReading

__all__ = ["INTERVAL", "Sampler", "TelemetrySample", "energy_used", "sample_lines", "summarise"]

INTERVAL = 0.1  # seconds; NVML refreshes power and clocks no faster
LEAST_ENERGY_WINDOW = 5.0  # seconds; the counter's refresh blurs shorter ones
LARGEST_GAP = 3.0  # seconds between two power samples
LARGEST_DISAGREEMENT = 0.05  # of the counter against the integral of the power samples


@dataclass(frozen=True, slots=True)
class TelemetrySample:
    """A reading, and when: seconds on ``time.perf_counter``'s clock."""

    at: float
    reading: NvmlReading


class Readable(Protocol):
    """What is sampled."""

    def read(self) -> NvmlReading: ...
    def energy(self) -> float | None: ...


class Sampler:
    """Samples a device in a thread between entering and leaving it.

    Args:
        gpu: What to sample; None takes no samples and starts no thread.
        interval: Seconds between samples.
    """

    def __init__(
        self,
        gpu: Readable | None,
        *,
        interval: float = INTERVAL,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.samples: list[TelemetrySample] = []
        self.joules: float | None = None
        self._gpu = gpu
        self._interval = interval
        self._clock = clock
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._energy_before: float | None = None

    def __enter__(self) -> Sampler:
        if self._gpu is not None:
            self._energy_before = self._gpu.energy()
            self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._gpu is None or self._thread is None:
            return
        self._stop.set()
        self._thread.join()
        self._look()  # so that the last sample is at the end of the window
        after = self._gpu.energy()
        if self._energy_before is not None and after is not None:
            self.joules = after - self._energy_before

    def _run(self) -> None:
        while not self._stop.is_set():
            self._look()
            self._stop.wait(self._interval)

    def _look(self) -> None:
        assert self._gpu is not None
        self.samples.append(TelemetrySample(self._clock(), self._gpu.read()))


def energy_used(
    samples: Sequence[TelemetrySample], joules: float | None
) -> tuple[float | None, str | None]:
    """Return the counter's energy, J, and why it is not valid (None if it is).

    Valid: a window of 5 s or more, no gap above 3 s between power samples, and a counter that the
    integral of those samples bears out to 5 %.
    """
    if joules is None:
        return None, "the device has no energy counter"
    powered = [(s.at, s.reading.power) for s in samples if s.reading.power is not None]
    if len(powered) < 2:
        return joules, "no power samples to check the counter with"
    window = powered[-1][0] - powered[0][0]
    if window < LEAST_ENERGY_WINDOW:
        return joules, f"a window of {window:.1f} s is below {LEAST_ENERGY_WINDOW:g} s"
    steps = list(itertools.pairwise(powered))
    gap = max(b[0] - a[0] for a, b in steps)
    if gap > LARGEST_GAP:
        return joules, f"{gap:.1f} s without a power sample"
    integral = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in steps)
    if abs(joules - integral) > LARGEST_DISAGREEMENT * integral:
        return joules, f"the counter says {joules:.0f} J, the power samples {integral:.0f} J"
    return joules, None


def summarise(samples: Sequence[TelemetrySample], joules: float | None) -> dict[str, Any] | None:
    """Return the window's summary as JSON values; None without a sample.

    Means, extremes and a set are over the readings that had the value; none had it: None.
    """
    if not samples:
        return None
    energy, invalid = energy_used(samples, joules)
    readings = [s.reading for s in samples]
    throttles = [r.throttle for r in readings if r.throttle is not None]
    return {
        "source": "nvml",
        "window": samples[-1].at - samples[0].at,
        "samples": len(samples),
        "utilization_mean": _mean([r.utilization for r in readings]),
        "memory_used_max": _most([r.memory_used for r in readings]),
        "power_mean": _mean([r.power for r in readings]),
        "sm_clock_mean": _mean([r.sm_clock for r in readings]),
        "sm_clock_min": _least([r.sm_clock for r in readings]),
        "memory_clock_min": _least([r.memory_clock for r in readings]),
        "temperature_max": _most([r.temperature for r in readings]),
        "throttle_reasons": sorted({n for t in throttles for n in t}) if throttles else None,
        "throttled_share": {
            name: sum(name in t for t in throttles) / len(throttles)
            for name in sorted({n for t in throttles for n in t})
        }
        if throttles
        else None,
        "energy": energy,
        "energy_valid": invalid is None if energy is not None else None,
        "energy_problem": invalid,
    }


def sample_lines(samples: Sequence[TelemetrySample], started: float) -> list[dict[str, Any]]:
    """Return the artifact's line for each sample, its time in seconds after ``started``."""
    return [{"record": "telemetry", "time": s.at - started, **asdict(s.reading)} for s in samples]


def _known(values: Sequence[float | None]) -> list[float]:
    return [v for v in values if v is not None]


def _mean(values: Sequence[float | None]) -> float | None:
    known = _known(values)
    return sum(known) / len(known) if known else None


def _most(values: Sequence[float | None]) -> float | None:
    return max(_known(values), default=None)


def _least(values: Sequence[float | None]) -> float | None:
    return min(_known(values), default=None)
