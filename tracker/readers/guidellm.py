"""guidellm's `benchmarks.json`: every metric by status, of which only successful requests count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tracker.readers.content import has_keys
from tracker.readers.tool import (
    NotReadable,
    ToolReader,
    ToolRun,
    Value,
    moment,
    number,
    rate,
    seconds,
)

__all__ = ["READER"]

VERSION = 2  # of the format
_TIMES = {
    "request_latency": ("request_latency", "s"),
    "request_scheduled_latency": ("request_scheduled_latency", "s"),
    "time_to_first_token_ms": ("time_to_first_token", "ms"),
    "time_to_first_output_token_ms": ("time_to_first_output_token", "ms"),
    "time_per_output_token_ms": ("time_per_output_token", "ms"),
    "inter_token_latency_ms": ("inter_token_latency", "ms"),
}
_RATES = {
    "requests_per_second": ("requests_per_second", "req/s"),
    "output_tokens_per_second": ("output_tokens_per_second", "tokens/s"),
    "prompt_tokens_per_second": ("prompt_tokens_per_second", "tokens/s"),
    "tokens_per_second": ("tokens_per_second", "tokens/s"),
}
# Its p999 is 99.9 %, its p001 0.1 %.
_PERCENTILES = {"p50": "p50", "p90": "p90", "p95": "p95", "p99": "p99", "p999": "p99.9"}


def _parse(document: Any) -> Iterator[ToolRun]:
    metadata = document["metadata"]
    if str(metadata.get("version")) != str(VERSION):
        raise NotReadable(f"format version {metadata.get('version')!r}; {VERSION} is read")
    for benchmark in document["benchmarks"]:
        metrics, config = benchmark["metrics"], benchmark["config"]
        strategy, backend = config["strategy"], config.get("backend") or {}
        load = [("strategy", strategy["type_"])]
        load += [(key, strategy[key]) for key in ("rate", "streams") if key in strategy]
        yield ToolRun(
            values=tuple(_values(metrics)),
            source=[config.get("id_"), metrics],
            params=(("model", backend.get("model")), *load, *_size(document)),
            tool_version=metadata.get("guidellm_version"),
            measured_at=moment(benchmark.get("start_time")),
        )


def _values(metrics: Mapping[str, Any]) -> Iterator[Value]:
    for key, (name, unit) in _TIMES.items():
        metric = (metrics.get(key) or {}).get("successful")
        if metric is None:
            continue
        empty = not metric["count"]
        statistics = {"mean": metric["mean"]}
        statistics |= {
            ours: metric["percentiles"][theirs]
            for theirs, ours in _PERCENTILES.items()
            if theirs in metric["percentiles"]
        }
        for statistic, raw in statistics.items():
            yield seconds(f"{name}_{statistic}", None if empty else raw, unit)
    for key, (name, unit) in _RATES.items():
        metric = (metrics.get(key) or {}).get("successful")
        if metric is not None:
            yield rate(name, metric["mean"], unit)
    totals = metrics["request_totals"]
    if total := number(totals["total"], "the number of requests"):
        failed = total - number(totals["successful"], "the number of successful requests")
        yield Value("error_rate", failed / total, "1", "lower")


def _size(document: Mapping[str, Any]) -> list[tuple[str, object]]:
    data = (document.get("config") or {}).get("spec", {}).get("data") or [{}]
    return [(key, data[0][key]) for key in ("prompt_tokens", "output_tokens") if key in data[0]]


READER = ToolReader("guidellm", lambda head: has_keys(head, "guidellm_version", "metadata"), _parse)
