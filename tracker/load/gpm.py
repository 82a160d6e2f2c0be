"""NVML's GPU performance monitoring (GPM): hardware counters without a profiler, since Hopper.

The counters are means between two samples. They do not exclude a profiler or DCGM, and need no rights.
"""

from __future__ import annotations

import contextlib
from typing import Any

__all__ = ["LEAST_WINDOW", "METRICS", "Gpm"]

# A sample is up to 0.1 s old: over 2 s both edges make an error of at most 5 %.
LEAST_WINDOW = 2.0  # seconds

_PERCENT, _MIB = 0.01, float(1 << 20)
# Name: (id in nvml.h, what one unit of NVML's value is).
METRICS: dict[str, tuple[int, float]] = {
    "sm_active": (2, _PERCENT),
    "sm_occupancy": (3, _PERCENT),
    "tensor_active": (5, _PERCENT),
    "dram_active": (10, _PERCENT),
    "pcie_sent": (20, _MIB),
    "pcie_received": (21, _MIB),
    "nvlink_received": (60, _MIB),
    "nvlink_sent": (61, _MIB),
}


class Gpm:
    """The counters of one device."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml = nvml
        self._handle = handle

    def sample(self) -> Any:
        """Return the counters as they are now, to be freed; None where NVML fails."""
        nvml = self._nvml
        try:
            taken = nvml.nvmlGpmSampleAlloc()
        except nvml.NVMLError:
            return None
        try:
            nvml.nvmlGpmSampleGet(self._handle, taken)
        except nvml.NVMLError:
            self.free(taken)
            return None
        return taken

    def free(self, sample: Any) -> None:
        """Give a sample back."""
        with contextlib.suppress(self._nvml.NVMLError):  # of a device that is gone
            self._nvml.nvmlGpmSampleFree(sample)

    def between(self, first: Any, second: Any) -> dict[str, float | None]:
        """Return the mean of every metric between two samples; None where the device has none.

        Shares from 0 to 1; bytes per second.
        """
        nvml = self._nvml
        query = nvml.c_nvmlGpmMetricsGet_t()
        query.version = nvml.NVML_GPM_METRICS_GET_VERSION
        query.numMetrics = len(METRICS)
        query.sample1, query.sample2 = first, second
        for place, (metric, _) in enumerate(METRICS.values()):
            query.metrics[place].metricId = metric
        try:
            nvml.nvmlGpmMetricsGet(query)
        except nvml.NVMLError:
            return dict.fromkeys(METRICS)
        return {
            name: query.metrics[place].value * unit
            if query.metrics[place].nvmlReturn == 0
            else None
            for place, (name, (_, unit)) in enumerate(METRICS.items())
        }
