"""Which family a metric belongs to, from its name, unit and kind; and which scenario a series.

The groups are the rows of the small multiples and the filter of the series page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from tracker.domain import SeriesInfo

__all__ = [
    "GROUPS",
    "bare_name",
    "cold_and_warm",
    "label",
    "metric_group",
    "scenario",
    "short_name",
    "siblings",
    "suite_of",
]

GROUPS: Final = (
    "Latency",
    "First-token time",
    "Throughput",
    "Utilization",
    "Memory",
    "Exact counters",
    "Other",
)

_FIRST_TOKEN = re.compile(r"ttft|first[_ ]?token", re.IGNORECASE)
_UTILIZATION = re.compile(
    r"(?:^|_)(?:mbu|mfu|util\w*|occupancy|busy|sm_active|tensor_active|dram_active|active_share"
    r"|batching_efficiency)(?:_|$)",
    re.IGNORECASE,
)
_MEMORY = re.compile(r"(?:^|_)(?:mem|memory|peakmem|rss|vram)(?:_|$)", re.IGNORECASE)
_THROUGHPUT = re.compile(r"throughput|goodput|per_second", re.IGNORECASE)
_BYTES = {"b", "byte", "bytes", "kb", "mb", "gb", "kib", "mib", "gib"}
_TIMES = {"s", "sec", "second", "seconds", "ms", "us", "µs", "ns"}


def metric_group(series: SeriesInfo) -> str:
    """The one of `GROUPS` that a series belongs to; the metric's name decides before its unit."""
    return _group(series.benchmark.rpartition(".")[2], series.unit.lower(), series.kind)


@lru_cache(maxsize=4096)  # a page asks for a thousand series of a few dozen metrics
def _group(name: str, unit: str, kind: str) -> str:
    if _FIRST_TOKEN.search(name):
        return "First-token time"
    if kind == "utilization" or _UTILIZATION.search(name):
        return "Utilization"
    if unit in _BYTES or _MEMORY.search(name):
        return "Memory"
    if kind == "exact":
        return "Exact counters"
    if kind == "rate" or _THROUGHPUT.search(name) or unit.endswith(("/s", "/sec")):
        return "Throughput"
    if kind == "timing" or unit in _TIMES:
        return "Latency"
    return "Other"


def scenario(series: SeriesInfo) -> str:
    """The suite class a series belongs to: everything before the last dot of its benchmark."""
    return suite_of(series.benchmark)


def suite_of(metric: str) -> str:
    """The suite class in a metric's full name; the name itself where there is no dot."""
    benchmark = metric.partition("(")[0]
    return benchmark.rpartition(".")[0] or benchmark


def short_name(series: SeriesInfo) -> str:
    """The metric's own name without suite and asv's prefix: "ttft_p50(8, 'c4')"."""
    return bare_name(series.metric)


def bare_name(metric: str) -> str:
    """A metric's full name without suite and asv's prefix, parameters kept."""
    benchmark, bracket, params = metric.partition("(")
    name = benchmark.rpartition(".")[2]
    for prefix in ("track_", "time_", "timeraw_", "mem_", "peakmem_"):
        if name.startswith(prefix) and len(name) > len(prefix):
            name = name[len(prefix) :]
            break
    return name + bracket + params


def label(series: SeriesInfo) -> str:
    """The full name of a series, as gates and reports write it."""
    return series.metric


_STATE = re.compile(r"(?:^|_)(?:cold|warm)(?=_|$)")


def cold_and_warm(series: SeriesInfo, candidates: Iterable[SeriesInfo]) -> list[SeriesInfo]:
    """What measures the same beside a series in another state: "warm_first_token_time" and the like."""

    def stateless(one: SeriesInfo) -> str:
        return _STATE.sub("", short_name(one)).strip("_")

    members = [one for group in siblings(series, candidates).values() for one in group]
    return [o for o in members if o.id != series.id and stateless(o) == stateless(series)]


def siblings(series: SeriesInfo, candidates: Iterable[SeriesInfo]) -> dict[str, list[SeriesInfo]]:
    """The series that stand beside one: its scenario, parameters, machine and environment.

    Returns:
        Group name to series in name order; groups in the order of `GROUPS`, empty ones left
        out. Of several versions of a benchmark only the one measured last remains.
    """
    latest: dict[str, SeriesInfo] = {}
    for other in candidates:
        same = (
            scenario(other) == scenario(series)
            and other.params == series.params
            and other.machine == series.machine
            and other.environment == series.environment
        )
        if not same:
            continue
        known = latest.get(other.benchmark)
        if known is None or _stands_for(other, known, series):
            latest[other.benchmark] = other
    grouped: dict[str, list[SeriesInfo]] = {}
    for group in GROUPS:
        members = sorted(
            (s for s in latest.values() if metric_group(s) == group), key=lambda s: s.benchmark
        )
        if members:
            grouped[group] = members
    return grouped


def _stands_for(other: SeriesInfo, known: SeriesInfo, series: SeriesInfo) -> bool:
    if series.id in (other.id, known.id):
        return other.id == series.id
    return _measured(other) > _measured(known)


def _measured(series: SeriesInfo) -> float:
    return series.last_measured.timestamp() if series.last_measured else float("-inf")
