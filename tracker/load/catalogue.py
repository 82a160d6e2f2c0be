"""Every metric that a suite may publish: what it is measured in, which way is better, its kind.

The kind decides the statistics: ``timing``, ``rate``, ``utilization`` and ``energy`` are noisy
and take several launches; ``exact`` is the same on every launch of the same work, so that one
launch decides; ``other`` is noisy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from tracker.domain import Better, Kind
from tracker.errors import did_you_mean
from tracker.load.errors import ScenarioError

__all__ = ["CATALOGUE", "Metric", "pick", "published"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One published number of a launch.

    Attributes:
        name: Its key in a launch's metrics; the benchmark is ``track_<name>``.
        title: Words for a page.
        unit: Base unit.
        better: ``"lower"`` or ``"higher"``.
        kind: See the module.
        version: Set by hand; raise it when the definition changes.
        clean: Of requests: without value where any request failed, for latencies of a load that
            was only half served say nothing.
    """

    name: str
    title: str
    unit: str
    better: Better
    kind: Kind
    version: str = "1"
    clean: bool = True


def _lower(name: str, title: str, unit: str, kind: Kind, *, clean: bool = True) -> Metric:
    return Metric(name, title, unit, "lower", kind, clean=clean)


def _higher(name: str, title: str, unit: str, kind: Kind, *, clean: bool = True) -> Metric:
    return Metric(name, title, unit, "higher", kind, clean=clean)


_ALL = (
    _lower("ttft_p50", "Time to first token, median", "s", "timing"),
    _lower("ttft_p95", "Time to first token, p95", "s", "timing"),
    _lower("ttft_p99", "Time to first token, p99", "s", "timing"),
    _lower("ttft_first_turn", "Time to first token, first turn of a chat", "s", "timing"),
    _lower("ttft_last_turn", "Time to first token, last turn of a chat", "s", "timing"),
    _lower("ttft_growth", "Time to first token, last turn over first", "1", "timing"),
    _lower("tpot_p50", "Time per output token, median", "s", "timing"),
    _lower("tpot_p95", "Time per output token, p95", "s", "timing"),
    _lower("itl_p50", "Gap between tokens, median", "s", "timing"),
    _lower("itl_p95", "Gap between tokens, p95", "s", "timing"),
    _lower("itl_p99", "Gap between tokens, p99", "s", "timing"),
    _lower("itl_max", "Longest gap between tokens", "s", "timing"),
    _lower("icl_p50", "Gap between chunks, median", "s", "timing"),
    _lower("icl_p95", "Gap between chunks, p95", "s", "timing"),
    _lower("icl_p99", "Gap between chunks, p99", "s", "timing"),
    _lower("icl_max", "Longest gap between chunks", "s", "timing"),
    _lower("first_answer_p50", "Time to first answer token, median", "s", "timing"),
    _lower("first_answer_p95", "Time to first answer token, p95", "s", "timing"),
    _lower("e2e_p50", "Submitted to last token, median", "s", "timing"),
    _lower("e2e_p95", "Submitted to last token, p95", "s", "timing"),
    _lower("cpu_time_per_token", "Processor time per output token", "s", "timing"),
    _higher("throughput", "Output tokens per second", "tokens/s", "rate"),
    _higher("throughput_steady", "Output tokens per second, steady part", "tokens/s", "rate"),
    _higher("decode_throughput", "Decoded tokens per second", "tokens/s", "rate"),
    _higher("prefill_throughput", "Prompt tokens per second", "tokens/s", "rate"),
    _higher("goodput_relaxed", "Requests per second within the relaxed SLO", "req/s", "rate"),
    _higher("goodput_strict", "Requests per second within the strict SLO", "req/s", "rate"),
    _lower("error_rate", "Failed share of requests", "1", "exact", clean=False),
    _higher("batching_efficiency", "Useful share of computed tokens", "1", "exact"),
    _higher("attention_efficiency", "Useful share of KV positions read", "1", "exact"),
    _higher("prefix_hit_rate", "Prompt tokens found in the prefix cache", "1", "exact"),
    _lower("steps", "Engine steps", "steps", "exact"),
    _lower("prefill_tokens", "Prompt tokens computed", "tokens", "exact"),
    _lower("decode_tokens", "Decode tokens computed", "tokens", "exact"),
    _higher("prefix_hit_tokens", "Prompt tokens found in the prefix cache", "tokens", "exact"),
    _lower("padded_tokens", "Padding computed", "tokens", "exact"),
    _lower("preemptions", "Requests preempted", "requests", "exact"),
    _lower("blocks_allocated", "KV blocks allocated", "blocks", "exact"),
    _lower("blocks_evicted", "KV blocks evicted", "blocks", "exact"),
    _lower("peak_blocks_used", "Most KV blocks in use", "blocks", "exact"),
    _lower("op_calls_per_step", "Op calls per engine step", "calls", "exact"),
    _lower("graph_captures", "CUDA graphs captured under load", "captures", "exact"),
    _lower("flops_per_token", "Model FLOPs per generated token", "FLOP", "exact"),
    _lower("weight_bytes", "Size of the weights", "bytes", "exact", clean=False),
    _lower("kv_cache_bytes", "Size of the KV cache", "bytes", "exact", clean=False),
    _lower("peak_rss", "Peak resident memory of the process", "bytes", "other", clean=False),
    _lower("peak_cuda_memory", "Peak CUDA memory allocated", "bytes", "exact", clean=False),
    _lower("import_time", "Importing the engine", "s", "timing", clean=False),
    _lower("construct_time", "Constructing the engine", "s", "timing", clean=False),
    _lower("first_token_time", "First token of a constructed engine", "s", "timing", clean=False),
    _lower("cold_start_time", "Import, construct, first token", "s", "timing", clean=False),
    _lower("energy_per_token", "Energy per output token", "J/token", "energy"),
    _lower("control_gemm", "One product of the control workload", "s", "timing", clean=False),
    _lower("control_copy", "One copy of the control workload", "s", "timing", clean=False),
    _lower("control_python", "Python of the control workload", "s", "timing", clean=False),
    _lower(
        "client_lag_p99", "The client's share of a first token, p99", "s", "timing", clean=False
    ),
    _lower(
        "client_read_delay_p99", "Wait of a read for the client, p99", "s", "timing", clean=False
    ),
    _lower("server_queue_length", "Requests waiting in the server, mean", "requests", "other"),
    _lower("server_queue_time", "Wait in the server's queue, mean", "s", "timing"),
    _higher("server_running", "Requests running in the server, mean", "requests", "other"),
    _lower("server_kv_usage", "Share of the server's KV cache in use, most", "1", "utilization"),
    _higher("server_prefix_hit_rate", "Prompt tokens found in the server's cache", "1", "other"),
    _lower("server_preemptions", "Requests the server preempted", "requests", "other"),
    _higher("server_spec_acceptance", "Share of drafted tokens accepted", "1", "other"),
    _higher("mbu_prefill", "Memory bandwidth used by prefill (analytic)", "1", "utilization"),
    _higher("mbu_decode", "Memory bandwidth used by decode (analytic)", "1", "utilization"),
    _higher("mfu_prefill", "FLOPs used by prefill (analytic)", "1", "utilization"),
    _higher("mfu_decode", "FLOPs used by decode (analytic)", "1", "utilization"),
    _higher("memory_turnover", "Device memory moved per second (analytic)", "1/s", "utilization"),
    _higher("cpu_share", "Processors kept busy by the process", "1", "utilization"),
    _lower("cpu_steal", "Processor time stolen from the machine", "1", "utilization", clean=False),
    _higher("gpu_utilization", "Share of time with a kernel running", "1", "utilization"),
)

CATALOGUE = {metric.name: metric for metric in _ALL}


class _Measured(Protocol):
    @property
    def metrics(self) -> Mapping[str, float | None]: ...
    @property
    def void(self) -> str | None: ...


def published(result: _Measured) -> list[tuple[Metric, float | None]]:
    """Return every metric of ``result`` that the catalogue knows, with its value.

    Of a void result those that failed requests or a late client make worthless have none.
    """
    return [
        (CATALOGUE[name], None if result.void is not None and CATALOGUE[name].clean else value)
        for name, value in result.metrics.items()
        if name in CATALOGUE
    ]


def pick(names: Iterable[str]) -> tuple[Metric, ...]:
    """Return the metrics of those names, in that order.

    Raises:
        ScenarioError: A name is unknown (with the nearest known one) or given twice.
    """
    chosen: list[Metric] = []
    for name in names:
        if name not in CATALOGUE:
            raise ScenarioError(f"no metric {name!r}; {did_you_mean(name, CATALOGUE)}")
        if CATALOGUE[name] in chosen:
            raise ScenarioError(f"metric {name!r} is given twice")
        chosen.append(CATALOGUE[name])
    return tuple(chosen)
