"""A fake NVML driver that replays scripted sessions of invented GPUs on a virtual clock.

A value is constant or a function of the session's seconds; None is "not supported". The shapes follow what the
drivers do: GPM answers on Hopper and not on Ampere, clocks fall when a card gets hot, and a card that
falls off the bus answers every call with "GPU is lost".
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

from tests.tracker.load.fakes import FakeClock

MIB = 1 << 20
NOT_SUPPORTED, LOST = 3, 15
IDLE, POWER_CAP, SW_THERMAL, HW_THERMAL = 0x1, 0x4, 0x20, 0x40


def _at(script: Any, seconds: float) -> Any:
    return script(seconds) if callable(script) else script


@dataclass(frozen=True)
class FakeGpu:
    """One GPU's script: NVML's units, by seconds since the session began.

    Attributes:
        counters: GPM's metrics by id, in percent and MiB/s; None: the GPU has no GPM.
        lost_after: Seconds until it falls off the bus.
    """

    uuid: str = "GPU-1"
    name: str = "NVIDIA H100 80GB HBM3"
    power: Any = 300_000  # mW
    energy: Any = None  # mJ; None: what the power adds up to
    sm: Any = 1980  # MHz
    highest: Any = 1980
    mem: Any = 2619
    utilization: Any = 87
    memory_utilization: Any = 61
    used: Any = 5 * 2**30
    temperature: Any = 55
    reasons: Any = 0
    pids: Any = ()
    counters: dict[int, Any] | None = None
    lost_after: float = float("inf")


HOPPER = FakeGpu(
    counters={
        # Idle while the load ramps up and drains: the steady part alone says 80 %.
        2: lambda t: 80.0 if 0.5 <= t < 9.5 else 0.0,
        3: 40.0,
        5: 25.0,
        10: 70.0,
        20: 100.0,
        21: 200.0,
        60: None,  # no NVLink in this machine
        61: None,
    }
)
AMPERE = FakeGpu(uuid="GPU-A", name="NVIDIA A100-SXM4-80GB", sm=1410, highest=1410, mem=1593)
THROTTLING = replace(
    HOPPER,
    uuid="GPU-HOT",
    temperature=lambda t: min(90, 60 + 10 * t),
    sm=lambda t: 1980 if t < 2.95 else 1200,
    reasons=lambda t: POWER_CAP if t < 2.95 else SW_THERMAL | HW_THERMAL,
)
DISAPPEARING = replace(HOPPER, uuid="GPU-LOST", lost_after=2.95)


@dataclass
class FakeNvml:
    """The NVML calls that the load harness makes.

    Args:
        gpus: In PCI order.
        clock: The session's; its seconds count from the start value.
    """

    NVML_CLOCK_SM = 1
    NVML_CLOCK_MEM = 2
    NVML_TEMPERATURE_GPU = 0
    NVML_GPM_METRICS_GET_VERSION = 1

    gpus: tuple[FakeGpu, ...] = (FakeGpu(),)
    clock: FakeClock = field(default_factory=FakeClock)
    has_driver: bool = True
    open: int = 0
    samples: int = 0

    class NVMLError(Exception):
        def __init__(self, value, text):
            super().__init__(text)
            self.value = value

    def __post_init__(self):
        self._began = self.clock()

    def _ask(self, gpu, name):
        seconds = self.clock() - self._began
        if seconds >= gpu.lost_after:
            raise self.NVMLError(LOST, "GPU is lost")
        value = _at(getattr(gpu, name), seconds)
        if value is None:
            raise self.NVMLError(NOT_SUPPORTED, "Not Supported")
        return value

    def nvmlInit(self):
        if not self.has_driver:
            raise self.NVMLError(9, "Driver Not Loaded")
        self.open += 1

    def nvmlShutdown(self):
        self.open -= 1

    def nvmlDeviceGetCount(self):
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index):
        return self.gpus[index]

    def nvmlDeviceGetHandleByUUID(self, uuid):
        for gpu in self.gpus:
            if gpu.uuid == uuid:
                return gpu
        raise self.NVMLError(6, "Not Found")

    def nvmlDeviceGetUUID(self, gpu):
        return gpu.uuid.encode()

    def nvmlDeviceGetPowerUsage(self, gpu):
        return self._ask(gpu, "power")

    def nvmlDeviceGetTotalEnergyConsumption(self, gpu):
        if gpu.energy is not None:
            return self._ask(gpu, "energy")
        power, seconds = self._ask(gpu, "power"), self.clock() - self._began
        return 1_000_000 + power * seconds  # of a constant power

    def nvmlDeviceGetClockInfo(self, gpu, which):
        return self._ask(gpu, "sm" if which == self.NVML_CLOCK_SM else "mem")

    def nvmlDeviceGetApplicationsClock(self, gpu, which):
        return self._ask(gpu, "highest" if which == self.NVML_CLOCK_SM else "mem")

    def nvmlDeviceGetMaxClockInfo(self, gpu, which):
        return self.nvmlDeviceGetApplicationsClock(gpu, which)

    def nvmlDeviceGetUtilizationRates(self, gpu):
        return SimpleNamespace(
            gpu=self._ask(gpu, "utilization"), memory=self._ask(gpu, "memory_utilization")
        )

    def nvmlDeviceGetMemoryInfo(self, gpu):
        return SimpleNamespace(used=self._ask(gpu, "used"))

    def nvmlDeviceGetTemperature(self, gpu, which):
        return self._ask(gpu, "temperature")

    def nvmlDeviceGetCurrentClocksEventReasons(self, gpu):
        return self._ask(gpu, "reasons")

    def nvmlDeviceGetComputeRunningProcesses(self, gpu):
        return [SimpleNamespace(pid=pid) for pid in self._ask(gpu, "pids")]

    def nvmlDeviceGetName(self, gpu):
        return gpu.name.encode()

    def nvmlSystemGetDriverVersion(self):
        return "580.1"

    def nvmlGpmQueryDeviceSupport(self, gpu):
        return SimpleNamespace(isSupportedDevice=int(gpu.counters is not None))

    def nvmlGpmSampleAlloc(self):
        self.samples += 1
        return SimpleNamespace(at=None, gpu=None)

    def nvmlGpmSampleGet(self, gpu, sample):
        self._ask(gpu, "power")  # fails where the GPU is gone
        sample.gpu, sample.at = gpu, self.clock() - self._began

    def nvmlGpmSampleFree(self, sample):
        self.samples -= 1

    def c_nvmlGpmMetricsGet_t(self):
        metrics = [SimpleNamespace(metricId=0, nvmlReturn=0, value=0.0) for _ in range(64)]
        return SimpleNamespace(metrics=metrics)

    def nvmlGpmMetricsGet(self, query):
        """Means over a millisecond grid between the two samples, as the hardware integrates."""
        gpu, low, high = query.sample1.gpu, query.sample1.at, query.sample2.at
        assert high > low
        steps = 1000
        times = [low + (high - low) * (i + 0.5) / steps for i in range(steps)]
        for metric in query.metrics[: query.numMetrics]:
            values = [_at(gpu.counters[metric.metricId], t) for t in times]
            if None in values:
                metric.nvmlReturn = NOT_SUPPORTED
            else:
                metric.value = sum(values) / steps
