"""A session's records as a page for readers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, median, stdev
from typing import Any

from benchmarks.gpu.asvfiles import CommitInfo
from benchmarks.gpu.context import datasheet
from benchmarks.gpu.parts import PARTS
from benchmarks.gpu.records import GpuMeasurement, Record

__all__ = ["summary"]


def summary(records: Sequence[Record], facts: dict[str, Any], commit: CommitInfo) -> str:
    """Return the markdown page.

    Args:
        records: The last one of each case.
        facts: Of the device; empty where that part has not run.
        commit: What was measured.
    """
    lines = [
        f"# {facts.get('gpu_model') or 'CPU (toy sizes)'}, commit {commit.hash[:8]}",
        "",
        *_device(facts),
        *_clocks(records),
    ]
    for part in PARTS:
        own = [record for record in records if record.part == part]
        if own:
            lines += ["", f"## {part}", "", *(_noise(own) if part == "aa" else _values(own))]
    problems = [record for record in records if record.status != "done"]
    if problems:
        lines += ["", "## Not measured", ""]
        lines += [f"- {r.part}, {r.case}: {r.status}: {r.problem}" for r in problems]
    missing = [part for part in PARTS if not any(record.part == part for record in records)]
    if missing:
        lines += ["", f"Parts that have not run: {', '.join(missing)}."]
    return "\n".join(lines) + "\n"


def _device(facts: dict[str, Any]) -> list[str]:
    known = {key: value for key, value in facts.items() if value not in (None, "", {})}
    lines = ["| fact | |", "|---|---|", *(f"| {key} | {value} |" for key, value in known.items())]
    peak = datasheet(facts.get("gpu_model"))
    if peak.copy is not None and peak.matmul is not None:
        rates = f"{peak.copy / 1e12:g} TB/s, {peak.matmul / 1e12:g} TFLOP/s bf16"
        lines.append(f"| datasheet | {rates} |")
    return lines


def _clocks(records: Sequence[Record]) -> list[str]:
    seen = [
        gpu
        for r in records
        if r.telemetry is not None
        for gpu in r.telemetry["gpus"]
        if gpu["serves"]
    ]
    if not seen:
        return ["", "No clocks: NVML was not there."]

    def over(key: str, choose: Any) -> Any:
        values = [one[key] for one in seen if one[key] is not None]
        return choose(values) if values else None

    reasons = sorted({name for one in seen for name in one["throttle_reasons"] or ()})
    slowest, hottest = over("sm_clock_min", min), over("temperature_max", max)
    shown = [
        f"SM clock {'unknown' if slowest is None else f'{slowest / 1e6:.0f} MHz'} at the lowest",
        f"{'unknown' if hottest is None else f'{hottest:.0f} °C'} at the hottest",
        f"held down by {', '.join(reasons) or 'nothing'}",
    ]
    return ["", f"Over all cases: {'; '.join(shown)}."]


def _values(records: Sequence[Record]) -> list[str]:
    lines = ["| benchmark | value | unit | better |", "|---|---:|---|---|"]
    for record in records:
        lines += [
            f"| {_name(m)} | {_number(m.value)} | {m.unit} | {m.better} |"
            for m in record.measurements
        ]
    return lines


def _noise(records: Sequence[Record]) -> list[str]:
    samples: dict[str, tuple[GpuMeasurement, list[float]]] = {}
    for record in records:
        for one in record.measurements:
            values = samples.setdefault(_name(one), (one, []))[1]
            if one.value is not None:
                values.append(one.value)
    lines = ["| benchmark | launches | median | SD / mean | unit |", "|---|---:|---:|---:|---|"]
    for name, (like, values) in samples.items():
        middle = median(values) if values else None
        lines.append(
            f"| {name} | {len(values)} | {_number(middle)} | {_spread(values)} | {like.unit} |"
        )
    return lines


def _spread(values: Sequence[float]) -> str:
    if len(values) < 2 or math.isclose(fmean(values), 0.0):
        return "-"
    return f"{stdev(values) / abs(fmean(values)):.2%}"


def _name(one: GpuMeasurement) -> str:
    point = ", ".join(f"{name}={value}" for name, value in one.params)
    return f"{one.name}({point})" if point else one.name


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.5g}"
