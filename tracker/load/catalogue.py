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


# By direction, unit, kind, and whether failed requests take the value away.
_GROUPS: dict[tuple[Better, str, Kind, bool], dict[str, str]] = {
    ("lower", "s", "timing", True): {
        "ttft_p50": "Time to first token, median",
        "ttft_p95": "Time to first token, p95",
        "ttft_p99": "Time to first token, p99",
        "ttft_turn": "Time to first token by turn of a chat",
        "ttft_first_turn": "Time to first token, first turn of a chat",
        "ttft_last_turn": "Time to first token, last turn of a chat",
        "tpot_p50": "Time per output token, median",
        "tpot_p95": "Time per output token, p95",
        "itl_p50": "Gap between tokens, median",
        "itl_p95": "Gap between tokens, p95",
        "itl_p99": "Gap between tokens, p99",
        "itl_max": "Longest gap between tokens",
        "icl_p50": "Gap between chunks, median",
        "icl_p95": "Gap between chunks, p95",
        "icl_p99": "Gap between chunks, p99",
        "icl_max": "Longest gap between chunks",
        "first_answer_p50": "Time to first answer token, median",
        "first_answer_p95": "Time to first answer token, p95",
        "queue_time_p50": "Wait until the engine takes a request up, median",
        "queue_time_p95": "Wait until the engine takes a request up, p95",
        "probe_gap_p50": "Gap between tokens of a stream beside long prompts, median",
        "probe_gap_max": "Longest stall of a stream beside long prompts",
        "e2e_p50": "Submitted to last token, median",
        "e2e_p95": "Submitted to last token, p95",
        "cpu_time_per_token": "Processor time per output token",
        "server_queue_time": "Wait in the server's queue, mean",
    },
    ("lower", "1", "timing", True): {
        "ttft_growth": "Time to first token, last turn over first",
        "ttft_turn_growth": "Time to first token of a turn over the first turn's",
        "tpot_attenuation": "Time per output token over that of the first load of a sweep",
    },
    ("higher", "tokens/s", "rate", True): {
        "throughput": "Output tokens per second",
        "throughput_steady": "Output tokens per second, steady part",
        "decode_throughput": "Decoded tokens per second",
        "prefill_throughput": "Prompt tokens per second",
    },
    ("higher", "req/s", "rate", True): {
        "max_rate": "Highest arrival rate that holds the limits",
        "goodput_relaxed": "Requests per second within the relaxed SLO",
        "goodput_strict": "Requests per second within the strict SLO",
    },
    ("lower", "1", "exact", False): {"error_rate": "Failed share of requests"},
    ("higher", "1", "exact", True): {
        "batching_efficiency": "Useful share of computed tokens",
        "attention_efficiency": "Useful share of KV positions read",
        "prefix_hit_rate": "Prompt tokens found in the prefix cache",
        "graph_replay_share": "Decode steps that were one CUDA graph",
        "response_cache_hit_rate": "Requests answered by an earlier output",
    },
    ("lower", "1", "exact", True): {
        "kv_fragmentation": "KV positions held at requests' ends without a token",
    },
    ("lower", "steps", "exact", True): {"steps": "Engine steps"},
    ("lower", "tokens", "exact", True): {
        "prefill_tokens": "Prompt tokens computed",
        "decode_tokens": "Decode tokens computed",
        "padded_tokens": "Padding computed",
    },
    ("higher", "tokens", "exact", True): {
        "prefix_hit_tokens": "Prompt tokens found in the prefix cache"
    },
    ("lower", "requests", "exact", True): {"preemptions": "Requests preempted"},
    ("lower", "blocks", "exact", True): {
        "blocks_leaked": "KV blocks in use after the load",
        "blocks_allocated": "KV blocks allocated",
        "blocks_evicted": "KV blocks evicted",
        "blocks_stored": "KV blocks copied to host memory",
        "blocks_restored": "KV blocks copied back from host memory",
        "peak_blocks_used": "Most KV blocks in use",
    },
    ("lower", "calls", "exact", True): {
        "op_calls_per_step": "Op calls per engine step",
        "torch_calls_per_step": "Calls of torch's ops per engine step",
        "host_syncs_per_step": "Waits of the host for a value of the device per engine step",
        "copies_per_step": "Tensors copied per engine step",
        "allocations_per_step": "Tensors allocated per engine step",
    },
    ("lower", "bytes", "exact", True): {
        "allocated_bytes_per_step": "Bytes of tensors allocated per engine step",
        "communication_bytes_per_step": "Bytes that a rank sends to others per engine step",
    },
    ("lower", "captures", "exact", True): {"graph_captures": "CUDA graphs captured under load"},
    ("lower", "FLOP", "exact", True): {"flops_per_token": "Model FLOPs per generated token"},
    ("lower", "bytes", "exact", False): {
        "weight_bytes": "Size of the weights",
        "kv_cache_bytes": "Size of the KV cache",
        "peak_cuda_memory": "Peak CUDA memory allocated",
    },
    ("lower", "bytes", "other", False): {"peak_rss": "Peak resident memory of the process"},
    ("lower", "s", "timing", False): {
        "import_time": "Importing the engine",
        "construct_time": "Constructing the engine",
        "capture_time": "Compiling and capturing before the load",
        "warm_construct_time": "Constructing a second engine in the process",
        "warm_first_token_time": "First token of an engine that has served before",
        "first_token_time": "First token of a constructed engine",
        "cold_start_time": "Import, construct, first token",
        "control_gemm": "One product of the control workload",
        "control_copy": "One copy of the control workload",
        "control_python": "Python of the control workload",
        "client_lag_p99": "The client's share of a first token, p99",
        "client_read_delay_p99": "Wait of a read for the client, p99",
    },
    ("lower", "J/token", "energy", True): {"energy_per_token": "Energy per output token"},
    ("lower", "price/Mtok", "other", True): {"cost_per_mtok": "Price of 1,000,000 output tokens"},
    ("higher", "tokens/J", "energy", True): {"tokens_per_joule": "Output tokens per joule"},
    ("lower", "B/s", "utilization", True): {
        "pcie_traffic": "Bytes over PCIe, both ways (GPM)",
        "nvlink_traffic": "Bytes over NVLink, both ways (GPM)",
    },
    ("lower", "requests", "other", True): {
        "server_queue_length": "Requests waiting in the server, mean",
        "server_preemptions": "Requests the server preempted",
    },
    ("higher", "requests", "other", True): {
        "server_running": "Requests running in the server, mean"
    },
    ("lower", "1", "utilization", True): {
        "server_kv_usage": "Share of the server's KV cache in use, most"
    },
    ("higher", "1", "other", True): {
        "server_prefix_hit_rate": "Prompt tokens found in the server's cache",
        "server_spec_acceptance": "Share of drafted tokens accepted",
    },
    ("higher", "1", "utilization", True): {
        "mbu_prefill": "Memory bandwidth used by prefill (analytic)",
        "mbu_decode": "Memory bandwidth used by decode (analytic)",
        "mfu_prefill": "FLOPs used by prefill (analytic)",
        "mfu_decode": "FLOPs used by decode (analytic)",
        "mbu_decode_datasheet": "Datasheet's memory bandwidth used by decode (analytic)",
        "mfu_prefill_datasheet": "Datasheet's FLOPs used by prefill (analytic)",
        "cpu_share": "Processors kept busy by the process",
        "gpu_utilization": "Share of time with a kernel running (NVML)",
        "gpu_memory_utilization": "Share of time with memory being read or written (NVML)",
        "sm_active": "Share of time with a warp resident, mean over SMs (GPM)",
        "sm_occupancy": "Resident warps over the most that fit (GPM)",
        "tensor_active": "Share of time with tensor cores at work (GPM)",
        "dram_active": "Share of the memory's peak bandwidth used (GPM)",
    },
    ("higher", "1/s", "utilization", True): {
        "memory_turnover": "Device memory moved per second (analytic)"
    },
    ("lower", "1", "utilization", False): {
        "cpu_steal": "Processor time stolen from the machine",
        "communication_share": "Share of the steps' time in sums and joins over the ranks",
    },
}

CATALOGUE = {
    name: Metric(name, title, unit, better, kind, clean=clean)
    for (better, unit, kind, clean), titles in _GROUPS.items()
    for name, title in titles.items()
}


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
