"""The GPUs' own numbers over the timed part: a thread that reads every visible GPU ten times a second."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Protocol

from tracker.load.gpm import LEAST_WINDOW
from tracker.load.metrics import TRIM, Values
from tracker.load.nvml import NvmlReading

__all__ = [
    "INTERVAL",
    "GpuSamples",
    "Sampler",
    "TelemetrySample",
    "dcgm_processes",
    "device_metrics",
    "energy_used",
    "own_processes",
    "sample_lines",
    "summarise",
]

INTERVAL = 0.1  # seconds; NVML refreshes power and clocks no faster
EVERY = 5  # readings between two of the performance counters and of the processes
MOST_KEPT = 256  # samples of the performance counters of a GPU; then every second one is given back
LEAST_ENERGY_WINDOW = 5.0  # seconds; the counter's refresh blurs shorter ones
BUSY = 0.5  # utilization from which a reading says what clock the device reaches under load
LEAST_BUSY = 10  # such readings, a second of load
LARGEST_GAP = 3.0  # seconds between two power samples
LARGEST_DISAGREEMENT = 0.05  # of the counter against the integral of the power samples
_DCGM = frozenset({"nv-hostengine", "dcgm-exporter"})


@dataclass(frozen=True, slots=True)
class TelemetrySample:
    """A reading, and when: seconds on ``time.perf_counter``'s clock."""

    at: float
    reading: NvmlReading


class Counters(Protocol):
    """Performance counters; see ``gpm.Gpm``."""

    def sample(self) -> Any: ...
    def free(self, sample: Any) -> None: ...
    def between(self, first: Any, second: Any) -> dict[str, float | None]: ...


class Readable(Protocol):
    """What is sampled; see ``nvml.NvmlDevice``."""

    @property
    def uuid(self) -> str: ...
    @property
    def gpm(self) -> Counters | None: ...
    def read(self) -> NvmlReading: ...
    def energy(self) -> float | None: ...
    def processes(self) -> frozenset[int] | None: ...
    def model(self) -> str | None: ...
    def sm_clock_limit(self) -> float | None: ...
    def close(self) -> None: ...


@dataclass(slots=True)
class GpuSamples:
    """What was read of one GPU.

    Attributes:
        uuid, model: Which GPU.
        serves: Whether it does the load's work; another may be idle, or somebody else's.
        sm_clock_limit: That it should reach under load, Hz; None: NVML does not say.
        samples: Readings.
        joules: Energy between the first and the last; None: the device has no counter.
        course: Its performance counters from sample to sample: (start, end, means).
        counters: Means of its performance counters over ``counter_window`` seconds; None: it has
            none.
        counter_problem: Why counters that the device has gave no figure.
        processes: Ids of all that computed on it; None: NVML does not say.
    """

    uuid: str
    model: str | None
    serves: bool
    sm_clock_limit: float | None = None
    samples: list[TelemetrySample] = field(default_factory=list)
    joules: float | None = None
    course: list[tuple[float, float, dict[str, float | None]]] = field(default_factory=list)
    counters: dict[str, float | None] | None = None
    counter_window: float | None = None
    counter_problem: str | None = None
    processes: set[int] | None = None


class _Gpu:
    """Collects ``GpuSamples`` of one device."""

    def __init__(self, device: Readable, serves: bool) -> None:
        self.device = device
        self.found = GpuSamples(device.uuid, device.model(), serves, device.sm_clock_limit())
        self._counted: list[tuple[float, Any]] = []
        self._every = EVERY
        self._energy_before = device.energy()
        self._began: float | None = None

    def read(self, now: float, number: int) -> None:
        self._began = now if self._began is None else self._began
        self.found.samples.append(TelemetrySample(now, self.device.read()))
        if number % EVERY == 0:
            running = self.device.processes()
            if running is not None:
                self.found.processes = (self.found.processes or set()) | running
        if self.device.gpm is not None and number % self._every == 0:
            taken = self.device.gpm.sample()
            if taken is not None:
                self._counted.append((now, taken))
            if len(self._counted) > MOST_KEPT:
                for _, sample in self._counted[1::2]:
                    self.device.gpm.free(sample)
                self._counted = self._counted[::2]
                self._every *= 2

    def end(self, now: float) -> None:
        after = self.device.energy()
        if self._energy_before is not None and after is not None:
            self.found.joules = after - self._energy_before
        if self.device.gpm is None:
            return
        began = now if self._began is None else self._began
        edge = TRIM * (now - began)
        steady = [item for item in self._counted if began + edge <= item[0] <= now - edge]
        window = steady[-1][0] - steady[0][0] if steady else 0.0
        if window >= LEAST_WINDOW:
            self.found.counters = self.device.gpm.between(steady[0][1], steady[-1][1])
            self.found.counter_window = window
        else:
            self.found.counter_problem = (
                f"{window:.1f} s of steady load with counters; {LEAST_WINDOW:g} s are needed"
            )
        self.found.course = [
            (first[0], second[0], self.device.gpm.between(first[1], second[1]))
            for first, second in itertools.pairwise(self._counted)
        ]
        for _, sample in self._counted:
            self.device.gpm.free(sample)


class Sampler:
    """Samples devices in a thread between entering and leaving it.

    Args:
        gpus: What to sample; without any there is no thread.
        serving: How many of them, from the first on, do the load's work; None: all.
        interval: Seconds between samples.
        clock: Seconds.

    Attributes:
        gpus: What was read, by GPU.
    """

    def __init__(
        self,
        gpus: Sequence[Readable],
        *,
        serving: int | None = None,
        interval: float = INTERVAL,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        count = len(gpus) if serving is None else serving
        self._gpus = [_Gpu(gpu, place < count) for place, gpu in enumerate(gpus)]
        self._interval = interval
        self._clock = clock
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._number = 0

    @property
    def gpus(self) -> list[GpuSamples]:
        return [gpu.found for gpu in self._gpus]

    def __enter__(self) -> Sampler:
        if self._gpus:
            self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._thread is None:
            return
        self._stop.set()
        self._thread.join()
        self.read()  # so that the last sample is at the end of the window
        self.end()

    def read(self) -> None:
        """Read every GPU once."""
        for gpu in self._gpus:
            gpu.read(self._clock(), self._number)
        self._number += 1

    def end(self) -> None:
        """Read the energy, and the performance counters over the steady part."""
        now = self._clock()
        for gpu in self._gpus:
            gpu.end(now)

    def _run(self) -> None:
        while not self._stop.is_set():
            self.read()
            self._stop.wait(self._interval)


def energy_used(
    samples: Sequence[TelemetrySample], joules: float | None
) -> tuple[float | None, str | None]:
    """Return the counter's energy, J, and why it is not valid (None if it is).

    Valid: a window of 5 s or more, no gap above 3 s between power samples, and a counter that the
    integral of those samples bears out to 5 %.
    """
    if joules is None:
        return None, "the device has no energy counter, or stopped answering"
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


def summarise(
    gpus: Sequence[GpuSamples], *, own: frozenset[int] = frozenset(), dcgm: Sequence[str] | None
) -> dict[str, Any] | None:
    """Return the window's summary as JSON values, one entry a GPU; None without a sample.

    Args:
        gpus: What was read.
        own: Ids of the processes of the load; all others on a GPU are co-tenants.
        dcgm: Names of DCGM's processes on this machine: they read the same counters.
    """
    if not any(gpu.samples for gpu in gpus):
        return None
    entries = [_summary(gpu, own) for gpu in gpus]
    serving = [entry for entry in entries if entry["serves"]]
    problems = [f"{e['uuid']}: {e['energy_problem']}" for e in serving if e["energy_problem"]]
    energies = [entry["energy"] for entry in serving]
    whole = bool(energies) and None not in energies
    return {
        "source": "nvml",
        "gpus": entries,
        "dcgm": None if dcgm is None else list(dcgm),
        "energy": sum(energies) if whole else None,
        "energy_valid": not problems if whole else None,
        "energy_problem": "; ".join(problems) or None,
    }


def _summary(gpu: GpuSamples, own: frozenset[int]) -> dict[str, Any]:
    """Return one GPU's entry: means, extremes and shares over the readings that had the value."""
    samples, readings = gpu.samples, [s.reading for s in gpu.samples]
    energy, invalid = energy_used(samples, gpu.joules)
    throttles = [r.throttle for r in readings if r.throttle is not None]
    reasons = sorted({name for names in throttles for name in names})
    failed = [s for s in samples if s.reading.problem is not None]
    busy = _known([r.sm_clock for r in readings if (r.utilization or 0.0) >= BUSY])
    return {
        "uuid": gpu.uuid,
        "model": gpu.model,
        "serves": gpu.serves,
        "window": samples[-1].at - samples[0].at,
        "samples": len(samples),
        "tier": "gpm" if gpu.counters is not None else "nvml",
        "counters": gpu.counters,
        "counter_window": gpu.counter_window,
        "counter_problem": gpu.counter_problem,
        "utilization_mean": _mean([r.utilization for r in readings]),
        "memory_utilization_mean": _mean([r.memory_utilization for r in readings]),
        "memory_used_max": max(_known([r.memory_used for r in readings]), default=None),
        "power_mean": _mean([r.power for r in readings]),
        "sm_clock_mean": _mean([r.sm_clock for r in readings]),
        "sm_clock_min": min(_known([r.sm_clock for r in readings]), default=None),
        "sm_clock_busy": median(busy) if len(busy) >= LEAST_BUSY else None,
        "sm_clock_limit": gpu.sm_clock_limit,
        "memory_clock_min": min(_known([r.memory_clock for r in readings]), default=None),
        "temperature_max": max(_known([r.temperature for r in readings]), default=None),
        "throttle_reasons": reasons if throttles else None,
        "throttled_share": {
            name: sum(name in names for names in throttles) / len(throttles) for name in reasons
        }
        if throttles
        else None,
        "co_tenants": _co_tenants(gpu, own),
        "energy": energy,
        "energy_valid": invalid is None if energy is not None else None,
        "energy_problem": invalid,
        "failed_samples": len(failed),
        "problem": None
        if not failed
        else f"{failed[0].reading.problem}, first {failed[0].at - samples[0].at:.1f} s into the load",
    }


def _co_tenants(gpu: GpuSamples, own: frozenset[int]) -> list[int] | None:
    """Return who else computed there; None where that is not known.

    In a container NVML counts processes as the host does: then our own are not among them.
    """
    if gpu.processes is None or (gpu.serves and gpu.processes and not gpu.processes & own):
        return None
    return sorted(gpu.processes - own)


def own_processes(proc: Path = Path("/proc")) -> frozenset[int]:
    """Return the ids of this process and of those it started, and theirs."""
    found: set[int] = set()
    left = [os.getpid()]
    while left:
        process = left.pop()
        found.add(process)
        for children in proc.glob(f"{process}/task/*/children"):
            try:
                left += [int(child) for child in children.read_text(encoding="ascii").split()]
            except OSError:
                continue  # the thread has ended
    return frozenset(found)


def device_metrics(
    telemetry: dict[str, Any] | None, tokens: int | None
) -> tuple[Values, dict[str, str]]:
    """Return the metrics of the GPUs that served the load, and the tier of each that has a value.

    Args:
        telemetry: As of ``summarise``.
        tokens: Output tokens of the load.

    Returns:
        Means over those GPUs; traffic is summed. Without a figure of one of them there is none.
    """
    serving = [gpu for gpu in telemetry["gpus"] if gpu["serves"]] if telemetry else []
    values: Values = {
        "gpu_utilization": _over(serving, "utilization_mean"),
        "gpu_memory_utilization": _over(serving, "memory_utilization_mean"),
    }
    counted = [gpu["counters"] or {} for gpu in serving]
    for name in ("sm_active", "sm_occupancy", "tensor_active", "dram_active"):
        values[name] = _over(counted, name)
    for link in ("pcie", "nvlink"):
        both = [_over(counted, f"{link}_{way}") for way in ("sent", "received")]
        known = [rate * len(counted) for rate in both if rate is not None]
        values[f"{link}_traffic"] = sum(known) if len(known) == len(both) else None
    valid = telemetry is not None and telemetry["energy_valid"]
    energy = telemetry["energy"] if telemetry is not None and valid else None
    values["energy_per_token"] = energy / tokens if tokens and energy is not None else None
    values["tokens_per_joule"] = tokens / energy if tokens and energy else None
    tiers = {
        name: "nvml" if name.startswith(("gpu_", "energy", "tokens")) else "gpm"
        for name, value in values.items()
        if value is not None
    }
    return values, tiers


def dcgm_processes(proc: Path = Path("/proc")) -> list[str] | None:
    """Return the names of DCGM's processes that run on this machine; None where it does not say."""
    if not proc.is_dir():
        return None
    names = set()
    for path in proc.glob("[0-9]*/comm"):
        try:
            names.add(path.read_text(encoding="utf-8", errors="replace").strip())
        except OSError:
            continue  # it has ended
    return sorted(names & _DCGM)


def sample_lines(gpus: Sequence[GpuSamples], started: float) -> list[dict[str, Any]]:
    """Return the artifact's line for each sample, its time in seconds after ``started``.

    The performance counters have lines of their own, for the ``span`` of seconds that ends at their
    ``time``.
    """
    read = [
        {"record": "telemetry", "gpu": gpu.uuid, "time": s.at - started, **asdict(s.reading)}
        for gpu in gpus
        for s in gpu.samples
    ]
    counted = [
        {
            "record": "telemetry",
            "gpu": gpu.uuid,
            "time": end - started,
            "span": end - begin,
            **means,
        }
        for gpu in gpus
        for begin, end, means in gpu.course
    ]
    return read + counted


def _known(values: Sequence[float | None]) -> list[float]:
    return [v for v in values if v is not None]


def _mean(values: Sequence[float | None]) -> float | None:
    known = _known(values)
    return sum(known) / len(known) if known else None


def _over(gpus: Sequence[dict[str, Any]], name: str) -> float | None:
    values = [gpu.get(name) for gpu in gpus]
    return None if None in values else _mean(values)
