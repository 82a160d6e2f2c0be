"""vLLM's `bench serve`, `bench throughput` and `bench latency`; SGLang's `bench_serving` beside it.

All name their statistics alike: `p99_ttft_ms`. vLLM writes 0 where a statistic has no sample.
Their statistics are of successful requests; `error_rate` says how many were not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import numpy as np

from tracker.readers.content import has_keys, json_lines
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

__all__ = ["LATENCY", "SERVE", "SGLANG", "THROUGHPUT"]

_STATISTIC = re.compile(r"(mean|median|p\d+(?:\.\d+)?)_(\w+)_ms")
_THROUGHPUTS = {
    "request_throughput": "req/s",
    "request_goodput": "req/s",
    "input_throughput": "tokens/s",
    "output_throughput": "tokens/s",
    "total_token_throughput": "tokens/s",
    "total_throughput": "tokens/s",
    "accept_length": "tokens",
}
_SERVE_PARAMS = (
    "model_id",
    "endpoint_type",
    "backend",
    "label",
    "num_prompts",
    "request_rate",
    "burstiness",
    "max_concurrency",
    "ramp_up_strategy",
    "ramp_up_start_rps",
    "ramp_up_end_rps",
)
_SGLANG_PARAMS = (
    "tag",
    "backend",
    "dataset_name",
    "request_rate",
    "max_concurrency",
    "sharegpt_output_len",
    "random_input_len",
    "random_output_len",
    "random_range_ratio",
)


def _serve(document: Any) -> Iterator[ToolRun]:
    for result in document:
        yield _serving_run(result, _SERVE_PARAMS, number(result["num_prompts"], "num_prompts"))


def _sglang(document: Any) -> Iterator[ToolRun]:
    for result in document:
        submitted = result.get("num_prompts")
        if submitted is None and isinstance(result.get("errors"), list):
            submitted = len(result["errors"])
        yield _serving_run(result, _SGLANG_PARAMS, submitted)


def _serving_run(
    result: Mapping[str, Any], params: tuple[str, ...], submitted: float | None
) -> ToolRun:
    values = list(_statistics(result))
    values += [
        rate(name, result[name], unit)
        for name, unit in _THROUGHPUTS.items()
        if result.get(name) is not None
    ]
    completed = number(result["completed"], "completed")
    if submitted:
        values.append(Value("error_rate", (submitted - completed) / submitted, "1", "lower"))
    return ToolRun(
        values=tuple(values),
        source=result,
        params=tuple((key, result[key]) for key in params if result.get(key) is not None),
        commit=_text(result.get("commit")),
        machine=_text(result.get("machine")),
        measured_at=_date(result.get("date")),
        tool_version=_text(result.get("tool_version")),
    )


def _statistics(result: Mapping[str, Any]) -> Iterator[Value]:
    seen = set()
    for key, raw in result.items():
        if match := _STATISTIC.fullmatch(key):
            statistic, metric = match.groups()
            statistic = "p50" if statistic == "median" else statistic
            if (name := f"{metric}_{statistic}") not in seen:  # p50 may be asked for by name, too
                seen.add(name)
                yield seconds(name, raw, "ms", zero_is_missing=True)
    latencies, errors = result.get("latencies"), result.get("errors")
    if "e2el_p50" not in seen and isinstance(latencies, list) and not errors:
        # Written for every run, and 0 for a request that failed.
        succeeded = [number(latency, "a latency") for latency in latencies if latency]
        for statistic in (50, 99):
            value = float(np.percentile(succeeded, statistic)) if succeeded else None
            yield seconds(f"e2el_p{statistic}", value)


def _throughput(document: Any) -> Iterator[ToolRun]:
    yield ToolRun(
        values=(
            rate("request_throughput", document["requests_per_second"], "req/s"),
            # Of prompt and output tokens together.
            rate("total_token_throughput", document["tokens_per_second"], "tokens/s"),
        ),
        source=document,
        params=(("model_id", document.get("model_id")), ("num_requests", document["num_requests"])),
    )


def _latency(document: Any) -> Iterator[ToolRun]:
    samples = tuple(number(latency, "a latency") for latency in document["latencies"])
    percentiles = document["percentiles"]
    values = [seconds("batch_latency_mean", document["avg_latency"], samples=samples)]
    values += [seconds(f"batch_latency_p{key}", raw) for key, raw in percentiles.items()]
    yield ToolRun(tuple(values), document, params=(("model_id", document.get("model_id")),))


def _text(raw: object) -> str | None:
    return raw if isinstance(raw, str) and raw else None


def _date(raw: object) -> datetime | None:
    """vLLM's own `20261128-100351`, local time without a zone."""
    try:
        return moment(datetime.strptime(str(raw), "%Y%m%d-%H%M%S").isoformat())
    except ValueError:
        return None


def _objects(text: str) -> list[Any]:
    values = json_lines(text)
    if not all(isinstance(value, dict) for value in values):
        raise NotReadable("holds something else than objects")
    return values


SERVE = ToolReader(
    "vllm-bench-serve",
    lambda head: has_keys(head, "num_prompts", "request_throughput", "total_token_throughput"),
    _serve,
    load=_objects,
)
SGLANG = ToolReader(
    "sglang-bench-serving",
    lambda head: has_keys(head, "total_output_tokens_retokenized", "request_throughput"),
    _sglang,
    load=_objects,
)
THROUGHPUT = ToolReader(
    "vllm-bench-throughput",
    lambda head: has_keys(head, "elapsed_time", "num_requests", "total_num_tokens"),
    _throughput,
)
LATENCY = ToolReader(
    "vllm-bench-latency",
    lambda head: has_keys(head, "avg_latency", "latencies", "percentiles"),
    _latency,
)
