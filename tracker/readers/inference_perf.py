"""inference-perf's `summary_lifecycle_metrics.json` and `stage_N_lifecycle_metrics.json`; seconds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tracker.readers.content import has_keys
from tracker.readers.tool import ToolReader, ToolRun, Value, number, rate, seconds

__all__ = ["READER", "statistics"]

_STATISTIC = re.compile(r"mean|median|p\d+(?:[.p]\d+)?")
_RATES = {
    "requests_per_sec": "req/s",
    "input_tokens_per_sec": "tokens/s",
    "output_tokens_per_sec": "tokens/s",
    "total_tokens_per_sec": "tokens/s",
}


def statistics(name: str, values: Mapping[str, Any], unit: str = "s") -> Iterator[Value]:
    """Yield mean, median and upper percentiles of a time; `p99.9` and `p99p9` are one."""
    for key, raw in values.items():
        if not _STATISTIC.fullmatch(key) or raw is None:
            continue
        statistic = "p50" if key == "median" else re.sub(r"(?<=\d)p", ".", key)
        if statistic == "mean" or float(statistic[1:]) >= 50:
            yield seconds(f"{name}_{statistic}", raw, unit)


def _parse(document: Any) -> Iterator[ToolRun]:
    load, successes, failures = (document[key] for key in ("load_summary", "successes", "failures"))
    values: list[Value] = []
    if number(successes["count"], "the number of successes"):
        for name, latency in (successes.get("latency") or {}).items():
            if isinstance(latency, Mapping):
                values += statistics(name, latency)
    throughput = successes.get("throughput") or {}
    values += [
        rate(key, throughput[key], unit) for key, unit in _RATES.items() if key in throughput
    ]
    total = number(successes["count"], "successes") + number(failures["count"], "failures")
    if total:
        values.append(Value("error_rate", failures["count"] / total, "1", "lower"))
    params = [(key, load[key]) for key in ("requested_rate", "concurrency") if load.get(key)]
    yield ToolRun(tuple(values), document, params=tuple(params))


READER = ToolReader(
    "inference-perf", lambda head: has_keys(head, "load_summary", "successes", "failures"), _parse
)
