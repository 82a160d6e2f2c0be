"""The definitions of the metrics: pure functions over request records and engine counters.

Seconds and tokens; ``docs/metrics.md`` is the page for readers. Every function returns None where
the metric has no value (no request had a token, no gap between tokens, a counter that the engine
does not keep), never 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tracker.load.records import RequestRecord

__all__ = [
    "RELAXED",
    "STRICT",
    "TRIM",
    "Slo",
    "attention_efficiency",
    "batching_efficiency",
    "counter_metrics",
    "decode_throughput",
    "duration",
    "error_rate",
    "flops_per_token",
    "goodput",
    "graph_replay_share",
    "kv_fragmentation",
    "latency_metrics",
    "prefill_throughput",
    "prefix_hit_rate",
    "quantile",
    "response_cache_hit_rate",
    "steady_throughput",
    "throughput",
    "total",
]

TRIM = 0.1  # share of the duration that the steady throughput leaves out at either end

Records = Sequence[RequestRecord]
Values = dict[str, float | None]


@dataclass(frozen=True, slots=True)
class Slo:
    """A service level: a request is good when both latencies are within it.

    Attributes:
        ttft: Most seconds to the first token.
        tpot: Most seconds per output token after it.
    """

    ttft: float
    tpot: float


# MLPerf Inference's limits for an 8B model: conversational and interactive.
RELAXED = Slo(ttft=2.0, tpot=0.1)
STRICT = Slo(ttft=0.5, tpot=0.03)


def quantile(values: Sequence[float], level: float) -> float | None:
    """Return the quantile at ``level`` in [0, 1]; linear between order statistics (type 7).

    Source: Hyndman & Fan 1996, definition 7; numpy's default.
    """
    if not 0.0 <= level <= 1.0:
        raise ValueError(f"level is {level!r}; give a number in [0, 1]")
    if not values:
        return None
    ordered = sorted(values)
    place = level * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def duration(records: Records) -> float | None:
    """Return last token - first submit over all requests, s; None without a token."""
    last = [r.times.arrivals[-1] for r in records if r.times.arrivals]
    return max(last) - min(r.submitted for r in records) if last else None


def throughput(records: Records) -> float | None:
    """Return output tokens / ``duration``, tokens/s; None where a count is not known."""
    return _per_second(total(r.output_tokens for r in records), duration(records))


def steady_throughput(records: Records) -> float | None:
    """Return the throughput of the middle: without the first and last ``TRIM`` of the duration.

    Ramp-up and drain run at lower concurrency than the load asks for; what is left does not.
    """
    whole = duration(records)
    if not whole or any(r.chunk_times and not r.token_times for r in records):
        return None
    start = min(r.submitted for r in records)
    low, high = start + TRIM * whole, start + (1 - TRIM) * whole
    inside = sum(1 for r in records for t in r.token_times if low <= t < high)
    return inside / (high - low)


def decode_throughput(records: Records) -> float | None:
    """Return tokens after each request's first / (last token - earliest first token), tokens/s."""
    counts = [r.output_tokens for r in records]
    begun = [r.times.arrivals for r in records if r.streamed and (r.output_tokens or 0) >= 2]
    if not begun or None in counts:
        return None
    span = max(times[-1] for times in begun) - min(times[0] for times in begun)
    return _per_second(sum(n - 1 for n in counts if n is not None and n >= 2), span)


def prefill_throughput(records: Records) -> float | None:
    """Return computed prompt tokens / ``duration``, tokens/s; for loads that only prefill.

    Prompt tokens that the prefix cache already held were not computed and do not count. None
    unless every request asked for a single token.
    """
    if any(r.output_tokens != 1 for r in records):
        return None
    prompt, cached = (
        total(r.prompt_tokens for r in records),
        total(r.cached_tokens for r in records),
    )
    computed = None if prompt is None or cached is None else prompt - cached
    return _per_second(computed, duration(records))


def goodput(records: Records, slo: Slo) -> float | None:
    """Return requests within ``slo`` / ``duration``, requests/s.

    A failed request is never good, nor a cancelled one; one with a single token has no TPOT and is held to TTFT alone.
    None where replies were not streamed, for then neither is known.
    """
    if not all(r.streamed for r in records):
        return None
    return _per_second(sum(1 for r in records if _is_good(r, slo)), duration(records))


def error_rate(records: Records) -> float | None:
    """Return (failed + timed out + wrong length) / submitted; None if none was submitted."""
    if not records:
        return None
    return sum(1 for r in records if r.failure is not None) / len(records)


def latency_metrics(records: Records, slos: tuple[Slo, Slo] = (RELAXED, STRICT)) -> Values:
    """Return every metric that request records alone decide, by name.

    Args:
        records: All requests of the timed part.
        slos: The relaxed and the strict service level.
    """
    # A failed request has no latency, and nobody waited for a cancelled one.
    whole = [r for r in records if r.failure is None and not r.cancelled]
    queue = [r.queue_time for r in whole if r.queue_time is not None]
    ttft = [r.ttft for r in whole if r.ttft is not None]
    tpot = [r.tpot for r in whole if r.tpot is not None]
    e2e = [r.e2e for r in whole if r.e2e is not None]
    # Pooled, so that a stall shows in the tail. Token gaps only where every token's time is known.
    known = all(r.token_times or not r.chunk_times for r in whole)
    itl = [gap for r in whole for gap in r.gaps] if known else []
    icl = [gap for r in whole for gap in r.times.chunk_gaps]
    answer = [r.first_answer - r.submitted for r in whole if r.first_answer is not None]
    return {
        "ttft_p50": quantile(ttft, 0.5),
        "ttft_p95": quantile(ttft, 0.95),
        "ttft_p99": quantile(ttft, 0.99),
        "tpot_p50": quantile(tpot, 0.5),
        "tpot_p95": quantile(tpot, 0.95),
        "itl_p50": quantile(itl, 0.5),
        "itl_p95": quantile(itl, 0.95),
        "itl_p99": quantile(itl, 0.99),
        "itl_max": max(itl, default=None),
        "icl_p50": quantile(icl, 0.5),
        "icl_p95": quantile(icl, 0.95),
        "icl_p99": quantile(icl, 0.99),
        "icl_max": max(icl, default=None),
        "first_answer_p50": quantile(answer, 0.5),
        "first_answer_p95": quantile(answer, 0.95),
        "e2e_p50": quantile(e2e, 0.5),
        "e2e_p95": quantile(e2e, 0.95),
        "queue_time_p50": quantile(queue, 0.5),
        "queue_time_p95": quantile(queue, 0.95),
        "duration": duration(records),
        "throughput": throughput(records),
        "throughput_steady": steady_throughput(records),
        "decode_throughput": decode_throughput(records),
        "prefill_throughput": prefill_throughput(records),
        "goodput_relaxed": goodput(records, slos[0]),
        "goodput_strict": goodput(records, slos[1]),
        "error_rate": error_rate(records),
    }


def batching_efficiency(counters: Mapping[str, float]) -> float | None:
    """Return useful / (useful + padding) tokens computed by the steps; None if not counted."""
    useful, padding = counters.get("useful_tokens"), counters.get("padded_tokens")
    if useful is None or padding is None or useful + padding == 0:
        return None
    return useful / (useful + padding)


def attention_efficiency(counters: Mapping[str, float]) -> float | None:
    """Return KV positions of contexts / (those and padding) that attention read; None: unknown.

    Padding is what a short sequence reads because it runs beside a longer one.
    """
    read, padding = counters.get("kv_tokens_read"), counters.get("kv_tokens_padded")
    if read is None or padding is None or read + padding == 0:
        return None
    return read / (read + padding)


def prefix_hit_rate(counters: Mapping[str, float]) -> float | None:
    """Return prompt tokens found in the prefix cache / prompt tokens; None if not counted."""
    hit, prompt = counters.get("prefix_hit_tokens"), counters.get("prompt_tokens")
    if hit is None or not prompt:
        return None
    return hit / prompt


def graph_replay_share(counters: Mapping[str, float]) -> float | None:
    """Return CUDA graph replays / decode steps; None if not counted, or no step only decoded."""
    replays, steps, prefill = (
        counters.get(name) for name in ("graph_replays", "steps", "prefill_steps")
    )
    if replays is None or steps is None or prefill is None or steps == prefill:
        return None
    return replays / (steps - prefill)


def flops_per_token(counters: Mapping[str, float]) -> float | None:
    """Return model FLOPs / generated tokens, prefill's work included; None if not counted."""
    flops, tokens = counters.get("model_flops"), counters.get("tokens_generated")
    if flops is None or not tokens:
        return None
    return flops / tokens


def kv_fragmentation(counters: Mapping[str, float]) -> float | None:
    """Return the share of KV positions held at requests' ends that had no token; None: not counted."""
    held, filled = counters.get("kv_slots_held"), counters.get("kv_slots_filled")
    return None if not held or filled is None else 1 - filled / held


def response_cache_hit_rate(counters: Mapping[str, float]) -> float | None:
    """Return the answered share of requests that an earlier output may answer; None: there were none."""
    hits, misses = counters.get("response_cache_hits"), counters.get("response_cache_misses")
    if hits is None or misses is None or hits + misses == 0:
        return None
    return hits / (hits + misses)


def counter_metrics(counters: Mapping[str, float]) -> Values:
    """Return the metrics made of the engine's counters, by name.

    Every counter of the engine is a metric of its name; those of single ops are summed. One that the
    engine does not keep (an older commit) is not there.
    """
    steps = counters.get("steps")
    calls = [value for name, value in counters.items() if name.startswith("op_calls.")]
    return {
        **{name: n for name, n in counters.items() if not name.startswith("op_calls.")},
        "batching_efficiency": batching_efficiency(counters),
        "attention_efficiency": attention_efficiency(counters),
        "flops_per_token": flops_per_token(counters),
        "prefix_hit_rate": prefix_hit_rate(counters),
        "kv_fragmentation": kv_fragmentation(counters),
        "response_cache_hit_rate": response_cache_hit_rate(counters),
        "communication_bytes_per_step": _per_step(counters, "communication_bytes"),
        "graph_replay_share": graph_replay_share(counters),
        "op_calls_per_step": sum(calls) / steps if calls and steps else None,
    }


def _per_step(counters: Mapping[str, float], name: str) -> float | None:
    count, steps = counters.get(name), counters.get("steps")
    return None if count is None or not steps else count / steps


def _is_good(record: RequestRecord, slo: Slo) -> bool:
    if record.failure is not None or record.cancelled:
        return False
    if record.ttft is None or record.ttft > slo.ttft:
        return False
    return record.tpot is None or record.tpot <= slo.tpot


def total(counts: Iterable[int | None]) -> int | None:
    """Return the sum of ``counts``; None where one of them is not known."""
    known = list(counts)
    return None if None in known else sum(count for count in known if count is not None)


def _per_second(amount: float | None, seconds: float | None) -> float | None:
    return amount / seconds if seconds and amount is not None else None
