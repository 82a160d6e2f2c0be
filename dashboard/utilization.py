"""How busy the hardware was in one launch, out of its artifact, as data frames. Pure.

What a launch does not know stays away: no row, no tile, never a 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import pandas as pd

from dashboard.units import format_value
from tracker.domain import LaunchTrace

__all__ = [
    "PANELS",
    "Panel",
    "facts_of",
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
            "tensor_active": "tensor cores active",
            "dram_active": "DRAM active",
            "sm_occupancy": "SM occupancy",
            "utilization": "any kernel running",
        },
        0.01,
    ),
    Panel("Power", "W", {"power": "power"}),
    Panel("Clocks", "GHz", {"sm_clock": "SM clock", "memory_clock": "memory clock"}, 1e9),
    Panel("Temperature", "°C", {"temperature": "temperature"}),
    Panel("PCIe", "GB/s", {"pcie_tx": "sent", "pcie_rx": "received"}, 1e9),
)

# Activity inside the device needs the counters of NVML's GPM (or DCGM); NVML alone says whether any kernel ran.
_COUNTERS = ("sm_active", "tensor_active", "dram_active", "sm_occupancy")


def tiers_of(header: Mapping[str, Any], trace: LaunchTrace | None) -> list[str]:
    """Where the numbers of a launch come from, finest first; empty where it has none."""
    tiers = []
    samples = trace.telemetry if trace else ()
    if any(sample.get(name) is not None for sample in samples for name in _COUNTERS):
        tiers.append("hardware counters")
    telemetry = header.get("telemetry")
    if samples or telemetry:
        source = telemetry.get("source") if isinstance(telemetry, Mapping) else None
        tiers.append(f"{source or 'device'} samples")
    if isinstance(header.get("utilization"), Mapping):
        tiers.append(str(header["utilization"].get("tier") or "analytic"))
    return tiers


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
    """One row a sample and line of a panel, scaled; a line that the device never told is left out.

    A value missing within a line is NaN, so that the line breaks there.
    """
    rows = []
    for name, label in panel.lines.items():
        known = [sample for sample in trace.telemetry if _number(sample.get(name)) is not None]
        if not known:
            continue
        for sample in trace.telemetry:
            value = _number(sample.get(name))
            gpu = sample.get("gpu")
            rows.append(
                {
                    "time": _number(sample.get("time")),
                    "line": label if gpu is None else f"{label}, GPU {gpu}",
                    "value": None if value is None else value / panel.divisor,
                }
            )
    return pd.DataFrame(rows, columns=["time", "line", "value"]).dropna(subset=["time"])


def roofline_frame(header: Mapping[str, Any]) -> tuple[pd.DataFrame, dict[str, float]]:
    """The phases of a launch on the roofline, and its two ceilings.

    Returns:
        One row a phase with its intensity (FLOP/byte) and rate (FLOP/s) and the shares of the
        ceilings; the ceilings "bandwidth" (bytes/s) and "flops" (FLOP/s). Both are empty where the
        launch does not tell its phases apart or measured no ceiling.
    """
    counters, used = _mapping(header.get("counters")), _mapping(header.get("utilization"))
    seconds, ceiling = _mapping(used.get("step_seconds")), _mapping(used.get("ceiling"))
    limits = {
        name: value for name in ("bandwidth", "flops") if (value := _number(ceiling.get(name)))
    }
    rows = []
    amounts = {
        phase: tuple(_amount(counters, phase, what) for what in ("flops", "bytes"))
        for phase in ("prefill", "decode")
    }
    for phase, (flops, moved) in amounts.items():
        spent = _number(seconds.get(phase))
        if not flops or not moved or not spent or len(limits) < 2:
            continue
        rows.append(
            {
                "phase": phase,
                "intensity": flops / moved,
                "rate": flops / spent,
                "MFU": f"{flops / spent / limits['flops']:.1%}",
                "MBU": f"{moved / spent / limits['bandwidth']:.1%}",
                "seconds": format_value(spent, "s"),
            }
        )
    return pd.DataFrame(rows), limits if rows else {}


def facts_of(header: Mapping[str, Any], trace: LaunchTrace | None) -> list[tuple[str, str, str]]:
    """The launch in a few numbers, each with where it comes from; unknown ones are left out.

    Returns:
        (name, value with unit, source or qualification) in the order they should be read.
    """
    telemetry, metrics = _mapping(header.get("telemetry")), _mapping(header.get("metrics"))
    window = window_of(header, trace)
    found: list[tuple[str, float | None, str, str]] = []
    for name, label in PANELS[0].lines.items():
        mean = _mean_in(trace, name, window)
        if mean is None:
            mean = _number(telemetry.get(f"{name}_mean"))
        source = "NVML" if name == "utilization" else "hardware counter"
        found.append((label, mean, "1", f"mean over the load, {source}"))
    energy = _number(metrics.get("energy_per_token"))
    found.append(("Energy per token", energy, "J/token", "NVML's energy counter over the load"))
    found.append(("Power", _number(telemetry.get("power_mean")), "W", "mean over the load"))
    found.append(("SM clock", _number(telemetry.get("sm_clock_min")), "Hz", "lowest"))
    found.append(("Temperature", _number(telemetry.get("temperature_max")), "°C", "highest"))
    for name, label in (
        ("mbu_prefill", "MBU, prefill"),
        ("mbu_decode", "MBU, decode"),
        ("mfu_prefill", "MFU, prefill"),
        ("mfu_decode", "MFU, decode"),
    ):
        found.append((label, _number(metrics.get(name)), "1", "analytic, of the measured ceiling"))
    cpu = "of one processor, all threads"
    found.append(("Processor time", _number(metrics.get("cpu_share")), "1", cpu))
    stolen = "of the machine's processors, by its host"
    found.append(("Stolen time", _number(metrics.get("cpu_steal")), "1", stolen))
    return [
        (label, format_value(value, unit), source)
        for label, value, unit, source in found
        if value is not None
    ]


def warnings_of(header: Mapping[str, Any]) -> list[str]:
    """What held the clocks down during the load, and why the energy is not valid."""
    telemetry = _mapping(header.get("telemetry"))
    shares = _mapping(telemetry.get("throttled_share"))
    warnings = [
        f"clocks held down by {name} in {share:.0%} of the samples"
        for name, share in shares.items()
        if share
    ]
    if problem := telemetry.get("energy_problem"):
        warnings.append(f"no valid energy: {problem}")
    return warnings


def _mean_in(
    trace: LaunchTrace | None, name: str, window: tuple[float, float] | None
) -> float | None:
    values = [
        value
        for sample in (trace.telemetry if trace else ())
        if (value := _number(sample.get(name))) is not None
        and (window is None or window[0] <= (_number(sample.get("time")) or 0.0) <= window[1])
    ]
    return fmean(values) if values else None


def _amount(counters: Mapping[str, Any], phase: str, what: str) -> float | None:
    whole, prefill = (_number(counters.get(f"{part}_{what}")) for part in ("model", "prefill"))
    if phase == "prefill":
        return prefill
    return None if whole is None or prefill is None else whole - prefill


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: object) -> float | None:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if known else None  # type: ignore[arg-type]
