"""One GPU as NVML sees it. Whatever a device does not tell is None, never 0."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["NvmlDevice", "NvmlReading", "open_gpu"]

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


@dataclass(frozen=True, slots=True)
class NvmlReading:
    """One look at the device.

    Attributes:
        utilization: Share of NVML's own sample period with a kernel running, 0 to 1.
        memory_used: Bytes in use on the device, by every process.
        power: Watts.
        sm_clock, memory_clock: Hz.
        temperature: Degrees Celsius.
        throttle: Names of what held the clocks down; empty if nothing did.
    """

    utilization: float | None
    memory_used: int | None
    power: float | None
    sm_clock: float | None
    memory_clock: float | None
    temperature: float | None
    throttle: tuple[str, ...] | None


class NvmlDevice:
    """An open NVML device; ``close`` it."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml = nvml
        self._handle = handle

    def read(self) -> NvmlReading:
        """Return what the device says now."""
        nvml, handle = self._nvml, self._handle
        power = self._ask(nvml.nvmlDeviceGetPowerUsage, handle)
        sm_clock = self._ask(nvml.nvmlDeviceGetClockInfo, handle, nvml.NVML_CLOCK_SM)
        memory_clock = self._ask(nvml.nvmlDeviceGetClockInfo, handle, nvml.NVML_CLOCK_MEM)
        use = self._ask(nvml.nvmlDeviceGetUtilizationRates, handle)
        memory = self._ask(nvml.nvmlDeviceGetMemoryInfo, handle)
        mask = self._ask(nvml.nvmlDeviceGetCurrentClocksEventReasons, handle)
        return NvmlReading(
            utilization=None if use is None else use.gpu / 100.0,
            memory_used=None if memory is None else int(memory.used),
            power=None if power is None else power / 1000.0,
            sm_clock=None if sm_clock is None else sm_clock * 1e6,
            memory_clock=None if memory_clock is None else memory_clock * 1e6,
            temperature=self._ask(nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU),
            throttle=None if mask is None else _names(mask),
        )

    def energy(self) -> float | None:
        """Return joules since the driver was loaded."""
        used = self._ask(self._nvml.nvmlDeviceGetTotalEnergyConsumption, self._handle)
        return None if used is None else used / 1000.0

    def model(self) -> str | None:
        """Return the device's name."""
        return _text(self._ask(self._nvml.nvmlDeviceGetName, self._handle))

    def driver(self) -> str | None:
        """Return the driver's version."""
        return _text(self._ask(self._nvml.nvmlSystemGetDriverVersion))

    def clocks_policy(self) -> str | None:
        """Return the application clocks the device was set to: ``"sm 1980 MHz, mem 2619 MHz"``."""
        nvml = self._nvml
        sm = self._ask(nvml.nvmlDeviceGetApplicationsClock, self._handle, nvml.NVML_CLOCK_SM)
        mem = self._ask(nvml.nvmlDeviceGetApplicationsClock, self._handle, nvml.NVML_CLOCK_MEM)
        return None if sm is None or mem is None else f"sm {sm} MHz, mem {mem} MHz"

    def close(self) -> None:
        """Let NVML go."""
        self._ask(self._nvml.nvmlShutdown)

    def _ask(self, question: Callable[..., Any], *args: Any) -> Any:
        try:
            return question(*args)
        except self._nvml.NVMLError:
            return None


def open_gpu(uuid: str, nvml: Any = None) -> NvmlDevice | None:
    """Return the device with that UUID (``"GPU-..."``), or None if NVML does not know it.

    By UUID, since NVML counts all devices and CUDA only the visible ones.

    Args:
        uuid: As ``nvidia-smi -L`` prints it.
        nvml: The NVML bindings; None imports ``pynvml``.
    """
    if nvml is None:
        try:
            nvml = importlib.import_module("pynvml")
        except ImportError:
            return None
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return None
    try:
        return NvmlDevice(nvml, nvml.nvmlDeviceGetHandleByUUID(uuid))
    except nvml.NVMLError:
        nvml.nvmlShutdown()
        return None


def _names(mask: int) -> tuple[str, ...]:
    return tuple(name for bit, name in THROTTLE_BITS.items() if mask & bit)


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return value.decode() if isinstance(value, bytes) else str(value)
