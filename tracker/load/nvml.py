"""GPUs as NVML sees them. Whatever a device does not say is None, never 0."""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tracker.load.gpm import Gpm

__all__ = ["NvmlDevice", "NvmlReading", "open_gpu", "open_gpus", "visible_uuids"]

# NVML's clocks-event bits that mean the clock was held down. "GPU idle" and "application clocks
# setting" are not among them: the first is no load, the second is a choice.
THROTTLE_BITS = {
    0x0000000000000004: "sw_power_cap",
    0x0000000000000008: "hw_slowdown",
    0x0000000000000010: "sync_boost",
    0x0000000000000020: "sw_thermal_slowdown",
    0x0000000000000040: "hw_thermal_slowdown",
    0x0000000000000080: "hw_power_brake_slowdown",
}
_NOT_SUPPORTED = frozenset({3, 4})  # NVML_ERROR_NOT_SUPPORTED, NVML_ERROR_NO_PERMISSION


@dataclass(frozen=True, slots=True)
class NvmlReading:
    """What a device says at one time.

    Attributes:
        utilization: Share of NVML's own sample period with a kernel running, 0 to 1.
        memory_utilization: Share of that period in which memory was read or written, 0 to 1.
        memory_used: Bytes in use on the device, by every process.
        power: Watts.
        sm_clock, memory_clock: Hz.
        temperature: Degrees Celsius.
        throttle: Names of what held the clocks down; empty if nothing did.
        problem: What NVML says where it failed, beyond what the device does not support.
    """

    utilization: float | None = None
    memory_utilization: float | None = None
    memory_used: int | None = None
    power: float | None = None
    sm_clock: float | None = None
    memory_clock: float | None = None
    temperature: float | None = None
    throttle: tuple[str, ...] | None = None
    problem: str | None = None


class NvmlDevice:
    """An open NVML device; ``close`` it.

    Attributes:
        uuid: As ``nvidia-smi -L`` prints it.
        gpm: The device's performance counters; None before Hopper.
    """

    def __init__(self, nvml: Any, handle: Any, uuid: str) -> None:
        self.uuid = uuid
        self._nvml = nvml
        self._handle = handle
        self._closed = False
        self._problem: str | None = None
        support = self._ask("nvmlGpmQueryDeviceSupport", handle)
        self.gpm = Gpm(nvml, handle) if getattr(support, "isSupportedDevice", 0) else None
        self._problem = None

    def read(self) -> NvmlReading:
        """Return what the device says now."""
        nvml, handle = self._nvml, self._handle
        self._problem = None
        power = self._ask("nvmlDeviceGetPowerUsage", handle)
        sm_clock = self._ask("nvmlDeviceGetClockInfo", handle, nvml.NVML_CLOCK_SM)
        memory_clock = self._ask("nvmlDeviceGetClockInfo", handle, nvml.NVML_CLOCK_MEM)
        use = self._ask("nvmlDeviceGetUtilizationRates", handle)
        memory = self._ask("nvmlDeviceGetMemoryInfo", handle)
        mask = self._ask("nvmlDeviceGetCurrentClocksEventReasons", handle)
        temperature = self._ask("nvmlDeviceGetTemperature", handle, nvml.NVML_TEMPERATURE_GPU)
        return NvmlReading(
            utilization=None if use is None else use.gpu / 100.0,
            memory_utilization=None if use is None else use.memory / 100.0,
            memory_used=None if memory is None else int(memory.used),
            power=None if power is None else power / 1000.0,
            sm_clock=None if sm_clock is None else sm_clock * 1e6,
            memory_clock=None if memory_clock is None else memory_clock * 1e6,
            temperature=temperature,
            throttle=None if mask is None else _names(mask),
            problem=self._problem,
        )

    def energy(self) -> float | None:
        """Return joules since the driver was loaded."""
        used = self._ask("nvmlDeviceGetTotalEnergyConsumption", self._handle)
        return None if used is None else used / 1000.0

    def processes(self) -> frozenset[int] | None:
        """Return the ids of the processes that compute on the device, as the host counts them."""
        running = self._ask("nvmlDeviceGetComputeRunningProcesses", self._handle)
        return None if running is None else frozenset(int(process.pid) for process in running)

    def model(self) -> str | None:
        """Return the device's name."""
        return _text(self._ask("nvmlDeviceGetName", self._handle))

    def driver(self) -> str | None:
        """Return the driver's version."""
        return _text(self._ask("nvmlSystemGetDriverVersion"))

    def clocks_policy(self) -> str | None:
        """Return the application clocks the device was set to: ``"sm 1980 MHz, mem 2619 MHz"``."""
        nvml = self._nvml
        sm = self._ask("nvmlDeviceGetApplicationsClock", self._handle, nvml.NVML_CLOCK_SM)
        mem = self._ask("nvmlDeviceGetApplicationsClock", self._handle, nvml.NVML_CLOCK_MEM)
        return None if sm is None or mem is None else f"sm {sm} MHz, mem {mem} MHz"

    def sm_clock_limit(self) -> float | None:
        """Return the SM clock that the device should reach under load, Hz.

        The lower of the application clock that is set and of the highest the device has.
        """
        nvml, handle = self._nvml, self._handle
        stated = [
            self._ask("nvmlDeviceGetMaxClockInfo", handle, nvml.NVML_CLOCK_SM),
            self._ask("nvmlDeviceGetApplicationsClock", handle, nvml.NVML_CLOCK_SM),
        ]
        return min((clock * 1e6 for clock in stated if clock), default=None)

    def close(self) -> None:
        """Let NVML go; may be repeated."""
        if not self._closed:
            self._closed = True
            self._ask("nvmlShutdown")

    def _ask(self, question: str, *args: Any) -> Any:
        # Older bindings and drivers lack a function: that is "not supported", too.
        function: Callable[..., Any] | None = getattr(self._nvml, question, None)
        if function is None:
            return None
        try:
            return function(*args)
        except self._nvml.NVMLError as error:
            if getattr(error, "value", None) not in _NOT_SUPPORTED:
                self._problem = f"{question}: {error}"
            return None


def open_gpu(uuid: str, nvml: Any = None) -> NvmlDevice | None:
    """Return the device with that UUID (``"GPU-..."``), or None if NVML does not know it.

    By UUID, since NVML counts all devices and CUDA only the visible ones.

    Args:
        uuid: As ``nvidia-smi -L`` prints it.
        nvml: The NVML bindings; None imports ``pynvml``.
    """
    nvml = nvml or _bindings()
    if nvml is None:
        return None
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return None
    try:
        return NvmlDevice(nvml, nvml.nvmlDeviceGetHandleByUUID(uuid), uuid)
    except nvml.NVMLError:
        nvml.nvmlShutdown()
        return None


def open_gpus(uuids: Iterable[str], nvml: Any = None) -> list[NvmlDevice]:
    """Return the devices of those UUIDs that NVML knows, in their order; close each."""
    return [gpu for uuid in uuids if (gpu := open_gpu(uuid, nvml)) is not None]


def visible_uuids(nvml: Any = None, visible: str | None = None) -> list[str]:
    """Return the UUIDs of the GPUs that CUDA programs started here see; empty without NVML.

    Numbers count in PCI order, as with ``CUDA_DEVICE_ORDER=PCI_BUS_ID``; where GPUs of several
    models are in one machine, CUDA's own order is another.

    Args:
        nvml: The NVML bindings; None imports ``pynvml``.
        visible: As ``CUDA_VISIBLE_DEVICES``, which is read where this is None.
    """
    nvml = nvml or _bindings()
    if nvml is None:
        return []
    visible = os.environ.get("CUDA_VISIBLE_DEVICES") if visible is None else visible
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return []
    try:
        handles = [
            nvml.nvmlDeviceGetHandleByIndex(i) for i in range(int(nvml.nvmlDeviceGetCount()))
        ]
        known = [str(_text(nvml.nvmlDeviceGetUUID(handle))) for handle in handles]
    except nvml.NVMLError:
        return []
    finally:
        nvml.nvmlShutdown()
    if visible is None:
        return known
    chosen: list[str] = []
    for name in filter(None, (part.strip() for part in visible.split(","))):
        if name.isdigit() and int(name) < len(known):
            chosen.append(known[int(name)])
        elif name in known:
            chosen.append(name)
        else:
            break  # CUDA stops at the first that it does not know
    return chosen


def _bindings() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module("pynvml")
    except ImportError:
        return None


def _names(mask: int) -> tuple[str, ...]:
    return tuple(name for bit, name in THROTTLE_BITS.items() if mask & bit)


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return value.decode() if isinstance(value, bytes) else str(value)
