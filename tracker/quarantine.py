"""Which GPUs are sick, by what their launches recorded of them. Pure.

A sick device is slower than its own specification whatever the commit does. Its launches do not count, and
its name, not a commit's, is reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from tracker.domain import Launch, QuarantinedGpu

__all__ = ["serving_gpus", "sick_gpus"]

_SICK = 0.5  # of the clock that the device should reach; heat and power limits cost less


def serving_gpus(header: Mapping[str, Any]) -> dict[int, Mapping[str, Any]]:
    """Return the telemetry of the GPUs that did a launch's work, by number; empty without telemetry."""
    telemetry = header.get("telemetry")
    if not isinstance(telemetry, dict):
        return {}
    gpus = telemetry.get("gpus")  # without it: one GPU, of an earlier version
    entries = gpus if isinstance(gpus, list) else [telemetry]
    return {
        number: gpu
        for number, gpu in enumerate(entries)
        if isinstance(gpu, dict) and gpu.get("serves") is not False
    }


def sick_gpus(launches: Iterable[Launch], *, machine: str, now: datetime) -> list[QuarantinedGpu]:
    """Return the GPUs that reached less than half of their clock while they worked, each once.

    Args:
        launches: Of one machine.
        machine: Its name.
        now: When they ran.
    """
    sick: dict[str, QuarantinedGpu] = {}
    for launch in launches:
        for gpu in serving_gpus(launch.header).values():
            uuid, clock, limit = (
                gpu.get(name) for name in ("uuid", "sm_clock_busy", "sm_clock_limit")
            )
            if not isinstance(uuid, str) or not isinstance(clock, int | float):
                continue
            if not isinstance(limit, int | float) or clock >= _SICK * limit:
                continue
            reason = (
                f"SM clock {clock / 1e6:.0f} of {limit / 1e6:.0f} MHz during {launch.benchmark}"
            )
            model = gpu.get("model")
            sick.setdefault(
                uuid,
                QuarantinedGpu(
                    uuid, machine, model if isinstance(model, str) else None, reason, now
                ),
            )
    return list(sick.values())
