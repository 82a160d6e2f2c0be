"""A server's own ``/metrics``: Prometheus text to the few numbers that explain a latency.

Each number has other names in vLLM, SGLang, llama.cpp and this repository's server. A server that
does not publish a number leaves it None.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence

from tracker.load.metrics import Values

__all__ = ["parse", "server_metrics"]

_SAMPLE = re.compile(r"^([A-Za-z_:][\w:]*)(?:\{.*\})?\s+(\S+)(?:\s+\S+)?$")

_WAITING = (
    "vllm:num_requests_waiting",
    "sglang:num_queue_reqs",
    "llamacpp:requests_deferred",
    "pacekeeper:requests_waiting",
)
_RUNNING = (
    "vllm:num_requests_running",
    "sglang:num_running_reqs",
    "llamacpp:requests_processing",
    "pacekeeper:requests_running",
)
_KV_USAGE = (
    "vllm:kv_cache_usage_perc",
    "vllm:gpu_cache_usage_perc",
    "sglang:token_usage",
    "llamacpp:kv_cache_usage_ratio",
    "pacekeeper:kv_usage",
)
_QUEUE_TIME = (
    "vllm:request_queue_time_seconds",
    "sglang:queue_time_seconds",
    "pacekeeper:queue_time_seconds",
)
_FIRST_TOKEN = (
    "vllm:time_to_first_token_seconds",
    "sglang:time_to_first_token_seconds",
)
_PREEMPTIONS = (
    "vllm:num_preemptions_total",
    "sglang:num_retracted_requests_total",
    "pacekeeper:preemptions_total",
)
# A share as two counters: part, whole.
_PREFIX_HITS = (
    ("vllm:prefix_cache_hits_total", "vllm:prefix_cache_queries_total"),
    ("vllm:gpu_prefix_cache_hits_total", "vllm:gpu_prefix_cache_queries_total"),
    ("sglang:cached_tokens_total", "sglang:prompt_tokens_total"),
    ("pacekeeper:prefix_hit_tokens_total", "pacekeeper:prompt_tokens_total"),
)
_ACCEPTED = (
    ("vllm:spec_decode_num_accepted_tokens_total", "vllm:spec_decode_num_draft_tokens_total"),
    ("pacekeeper:draft_tokens_accepted_total", "pacekeeper:draft_tokens_total"),
)
_ACCEPTANCE = ("sglang:spec_accept_rate",)  # a gauge of the last interval

Samples = Mapping[str, float]


def parse(text: str) -> dict[str, float]:
    """Return the value of each metric, summed over its labels; shares are the largest instead.

    Summed, since a server with several engines labels each of them. NaN is left out: it means that
    there was nothing to measure.
    """
    values: dict[str, float] = {}
    for line in text.splitlines():
        match = _SAMPLE.match(line)
        if match is None:
            continue
        name = match[1]
        try:
            value = float(match[2])
        except ValueError:
            continue
        if math.isnan(value):
            continue
        if name in _KV_USAGE or name in _ACCEPTANCE:
            values[name] = max(values.get(name, value), value)
        else:
            values[name] = values.get(name, 0.0) + value
    return values


def server_metrics(scrapes: Sequence[Samples]) -> Values:
    """Return the server's numbers over a window, by name of the catalogue.

    Args:
        scrapes: In order of time; the first before the load, the last after it.
    """
    if len(scrapes) < 2:
        return dict.fromkeys(_NAMES)
    during = scrapes[1:-1] or scrapes
    first, last = scrapes[0], scrapes[-1]
    waits, first_tokens = (
        _first_known(_share(first, last, f"{name}_sum", f"{name}_count") for name in names)
        for names in (_QUEUE_TIME, _FIRST_TOKEN)
    )
    return {
        "server_queue_length": _mean(during, _WAITING),
        "server_queue_time": waits,
        "server_ttft": first_tokens,
        "server_running": _mean(during, _RUNNING),
        "server_kv_usage": max(_gauges(during, _KV_USAGE), default=None),
        "server_prefix_hit_rate": _first_known(_share(first, last, *pair) for pair in _PREFIX_HITS),
        "server_preemptions": _first_known(_growth(first, last, name) for name in _PREEMPTIONS),
        "server_spec_acceptance": _first_known(
            [*(_share(first, last, *pair) for pair in _ACCEPTED), _mean(during, _ACCEPTANCE)]
        ),
    }


_NAMES = (
    "server_queue_length",
    "server_queue_time",
    "server_ttft",
    "server_running",
    "server_kv_usage",
    "server_prefix_hit_rate",
    "server_preemptions",
    "server_spec_acceptance",
)


def _gauges(scrapes: Sequence[Samples], names: Sequence[str]) -> list[float]:
    return [scrape[name] for scrape in scrapes for name in names if name in scrape]


def _mean(scrapes: Sequence[Samples], names: Sequence[str]) -> float | None:
    values = _gauges(scrapes, names)
    return sum(values) / len(values) if values else None


def _growth(first: Samples, last: Samples, name: str) -> float | None:
    # A counter that fell was reset by a restart: what it counted is not known.
    if name not in first or name not in last or last[name] < first[name]:
        return None
    return last[name] - first[name]


def _share(first: Samples, last: Samples, part: str, whole: str) -> float | None:
    parts, wholes = _growth(first, last, part), _growth(first, last, whole)
    return parts / wholes if parts is not None and wholes else None


def _first_known(values: Iterable[float | None]) -> float | None:
    return next((value for value in values if value is not None), None)
