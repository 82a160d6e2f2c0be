"""Records by hand."""

from __future__ import annotations

from typing import Any

from benchmarks.gpu.records import GpuMeasurement, Record

TELEMETRY = {
    "gpus": [
        {
            "serves": True,
            "sm_clock_min": 1.755e9,
            "temperature_max": 61.0,
            "throttle_reasons": ["sw_power_cap"],
        }
    ]
}


def measurement(name: str, value: float | None, **more: Any) -> GpuMeasurement:
    plain = {"unit": "s", "better": "lower", "kind": "timing", **more}
    return GpuMeasurement(name, value, **plain)


def record(part: str, case: str, *measurements: GpuMeasurement, **more: Any) -> Record:
    plain = {"status": "done", "started_at": "2026-01-31T12:00:00+00:00", "seconds": 2.0, **more}
    return Record(part, case, measurements=measurements, **plain)
