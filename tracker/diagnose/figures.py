"""The figures that the rules judge, each from the facts; None where these do not say. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from tracker.diagnose.rule import Facts, Figure
from tracker.fingerprint import Gpu

BOUND = 0.8  # of a ceiling: what reaches it is bound by it
# CUDA that a compute capability needs, of the driver and of torch's build.
_CUDA_OF = {
    "8.0": "11.0",
    "8.6": "11.1",
    "8.9": "11.8",
    "9.0": "11.8",
    "10.0": "12.8",
    "12.0": "12.8",
}
_IDLE = frozenset({"gpu_idle", "sync_boost"})  # no reason against a clock


def metric(*names: str) -> Callable[[Facts], Figure]:
    """Return the figure that is the largest of some metrics, all of them known."""

    def figure(facts: Facts) -> Figure:
        known = {name: value for name in names if (value := facts.metrics.get(name)) is not None}
        if len(known) < len(names):
            return None
        x = max(known.values())
        return {"x": x, "faster": BOUND / max(x, 1e-3), **known}

    return figure


def load(facts: Facts) -> Figure:
    host = facts.host
    if host is None:
        return None
    share = host.load / host.cores
    return {"x": share, "load": host.load, "cores": host.cores, "lost": min(share, 1.0), "most": host.cores / 2}  # fmt: skip


def clock(facts: Facts) -> Figure:
    host = facts.host
    if host is None or not host.frequency:
        return None
    chosen = 1.0 if host.governor == "performance" else host.frequency  # an idle core rests
    return {"x": chosen, "share": host.frequency, "governor": host.governor, "faster": 1 / host.frequency}  # fmt: skip


def threads(facts: Facts) -> Figure:
    threads = facts.fingerprint.get("threads")
    if facts.host is None or not isinstance(threads, int):
        return None
    cores = facts.host.cores
    return {"x": threads / cores, "threads": threads, "cores": cores}


def blas(facts: Facts) -> Figure:
    return None if facts.blas is None else {"x": facts.blas.flops / 1e9, "name": facts.blas.name}


def sm_clock(facts: Facts) -> Figure:
    clock, most = (facts.telemetry.get(name) for name in ("sm_clock_busy", "sm_clock_limit"))
    if not isinstance(clock, int | float) or not isinstance(most, int | float) or not most:
        return None
    return {"x": clock / most, "mhz": clock / 1e6, "most": most / 1e6, "faster": most / clock}


def throttled(facts: Facts) -> Figure:
    shares = facts.telemetry.get("throttled_share")
    if isinstance(shares, dict):
        known = {reason: float(share) for reason, share in shares.items() if reason not in _IDLE}
    elif facts.gpus:
        known = {reason: 1.0 for gpu in facts.gpus for reason in gpu.throttle}
    else:
        return None
    worst = max(known, key=lambda reason: known[reason], default="nothing")
    return {"x": known.get(worst, 0.0), "reason": worst}


def of_gpus(figure: Callable[[Gpu], dict[str, Any] | None], *, worst: Literal["least", "most"]) -> Callable[[Facts], Figure]:  # fmt: skip
    """Return the figure of the worst GPU that has one, with its number."""

    def over_all(facts: Facts) -> Figure:
        known = [
            {**f, "gpu": n} for n, gpu in enumerate(facts.gpus) if (f := figure(gpu)) is not None
        ]
        choose = min if worst == "least" else max
        return choose(known, key=lambda values: values["x"], default=None)

    return over_all


def processes(gpu: Gpu) -> dict[str, Any]:
    return {"x": len(gpu.processes), "pids": ", ".join(map(str, gpu.processes[:4])) or "none"}


def ecc(gpu: Gpu) -> dict[str, Any] | None:
    return None if gpu.ecc_errors is None else {"x": gpu.ecc_errors}


def power(gpu: Gpu) -> dict[str, Any] | None:
    if not gpu.power_limit or not gpu.default_power_limit:
        return None
    share = gpu.power_limit / gpu.default_power_limit
    return {"x": share, "watts": gpu.power_limit, "most": gpu.default_power_limit, "faster": 1 / share}  # fmt: skip


def pcie(gpu: Gpu) -> dict[str, Any] | None:
    if not gpu.pcie_width or not gpu.max_pcie_width:
        return None
    share = gpu.pcie_width / gpu.max_pcie_width
    return {"x": share, "width": gpu.pcie_width, "most": gpu.max_pcie_width, "faster": 1 / share}


def driver(facts: Facts) -> Figure:
    """The driver's CUDA beside what the GPUs need, and the first of torch's major version."""
    needed = [_CUDA_OF[g.compute] for g in facts.gpus if g.compute in _CUDA_OF]
    build = facts.fingerprint.get("cuda")
    if isinstance(build, str):
        needed.append(f"{build.partition('.')[0]}.0")
    if facts.driver_cuda is None or not needed:
        return None
    need = max(needed, key=_version)
    return {"x": _version(facts.driver_cuda), "limit": _version(need), "has": facts.driver_cuda, "need": need}  # fmt: skip


def build(facts: Facts) -> Figure:
    needed = [_CUDA_OF[g.compute] for g in facts.gpus if g.compute in _CUDA_OF]
    build = facts.fingerprint.get("cuda")
    if not isinstance(build, str) or not needed:
        return None
    need = max(needed, key=_version)
    return {"x": _version(build), "limit": _version(need), "has": build, "need": need}


def _version(text: str) -> float:
    major, _, minor = text.partition(".")
    return float(major) + float(minor or 0) / 100


def padding(facts: Facts) -> Figure:
    padded, useful = (facts.counters.get(name) for name in ("padded_tokens", "useful_tokens"))
    return {"x": padded / (padded + useful)} if padded is not None and useful else None


def batch(facts: Facts) -> Figure:
    steps = facts.counters.get("steps", 0) - facts.counters.get("prefill_steps", 0)
    seats, tokens = facts.engine.get("max_num_seqs"), facts.counters.get("decode_tokens")
    if steps <= 0 or not isinstance(seats, int | float) or tokens is None:
        return None
    mean = tokens / steps
    return {"x": mean / seats, "mean": mean, "seats": seats, "faster": seats / max(mean, 1e-3)}


def recomputed(facts: Facts) -> Figure:
    counters = facts.counters
    prompts, preempted = counters.get("prompt_tokens"), counters.get("preemptions")
    if not prompts or preempted is None:
        return None
    again = counters.get("prefill_tokens", 0.0) + counters.get("prefix_hit_tokens", 0.0)
    share = max(0.0, again / prompts - 1) if preempted else 0.0
    return {"x": share, "preempted": preempted, "gain": share / (1 + share)}


def phases(*names: str) -> Callable[[Facts], Figure]:
    """Return the figure that is the share of some phases in a step."""

    def figure(facts: Facts) -> Figure:
        whole = sum(facts.phases.values())
        return {"x": sum(facts.phases.get(n, 0.0) for n in names) / whole} if whole > 0 else None

    return figure


def cache(facts: Facts) -> Figure:
    used, preempted = (facts.metrics.get(f"server_{n}") for n in ("kv_usage", "preemptions"))
    return None if used is None else {"x": used, "preempted": preempted or 0.0}


def client(facts: Facts) -> Figure:
    lag, ttft = (facts.metrics.get(name) for name in ("client_lag_p99", "ttft_p50"))
    return {"x": lag / ttft, "ms": 1e3 * lag} if lag is not None and ttft else None


def way(facts: Facts) -> Figure:
    client, server = (facts.metrics.get(name) for name in ("ttft_mean", "server_ttft"))
    return {"x": client - server} if client is not None and server is not None else None
