"""The model behind the synthetic project: what an engine's source says to what it measures. Pure.

A launch's value is the metric's base, times what the commit changed, times the machine, times
noise: a speed that all metrics of a launch share and that moves slowly, and noise of each metric.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tracker.domain import BenchmarkInfo, Better, Kind

__all__ = [
    "METRICS", "SWEEP", "Engine", "Machine", "Metric", "Node", "simulate",
    "simulate_startup", "simulate_sweep",
]  # fmt: skip

GIB = float(1 << 30)


@dataclass(frozen=True, slots=True)
class Engine:
    """What a commit's source says; times are relative to the first commit's.

    Attributes:
        prefill: Time to process a prompt.
        decode: Time of a decode step.
        kernels: Kernels launched in a decode step.
        syncs: Times that a decode step waits for the device.
        memory: Peak memory, GiB.
        works: Whether the decode suite runs at all.
    """

    prefill: float = 1.0
    decode: float = 1.0
    kernels: int = 214
    syncs: int = 2
    memory: float = 11.0
    works: bool = True


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it is measured.

    Attributes:
        slowness: Times are multiplied by it.
        noise: Noise is multiplied by it.
        decode: Further factor of a decode step, such as of another number format or driver.
    """

    slowness: float = 1.0
    noise: float = 1.0
    decode: float = 1.0


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: its value on the first commit and what it depends on.

    Attributes:
        benchmark: Suite and class, then `track_NAME`, as asv names them.
        base: In `unit`.
        prefill: Exponent of the engine's `prefill`; likewise `decode`.
        noise: Standard deviation of the log of its own noise.
        exact: Attribute of the engine that it counts instead.
    """

    benchmark: str
    unit: str
    better: Better
    kind: Kind
    base: float
    prefill: float = 0.0
    decode: float = 0.0
    noise: float = 0.0
    exact: str = ""

    @property
    def info(self) -> BenchmarkInfo:
        return BenchmarkInfo(self.benchmark, "1", "track", self.unit, self.better, self.kind)

    @property
    def suite(self) -> str:
        """The scenario that it is a metric of: `serving.Chat`."""
        return self.benchmark.rpartition(".")[0]


_CHAT, _LONG, _STEP = "serving.Chat", "serving.LongPrompt", "decode.Batch32"

METRICS = (
    Metric(f"{_CHAT}.track_ttft_p50", "s", "lower", "timing", 0.180, 0.9, 0.1, 0.007),
    Metric(f"{_CHAT}.track_ttft_p95", "s", "lower", "timing", 0.340, 0.8, 0.2, 0.020),
    Metric(f"{_CHAT}.track_tpot_p50", "s", "lower", "timing", 0.0210, 0.0, 1.0, 0.004),
    Metric(f"{_CHAT}.track_itl_p50", "s", "lower", "timing", 0.0195, 0.0, 1.0, 0.004),
    Metric(f"{_CHAT}.track_itl_p99", "s", "lower", "timing", 0.0340, 0.1, 0.9, 0.020),
    Metric(f"{_CHAT}.track_throughput", "tokens/s", "higher", "rate", 2100, -0.2, -0.8, 0.005),
    Metric(f"{_CHAT}.track_goodput_strict", "req/s", "higher", "rate", 8.2, -0.3, -0.7, 0.010),
    Metric(f"{_CHAT}.track_gpu_utilization", "1", "higher", "utilization", 0.87, 0, 0.05, 0.006),
    Metric(f"{_CHAT}.track_error_rate", "1", "lower", "exact", 0.0),
    Metric(f"{_LONG}.track_ttft_p50", "s", "lower", "timing", 1.42, 1.0, 0.0, 0.005),
    Metric(f"{_LONG}.track_tpot_p50", "s", "lower", "timing", 0.0262, 0.0, 1.0, 0.005),
    Metric(f"{_LONG}.track_throughput", "tokens/s", "higher", "rate", 760, -0.7, -0.3, 0.006),
    Metric(f"{_LONG}.track_peak_memory", "bytes", "lower", "exact", GIB, exact="memory"),
    Metric(f"{_STEP}.track_step_time", "s", "lower", "timing", 0.0187, 0.0, 1.0, 0.003),
    Metric(f"{_STEP}.track_throughput", "tokens/s", "higher", "rate", 1711, 0.0, -1.0, 0.003),
    Metric(f"{_STEP}.track_mbu", "1", "higher", "utilization", 0.62, 0.0, -1.0, 0.005),
    Metric(f"{_STEP}.track_energy_per_token", "J/token", "lower", "energy", 0.41, 0, 0.9, 0.007),
    Metric(f"{_STEP}.track_kernel_launches", "launches", "lower", "exact", 1.0, exact="kernels"),
    Metric(f"{_STEP}.track_host_syncs", "syncs", "lower", "exact", 1.0, exact="syncs"),
)


# Requests at once that the sweep measures; metric, unit, direction, kind of each point.
CONCURRENCIES = (1, 2, 4, 8, 16, 32, 64, 96)
_SWEEP: tuple[tuple[str, str, Better, Kind], ...] = (
    ("ttft_p50", "s", "lower", "timing"),
    ("tpot_p50", "s", "lower", "timing"),
    ("throughput", "tokens/s", "higher", "rate"),
)
SWEEP = tuple(
    BenchmarkInfo(f"serving.Sweep.track_{name}", "1", "track", unit, better, kind, ("concurrency",))
    for name, unit, better, kind in _SWEEP
)


def simulate_sweep(
    engine: Engine, machine: Machine, chance: random.Random
) -> Iterator[tuple[BenchmarkInfo, int, float]]:
    """Yield (benchmark, requests at once, value) of one measurement of the sweep.

    A step costs a constant part and a part for each sequence; beyond what the cache holds, requests
    wait for a place.
    """
    places = 72
    for concurrency in CONCURRENCIES:
        slow = machine.slowness * math.exp(chance.gauss(0, 0.004))
        running = min(concurrency, places)
        tpot = (0.0152 + 0.00036 * running) * engine.decode * machine.decode * slow
        wait = (concurrency - running) / running * 128 * tpot
        ttft = (0.058 + 0.0052 * running) * engine.prefill * slow + wait
        rate = concurrency * 128 / (ttft + 127 * tpot)
        for benchmark, value in zip(SWEEP, (ttft, tpot, rate), strict=True):
            yield benchmark, concurrency, value * math.exp(chance.gauss(0, 0.006))


# Name and seconds of what a start costs, cold and warm.
_STARTS = {
    "construct_time": 6.2,
    "warm_construct_time": 1.15,
    "first_token_time": 0.92,
    "warm_first_token_time": 0.181,
}
_STARTUP = tuple(
    BenchmarkInfo(f"startup.Engine.track_{name}", "1", "track", "s", "lower", "timing")
    for name in _STARTS
)


def simulate_startup(
    machine: Machine, chance: random.Random
) -> Iterator[tuple[BenchmarkInfo, float]]:
    """Yield (benchmark, seconds) of one start of the engine."""
    for benchmark, seconds in zip(_STARTUP, _STARTS.values(), strict=True):
        yield benchmark, seconds * machine.slowness * math.exp(chance.gauss(0, 0.012))


class Node:
    """A machine's own speed, from launch to launch; seeded.

    Its logarithm is a stationary series with correlation 0.6 from one launch to the next and a
    standard deviation of 0.6 %.
    """

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed)
        self._log = self.random.gauss(0, 0.006)

    def next(self) -> float:
        """Return the factor on times of the next launch."""
        self._log = 0.6 * self._log + 0.8 * self.random.gauss(0, 0.006)
        return math.exp(self._log)


def simulate(
    engine: Engine, machine: Machine, node: Node
) -> tuple[Mapping[str, float | None], float]:
    """Return what one launch measures, by benchmark, and the node's speed during it.

    A benchmark that failed has the value None.
    """
    speed = node.next() ** machine.noise
    return dict(_values(engine, machine, speed, node.random)), speed


def _values(
    engine: Engine, machine: Machine, speed: float, noise: random.Random
) -> Iterator[tuple[str, float | None]]:
    for metric in METRICS:
        own = noise.gauss(0, metric.noise * machine.noise)  # drawn whether it is used or not
        if metric.suite == _STEP and not engine.works:
            yield metric.benchmark, None
        elif metric.exact:
            yield metric.benchmark, metric.base * float(getattr(engine, metric.exact))
        elif metric.kind == "exact":
            yield metric.benchmark, metric.base
        else:
            changed = engine.prefill**metric.prefill
            changed *= (engine.decode * machine.decode) ** metric.decode
            # A rate and a share fall as times grow; a share of the peak knows no slower machine.
            sign = -1.0 if metric.better == "higher" else 1.0
            slow = speed if metric.kind == "utilization" else speed * machine.slowness
            yield metric.benchmark, metric.base * changed * slow**sign * math.exp(own)
