"""How busy the hardware was in one launch, out of its artifact, as data frames. Pure.

What a launch does not know stays away: no row, no tile, never a 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from dashboard.units import format_value
from tracker.domain import LaunchTrace

__all__ = [
    "PANELS",
    "Panel",
    "facts_of",
    "kernels_of",
    "panel_frame",
    "phase_frame",
    "request_frame",
    "roofline_frame",
    "tiers_of",
    "warnings_of",
    "window_of",
]


@dataclass(frozen=True, slots=True)
class Panel:
    """Lines of one unit in one chart: name of a telemetry value -> label."""

    title: str
    unit: str
    lines: Mapping[str, str]
    divisor: float = 1.0


PANELS = (
    Panel(
        "Activity",
        "%",
        {
            "sm_active": "SM active",
            "tensor_active": "Tensor cores active",
            "dram_active": "DRAM active",
            "sm_occupancy": "SM occupancy",
            "utilization": "Any kernel running",
        },
        0.01,
    ),
    Panel("Power", "W", {"power": "power"}),
    Panel("Clocks", "GHz", {"sm_clock": "SM clock", "memory_clock": "memory clock"}, 1e9),
    Panel("Temperature", "°C", {"temperature": "temperature"}),
    Panel("PCIe", "GB/s", {"pcie_sent": "sent", "pcie_received": "received"}, 1e9),
    Panel("NVLink", "GB/s", {"nvlink_sent": "sent", "nvlink_received": "received"}, 1e9),
)

_TIERS = {"gpm": "hardware counters (GPM)", "nvml": "NVML samples", "analytic": "analytic"}


def tiers_of(header: Mapping[str, Any]) -> list[str]:
    """Where the numbers of a launch come from, finest first; empty where it has none."""
    named = {str(tier) for tier in _mapping(header.get("tiers")).values()}
    for gpu in _gpus(header):
        named |= {str(gpu.get("tier") or "nvml"), "nvml"}
    used = _mapping(header.get("utilization"))
    if used:
        named.add(str(used.get("tier") or "analytic"))
    order = [*_TIERS, *sorted(named - set(_TIERS))]
    return [_TIERS.get(tier, tier) for tier in order if tier in named]


def _gpus(header: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What is known of each GPU; before there were several, a launch described the one it used."""
    telemetry = _mapping(header.get("telemetry"))
    gpus = telemetry.get("gpus")
    listed = gpus if isinstance(gpus, list) else [telemetry] if telemetry else []
    return [_mapping(gpu) for gpu in listed]


def window_of(header: Mapping[str, Any], trace: LaunchTrace | None) -> tuple[float, float] | None:
    """The load's start and end, seconds after the launch's start; None where neither is known."""
    window = header.get("window")
    if isinstance(window, list) and len(window) == 2:
        return float(window[0]), float(window[1])
    if trace is None or not trace.requests:
        return None
    return (
        min(request.submitted for request in trace.requests),
        max(request.arrivals[-1] for request in trace.requests),
    )


def request_frame(trace: LaunchTrace, *, most: int = 200) -> pd.DataFrame:
    """One row a request and phase of it, in the order in which they were submitted.

    "first token" reaches from the submission to the first token (queue and prefill), "output" from
    there to the last. A reply that was not streamed has one phase, "whole reply".
    """
    rows: list[dict[str, Any]] = []
    ordered = sorted(trace.requests, key=lambda request: request.submitted)
    for place, request in enumerate(ordered[:most]):
        first, last = request.arrivals[0], request.arrivals[-1]
        ends = (
            (("first token", request.submitted, first), ("output", first, last))
            if request.streamed
            else (("whole reply", request.submitted, last),)
        )
        rows += [
            {
                "request": place + 1,
                "phase": phase,
                "start": start,
                "stop": stop,
                "took": format_value(stop - start, "s"),
                "tokens": request.output_tokens,
            }
            for phase, start, stop in ends
        ]
    return pd.DataFrame(rows)


def phase_frame(trace: LaunchTrace, *, steps: int = 400) -> pd.DataFrame:
    """How many requests wait for their first token, and how many put out tokens, over time.

    Counted at `steps` moments that are evenly spaced between the first submission and the last token.
    """
    requests = [request for request in trace.requests if request.streamed]
    if not requests:
        return pd.DataFrame(columns=["time", "phase", "requests"])
    start = min(request.submitted for request in requests)
    stop = max(request.arrivals[-1] for request in requests)
    rows = []
    for step in range(steps + 1):
        time = start + (stop - start) * step / steps
        waiting = sum(r.submitted <= time < r.arrivals[0] for r in requests)
        output = sum(r.arrivals[0] <= time < r.arrivals[-1] for r in requests)
        rows.append({"time": time, "phase": "first token", "requests": waiting})
        rows.append({"time": time, "phase": "output", "requests": output})
    return pd.DataFrame(rows)


def panel_frame(trace: LaunchTrace, panel: Panel) -> pd.DataFrame:
    """One row a sample and line of a panel, scaled; a line that the device never reported is left out.

    A value missing within a line is NaN, so that the line breaks there. Where there are several GPUs,
    each has its lines.
    """
    gpus = list(dict.fromkeys(sample.get("gpu") for sample in trace.telemetry))
    rows = []
    for gpu in gpus:
        samples = [sample for sample in trace.telemetry if sample.get("gpu") == gpu]
        for name, label in panel.lines.items():
            known = [sample for sample in samples if name in sample]
            values = [_number(sample[name]) for sample in known]
            if not any(value is not None for value in values):
                continue
            line = label if len(gpus) == 1 else f"{label}, GPU {gpus.index(gpu)}"
            for sample, value in zip(known, values, strict=True):
                time = _number(sample.get("time"))
                if time is None:
                    continue
                # A mean over a span stands in its middle.
                middle = time - (_number(sample.get("span")) or 0.0) / 2
                scaled = None if value is None else value / panel.divisor
                rows.append({"time": middle, "line": line, "value": scaled})
    return pd.DataFrame(rows, columns=["time", "line", "value"])


def roofline_frame(
    header: Mapping[str, Any], kernels: Mapping[str, tuple[float, float, float]]
) -> tuple[pd.DataFrame, dict[str, float]]:
    """The phases of a launch and the kernels of its commit on the roofline, and the two ceilings.

    Args:
        header: Of the launch.
        kernels: Name to seconds, bytes and FLOPs of a call.

    Returns:
        One row a phase or kernel with its intensity (FLOP/byte) and rate (FLOP/s) and the shares of
        the ceilings; the ceilings "bandwidth" (bytes/s) and "flops" (FLOP/s). Both are empty where
        nothing has a place, or the launch measured no ceiling.
    """
    counters, used = _mapping(header.get("counters")), _mapping(header.get("utilization"))
    seconds, ceiling = _mapping(used.get("step_seconds")), _mapping(used.get("ceiling"))
    limits = {
        name: value for name in ("bandwidth", "flops") if (value := _number(ceiling.get(name)))
    }
    rows = []
    work = [
        (phase, phase, _number(seconds.get(phase)), *_amounts(counters, phase))
        for phase in ("prefill", "decode")
    ]
    work += [(name, "kernel", *amounts) for name, amounts in kernels.items()]
    for name, what, spent, moved, flops in work:
        if not flops or not moved or not spent or len(limits) < 2:
            continue
        rows.append(
            {
                "name": name,
                "what": what,
                "intensity": flops / moved,
                "rate": flops / spent,
                "MFU": f"{flops / spent / limits['flops']:.1%}",
                "MBU": f"{moved / spent / limits['bandwidth']:.1%}",
                "seconds": format_value(spent, "s"),
            }
        )
    return pd.DataFrame(rows), limits if rows else {}


def kernels_of(headers: Iterable[Mapping[str, Any]]) -> dict[str, tuple[float, float, float]]:
    """Kernel to seconds, bytes and FLOPs of a call, out of launches that timed kernels, newest first."""
    kernels: dict[str, tuple[float, float, float]] = {}
    for header in headers:
        listed = header.get("kernels")
        for kernel in map(_mapping, listed if isinstance(listed, list) else ()):
            seconds, moved, flops = (_number(kernel.get(x)) for x in ("seconds", "bytes", "flops"))
            if seconds and moved and flops:  # what only moves bytes has no place on a roofline
                kernels.setdefault(str(kernel.get("name")), (seconds, moved, flops))
    return kernels


def facts_of(header: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The launch in a few numbers, each with where it comes from; unknown ones are left out.

    Returns:
        (name, value with unit, source or qualification) in the order they should be read.
    """
    metrics = _mapping(header.get("metrics"))
    serving = [gpu for gpu in _gpus(header) if gpu.get("serves", True)]
    analytic, cpu = "analytic, of the measured ceiling", "of one processor, all threads"
    facts: list[tuple[str, float | None, str, str]] = [
        *(
            (label, _number(metrics.get(name)), "1", "mean of the steady load, hardware counter")
            for name, label in PANELS[0].lines.items()
            if name != "utilization"
        ),
        (
            "Any kernel running",
            _number(metrics.get("gpu_utilization")),
            "1",
            "mean over the load, NVML",
        ),
        ("Energy per token", _number(metrics.get("energy_per_token")), "J/token", "energy counter"),
        ("Power", _over(serving, "power_mean", sum), "W", "mean over the load"),
        ("SM clock", _over(serving, "sm_clock_min", min), "Hz", "lowest"),
        ("Temperature", _over(serving, "temperature_max", max), "°C", "highest"),
        ("MBU, prefill", _number(metrics.get("mbu_prefill")), "1", analytic),
        ("MBU, decode", _number(metrics.get("mbu_decode")), "1", analytic),
        ("MFU, prefill", _number(metrics.get("mfu_prefill")), "1", analytic),
        ("MFU, decode", _number(metrics.get("mfu_decode")), "1", analytic),
        ("Processor time", _number(metrics.get("cpu_share")), "1", cpu),
        ("Stolen time", _number(metrics.get("cpu_steal")), "1", "of the machine, by its host"),
    ]
    return [
        (label, format_value(value, unit), source)
        for label, value, unit, source in facts
        if value is not None
    ]


def _over(
    gpus: Sequence[Mapping[str, Any]], name: str, together: Callable[[list[float]], float]
) -> float | None:
    values = [_number(gpu.get(name)) for gpu in gpus]
    known = [value for value in values if value is not None]
    return together(known) if known and len(known) == len(values) else None


def warnings_of(header: Mapping[str, Any]) -> list[str]:
    """What held the clocks down, who else computed there, and which figures are not valid and why."""
    warnings = []
    for number, gpu in enumerate(_gpus(header)):
        shares = _mapping(gpu.get("throttled_share"))
        faults = [
            f"clocks held down by {name} in {share:.0%} of the samples"
            for name, share in shares.items()
            if share
        ]
        if others := gpu.get("co_tenants"):
            faults.append(f"other processes computed on it: {len(others)}")
        faults += [str(gpu[name]) for name in ("counter_problem", "problem") if gpu.get(name)]
        if problem := gpu.get("energy_problem"):
            faults.append(f"no valid energy: {problem}")
        warnings += [f"GPU {number}: {text}" for text in faults]
    return warnings


def _amounts(counters: Mapping[str, Any], phase: str) -> tuple[float | None, float | None]:
    """Bytes and FLOPs of a phase's steps."""
    amounts = []
    for what in ("bytes", "flops"):
        whole, prefill = (_number(counters.get(f"{part}_{what}")) for part in ("model", "prefill"))
        known = whole is not None and prefill is not None
        amounts.append(prefill if phase == "prefill" else whole - prefill if known else None)  # type: ignore[operator]
    return amounts[0], amounts[1]


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: object) -> float | None:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if known else None  # type: ignore[arg-type]
