"""How far the gate can be trusted, as data frames: A/A record, resolution, control. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import fmean, median

import pandas as pd

from dashboard.groups import bare_name, suite_of
from dashboard.tables import seen_by
from dashboard.units import format_date, format_effect
from tracker.artifacts import control_seconds
from tracker.domain import CalibrationRecord, GateInfo, GateLaunch

__all__ = ["control_frame", "record_frame", "resolution_frame"]


def record_frame(records: Iterable[CalibrationRecord]) -> pd.DataFrame:
    """One row a machine and day: how many A/A gates there were by then, and the bound on the rate."""
    return pd.DataFrame(
        [
            {
                "machine": record.machine,
                "when": record.until,
                "A/A gates": record.counted.gates,
                "false alarms": record.counted.false_blocks,
                "percent": 100 * (record.counted.upper_bound or 0.0),
            }
            for record in records
        ]
    )


def resolution_frame(gates: Iterable[GateInfo]) -> pd.DataFrame:
    """One row a metric and machine: how finely its newest gate measured it, coarsest first.

    Args:
        gates: Newest first. Exact metrics have no noise and are left out.
    """
    rows: dict[tuple[str, str], dict[str, object]] = {}
    visible: dict[tuple[str, str], float] = {}
    for gate in gates:
        for verdict in gate.verdicts:
            key = gate.machine, verdict.metric
            low, high = verdict.low, verdict.high
            if verdict.kind == "exact" or low is None or high is None:
                continue
            if (sees := seen_by(gate, verdict)) is not None:
                visible.setdefault(key, abs(sees))
            if key in rows or not math.isfinite(high - low):
                continue
            rows[key] = {
                "metric": bare_name(verdict.metric),
                "suite": suite_of(verdict.metric),
                "machine": gate.machine,
                "interval": f"±{100 * (high - low) / 2:.2f} %",
                "could see": "–",
                "pairs": verdict.pairs,
                "verdict": verdict.status,
                "measured": format_date(gate.started_at),
                "_width": high - low,
            }
    for key, least in visible.items():
        if key in rows:
            rows[key]["could see"] = format_effect(least)
    ordered = sorted(
        rows.values(), key=lambda row: (-float(str(row["_width"])), str(row["metric"]))
    )
    return pd.DataFrame(ordered).drop(columns="_width", errors="ignore")


def control_frame(machine: str, launches: Iterable[GateLaunch]) -> pd.DataFrame:
    """One row a launch: how much slower the control ran than it usually does on the machine.

    Args:
        machine: Its name, for the rows.
        launches: Of that machine, oldest first; those without a control are left out.
    """
    measured: list[dict[str, float]] = []
    last = None
    for launch in launches:
        times = control_seconds(launch.header)
        # The scenarios of one launch may share the control that ran around all of them.
        if times and (launch.gate_id, launch.pair, launch.arm, times) != last:
            measured.append(times)
        last = launch.gate_id, launch.pair, launch.arm, times
    parts = {part for times in measured for part in times}
    usual = {part: median(times[part] for times in measured if part in times) for part in parts}
    rows = []
    for place, times in enumerate(measured):
        slower = math.exp(fmean(math.log(times[part] / usual[part]) for part in times)) - 1
        rows.append({"machine": machine, "launch": place, "percent": 100 * slower})
    return pd.DataFrame(rows, columns=["machine", "launch", "percent"])
