"""How much of the machine an engine's steps used, out of what the steps had to do. Pure.

This is the *analytic* tier: bytes and FLOPs are those that the model needs at least, known from its
shapes, and the ceiling is what this machine reached in the same launch. No hardware counter is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tracker.load.metrics import Values

__all__ = [
    "NAMES",
    "ON_GPU",
    "TIER",
    "Ceiling",
    "Ticks",
    "against_datasheet",
    "analytic_tiers",
    "busy_seconds",
    "cpu_metrics",
    "profiler_metrics",
    "utilization_metrics",
]

TIER = "analytic"
# What every suite that reads a clock publishes, and what it adds on a GPU.
NAMES = ("mbu_prefill", "mbu_decode", "mfu_prefill", "mfu_decode", "cpu_share", "cpu_steal")
ON_GPU = (
    "memory_turnover",
    "mbu_decode_datasheet",
    "mfu_prefill_datasheet",
    "gpu_utilization",
    "gpu_memory_utilization",
    "sm_active",
    "sm_occupancy",
    "tensor_active",
    "dram_active",
    "pcie_traffic",
    "nvlink_traffic",
    "graph_captures",
    "graph_replay_share",
)


Ticks = tuple[int, int]  # of all processors since the machine started: stolen, all


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What the device reached in this launch, outside the timed part.

    Attributes:
        bandwidth: Bytes read per second, of memory larger than any cache.
        flops: FLOPs per second of a matrix product, in the engine's dtype and thread count.
    """

    bandwidth: float
    flops: float


def utilization_metrics(
    counters: Mapping[str, float],
    seconds: Mapping[str, float] | None,
    ceiling: Ceiling | None,
    *,
    device_memory: int | None = None,
) -> Values:
    """Return MBU and MFU of prefill steps and of decode steps, and the memory turnover.

    Args:
        counters: ``model_bytes`` and ``model_flops`` of all steps, ``prefill_bytes`` and
            ``prefill_flops`` of those with prompt tokens.
        seconds: Of the steps, by ``"prefill"`` and ``"decode"``; None: the engine does not say.
        ceiling: Of this launch; None: not measured.
        device_memory: Bytes; None where there is no device of its own.

    Returns:
        None for whatever the engine does not count, and for a kind of step that did not run.
    """
    values: Values = {}
    for name, amount, most in (
        ("mbu", "bytes", ceiling.bandwidth if ceiling else None),
        ("mfu", "flops", ceiling.flops if ceiling else None),
    ):
        whole, prefill = counters.get(f"model_{amount}"), counters.get(f"prefill_{amount}")
        decode = None if whole is None or prefill is None else whole - prefill
        for phase, work in (("prefill", prefill), ("decode", decode)):
            values[f"{name}_{phase}"] = _share(work, (seconds or {}).get(phase), most)
    moved, spent = counters.get("model_bytes"), sum((seconds or {}).values())
    values["memory_turnover"] = _share(moved, spent, device_memory)
    return values


def against_datasheet(
    counters: Mapping[str, float], seconds: Mapping[str, float] | None, stated: Ceiling | None
) -> Values:
    """Return MBU and MFU against the vendor's figures: ``mbu_decode_datasheet`` and the like."""
    values = utilization_metrics(counters, seconds, stated)
    return {f"{name}_datasheet": v for name, v in values.items() if name != "memory_turnover"}


def busy_seconds(intervals: Iterable[tuple[float, float]]) -> float:
    """Return the length of the union of half-open intervals, in their unit."""
    total, end = 0.0, float("-inf")
    for start, stop in sorted(intervals):
        total += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return total


def profiler_metrics(step: float, intervals: Iterable[tuple[float, float]], steps: int) -> Values:
    """Return how much of a step the device computed, and for how long it waited for the host.

    Args:
        step: Wall seconds of a step without the profiler, whose own cost would count else.
        intervals: Start and end of everything that ran on the device in ``steps`` steps, s.
        steps: How many; none: no value.
    """
    if not steps or not step > 0:
        return {"gpu_busy": None, "host_gap": None}
    active = busy_seconds(intervals) / steps
    return {"gpu_busy": min(1.0, active / step), "host_gap": max(0.0, step - active)}


def analytic_tiers(metrics: Values) -> dict[str, str]:
    """Return the tier of each figure of ``utilization_metrics`` that has a value."""
    bounds = ("mbu_prefill", "mbu_decode", "mfu_prefill", "mfu_decode")
    names = (*bounds, *(f"{name}_datasheet" for name in bounds), "memory_turnover")
    return {name: TIER for name in names if metrics.get(name) is not None}


def cpu_metrics(
    process_seconds: float, wall_seconds: float, before: Ticks | None, after: Ticks | None
) -> Values:
    """Return the processor's share of the load: the process's own, and the share stolen.

    Args:
        process_seconds: Processor time of the process, all threads.
        wall_seconds: Of the load.
        before, after: The machine's ticks around the load; None: unknown.
    """
    steal = None
    if before is not None and after is not None and after[1] > before[1]:
        steal = (after[0] - before[0]) / (after[1] - before[1])
    return {
        "cpu_share": process_seconds / wall_seconds if wall_seconds > 0 else None,
        "cpu_steal": steal,
    }


def _share(work: float | None, seconds: float | None, most: float | None) -> float | None:
    return work / seconds / most if work and seconds and most else None
