"""Launches in time, in the shapes that machines show: logarithms of a launch's metrics and controls.

In every shape but the recorded one and "SD 0.1 to 10 %" the log ratio of a pair of neighbouring launches
has standard deviation `SPREAD`; modes, drifts, periods, zeros and a loud node come on top. The last columns
are the times of a control workload, which a node's effect reaches, and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracker.gate.order import PairOrder

Floats = NDArray[np.float64]
Shape = Callable[[np.random.Generator, int], Floats]  # launches -> [launches, metrics + controls]

METRICS = 20
CONTROLS = ("gemm", "copy", "python")
SPREAD = 0.01
LAUNCH_SECONDS = 20.0  # against which modes and drifts of some seconds are held
RECORDED = Path(__file__).parent.parent / "testdata" / "calibration" / "launches.csv"


def gaussian(rng: np.random.Generator, launches: int) -> Floats:
    return rng.normal(0, SPREAD / math.sqrt(2), (launches, METRICS + len(CONTROLS)))


def student_t3(rng: np.random.Generator, launches: int) -> Floats:
    shape = (launches, METRICS + len(CONTROLS))
    return rng.standard_t(3, shape) / math.sqrt(3) * SPREAD / math.sqrt(2)


def bimodal(rng: np.random.Generator, launches: int) -> Floats:
    """One launch in ten takes 4 s longer, in every metric."""
    slow = rng.random((launches, 1)) < 0.1
    return gaussian(rng, launches) + slow * math.log1p(4 / LAUNCH_SECONDS) * _metrics_only()


def node(rng: np.random.Generator, launches: int) -> Floats:
    """Half of the variance moves all metrics of a launch together, and the controls."""
    shared = rng.normal(0, SPREAD / math.sqrt(2), (launches, 1))
    return math.sqrt(0.5) * (gaussian(rng, launches) + shared)


def loud_node(rng: np.random.Generator, launches: int) -> Floats:
    """A node whose speed wanders by five times the metrics' own noise."""
    return gaussian(rng, launches) + rng.normal(0, 5 * SPREAD / math.sqrt(2), (launches, 1))


def autocorrelated(rng: np.random.Generator, launches: int) -> Floats:
    """AR(1) 0.5 over the launches in time."""
    noise = rng.normal(0, SPREAD, (launches, METRICS + len(CONTROLS)))
    for k in range(1, launches):
        noise[k] = 0.5 * noise[k - 1] + math.sqrt(0.75) * noise[k]
    return noise


def drifting(rng: np.random.Generator, launches: int) -> Floats:
    """A steady drift of 10 s over twenty launches, which is a session of ten pairs."""
    seconds = LAUNCH_SECONDS + 10.0 / 20 * np.arange(launches)
    return gaussian(rng, launches) + np.log(seconds / LAUNCH_SECONDS)[:, None] * _metrics_only()


def periodic(rng: np.random.Generator, launches: int) -> Floats:
    """A node whose every second to eighth launch is 10 % slower; period and phase are drawn."""
    period = int(rng.integers(2, 9))
    slow = np.arange(launches) % period == rng.integers(period)
    return gaussian(rng, launches) + slow[:, None] * math.log1p(0.1) * _metrics_only()


def zeros(rng: np.random.Generator, launches: int) -> Floats:
    """Each value is 0 with a chance of 5 %; its logarithm is -inf."""
    values = gaussian(rng, launches)
    absent = rng.random((launches, METRICS)) < 0.05
    values[:, :METRICS][absent] = -math.inf
    return values


def heteroscedastic(rng: np.random.Generator, launches: int) -> Floats:
    """Metrics of every loudness: pairs differ by 0.1 % to 10 %, equal steps of the logarithm."""
    values = gaussian(rng, launches)
    values[:, :METRICS] *= np.geomspace(0.1, 10, METRICS)
    return values


def coarse_timers(rng: np.random.Generator, launches: int) -> Floats:
    """Times of 10 to 11 ms by a timer that counts whole ms."""
    times = np.linspace(10, 11, METRICS, endpoint=False)
    values = gaussian(rng, launches)
    values[:, :METRICS] = np.log(np.floor(times * np.exp(values[:, :METRICS])))
    return values


def one_very_loud(rng: np.random.Generator, launches: int) -> Floats:
    """Pairs of one metric differ by 50 %."""
    values = gaussian(rng, launches)
    values[:, METRICS - 1] *= 50
    return values


def _metrics_only() -> Floats:
    return np.array([1.0] * METRICS + [0.0] * len(CONTROLS))


def recorded(rng: np.random.Generator, launches: int) -> Floats:
    """Neighbouring launches of recorded A/A runs, two by two, drawn with replacement."""
    values = recorded_launches()[1]
    starts = rng.integers(0, len(values) - 1, launches // 2)
    return values[np.stack([starts, starts + 1], axis=1).ravel()]


@lru_cache(maxsize=1)
def recorded_launches() -> tuple[tuple[str, ...], Floats]:
    """Return the columns' names and the logarithms of their values, more is worse.

    Shape ``[launches, columns]``.
    """
    names = RECORDED.read_text().partition("\n")[0].split(",")
    assert tuple(names[-len(CONTROLS) :]) == tuple(f"control_{name}" for name in CONTROLS)
    worse = np.array([-1.0 if "put" in name else 1.0 for name in names])  # throughput, goodput
    return tuple(names), worse * np.log(np.loadtxt(RECORDED, delimiter=",", skiprows=1))


SHAPES: dict[str, Shape] = {
    "Gaussian": gaussian,
    "Student t₃": student_t3,
    "bimodal launches": bimodal,
    "node effect": node,
    "loud node": loud_node,
    "AR(1) 0.5": autocorrelated,
    "recorded A/A launches": recorded,
    "drift of 10 s": drifting,
    "periodic node": periodic,
    "5 % zeros": zeros,
    "SD 0.1 to 10 %": heteroscedastic,
}
LOUD: dict[str, Shape] = {
    "SD 0.1 to 10 %": heteroscedastic,
    "one metric of 50 %": one_very_loud,
    "timers of 1 ms": coarse_timers,
}


class Pairs(NamedTuple):
    """Logarithms: base and head ``[pairs, metrics]``, and their controls ``[pairs, controls]``.

    Attributes:
        base_first: Whether base was launched first, ``[pairs]``.
    """

    base: Floats
    head: Floats
    base_controls: Floats
    head_controls: Floats
    base_first: NDArray[np.bool_]


def interleaved(rng: np.random.Generator, shape: Shape, pairs: int) -> Pairs:
    """Return pairs of launches in the gate's own order."""
    launches = shape(rng, 2 * pairs).reshape(pairs, 2, -1)
    order = PairOrder(int(rng.integers(2**32)))
    base_first = np.array([next(order)[0] == "base" for _ in range(pairs)])
    first, second = launches[:, 0], launches[:, 1]
    swap = ~base_first[:, None]
    base, head = np.where(swap, second, first), np.where(swap, first, second)
    split = -len(CONTROLS)
    return Pairs(base[:, :split], head[:, :split], base[:, split:], head[:, split:], base_first)
