"""Where the time is going now, as advice with figures, in the layers people reason in. Pure.

A rule looks at facts of the machine, of a launch, of traces or of a server. It gives advice where a figure
is beyond its limit; where the figure is not known it says what is missing, and never advises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from tracker.doctor import HostFacts
from tracker.fingerprint import Gpu

__all__ = ["LAYERS", "Advice", "Diagnosis", "Facts", "diagnose"]

Layer = Literal["system", "model", "data"]
LAYERS: tuple[Layer, ...] = ("system", "model", "data")

_STEAL = 0.01
_BUSY = 0.5  # load average a core
_SLOW_CLOCK = 0.9  # of the highest
_THROTTLED = 0.05  # of the samples
_BOUND = 0.8  # of a ceiling: what reaches it is bound by it
_FAR = 0.5  # of both ceilings: what reaches neither is bound by the host
_PADDING = 0.05
_SMALL_BATCH = 0.25  # of the seats
_RECOMPUTED = 0.02  # of the prompt tokens
_HOST_GAP = 0.2  # of a step
_TEXT = 0.1  # of a step
_QUEUE = 0.1  # seconds
_CACHE_FULL = 0.95


@dataclass(frozen=True, slots=True)
class Advice:
    """One finding.

    Attributes:
        name: Of the condition.
        layer: "system", "model" or "data".
        figure: What was measured, with its unit.
        limit: What it should keep to.
        source: Where the figure is from.
        action: What to do.
        gain: What that is expected to bring, at most.
    """

    name: str
    layer: Layer
    figure: str
    limit: str
    source: str
    action: str
    gain: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known; None, or an empty mapping, is what is not.

    Attributes:
        host: The processor now.
        gpus: As NVML sees them now.
        suite: The launch that the figures below are of.
        metrics: Of the launch, by name of the catalogue.
        counters: The engine's, over the launch's timed part.
        engine: The engine's settings.
        telemetry: Of the launch's GPU.
        threads: The engine's.
        phases: Seconds a step by phase, from traces of this commit.
        server: A running server's numbers, by name of the catalogue.
        server_url: Where it is.
    """

    host: HostFacts | None = None
    gpus: tuple[Gpu, ...] = ()
    suite: str = ""
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    counters: Mapping[str, float] = field(default_factory=dict)
    engine: Mapping[str, object] = field(default_factory=dict)
    telemetry: Mapping[str, object] = field(default_factory=dict)
    threads: int | None = None
    phases: Mapping[str, float] = field(default_factory=dict)
    server: Mapping[str, float | None] = field(default_factory=dict)
    server_url: str = ""

    def metric(self, name: str) -> float | None:
        return self.metrics.get(name)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is beyond its limit, what keeps to it, and what is not known.

    Attributes:
        advice: The findings, by layer.
        fine: Names of conditions that were looked for and are not there.
        unknown: Names of conditions with the fact that is missing.
    """

    advice: tuple[Advice, ...]
    fine: tuple[str, ...]
    unknown: tuple[tuple[str, str], ...]


class _UnknownFactError(Exception):
    """The fact that a rule needs is missing; its text names it."""


def diagnose(facts: Facts) -> Diagnosis:
    """Return every rule's answer to the facts."""
    advice: list[Advice] = []
    fine: list[str] = []
    unknown: list[tuple[str, str]] = []
    for name, (layer, rule) in _RULES.items():
        try:
            found = rule(facts)
        except _UnknownFactError as missing:
            unknown.append((name, str(missing)))
            continue
        if found is None:
            fine.append(name)
        else:
            advice.append(Advice(name, layer, *found))
    advice.sort(key=lambda item: LAYERS.index(item.layer))
    return Diagnosis(tuple(advice), tuple(fine), tuple(unknown))


_Found = tuple[str, str, str, str, str] | None  # figure, limit, source, action, gain


def _known(value: float | None, what: str) -> float:
    if value is None:
        raise _UnknownFactError(what)
    return value


def _of_launch(facts: Facts) -> str:
    return f"launch of {facts.suite}"


def _steal(facts: Facts) -> _Found:
    steal = _known(facts.metric("cpu_steal"), "a launch with cpu_steal")
    if steal <= _STEAL:
        return None
    return (
        f"{steal:.1%} of processor time stolen", f"{_STEAL:.0%}", f"/proc/stat, {_of_launch(facts)}",
        "give the virtual machine cores of its own", f"{steal:.1%} of the time",
    )  # fmt: skip


def _other_load(facts: Facts) -> _Found:
    if facts.host is None:
        raise _UnknownFactError("the host's load")
    share = facts.host.load / facts.host.cores
    if share <= _BUSY:
        return None
    return (
        f"load average {facts.host.load:.1f} on {facts.host.cores} cores",
        f"{_BUSY * facts.host.cores:.1f}", "/proc/loadavg, now",
        "end or move the other processes", f"up to {min(share, 1.0):.0%} of the cores",
    )  # fmt: skip


def _cpu_clock(facts: Facts) -> _Found:
    host = facts.host
    frequency = _known(host.frequency if host else None, "cpufreq (not exposed here)")
    assert host is not None
    if frequency >= _SLOW_CLOCK or host.governor == "performance":
        return None
    return (
        f"core at {frequency:.0%} of its highest clock, governor {host.governor}",
        f"{_SLOW_CLOCK:.0%}", "/sys/devices/system/cpu, now",
        "cpupower frequency-set --governor performance", f"up to {1 / frequency:.2g} x host speed",
    )  # fmt: skip


def _threads(facts: Facts) -> _Found:
    threads = _known(facts.threads, "a launch with its number of threads")
    if facts.host is None:
        raise _UnknownFactError("the host's cores")
    if threads <= facts.host.cores:
        return None
    return (
        f"{threads:.0f} threads on {facts.host.cores} cores", f"{facts.host.cores}", _of_launch(facts),
        "set OMP_NUM_THREADS, or EngineConfig.num_threads, to the cores",
        f"up to {threads / facts.host.cores:.2g} x",
    )  # fmt: skip


def _gpu_clock(facts: Facts) -> _Found:
    mean = facts.telemetry.get("sm_clock_mean")
    highest = max((g.max_sm_clock or 0 for g in facts.gpus), default=0)
    if not isinstance(mean, int | float) or not highest:
        raise _UnknownFactError("the SM clock of a launch, and NVML's highest")
    if mean >= _SLOW_CLOCK * highest:
        return None
    return (
        f"SM clock {mean:.0f} MHz under load", f"{_SLOW_CLOCK * highest:.0f} of {highest} MHz",
        f"NVML, {_of_launch(facts)}", "nvidia-smi --reset-gpu-clocks; replace a card that stays slow",
        f"up to {highest / mean:.2g} x where compute-bound",
    )  # fmt: skip


def _throttling(facts: Facts) -> _Found:
    shares = facts.telemetry.get("throttled_share")
    if not isinstance(shares, dict):
        raise _UnknownFactError("throttle reasons of a launch's GPU")
    reasons = {r: float(s) for r, s in shares.items() if r not in ("gpu_idle", "sync_boost")}
    worst = max(reasons, key=lambda reason: reasons[reason], default=None)
    if worst is None or reasons[worst] <= _THROTTLED:
        return None
    return (
        f"{worst} in {reasons[worst]:.0%} of the samples", f"{_THROTTLED:.0%}",
        f"NVML, {_of_launch(facts)}", "cool the card, or raise the power limit",
        f"the clocks lost in {reasons[worst]:.0%} of the time",
    )  # fmt: skip


def _shared_gpu(facts: Facts) -> _Found:
    if not facts.gpus:
        raise _UnknownFactError("a GPU")
    processes = [pid for gpu in facts.gpus for pid in gpu.processes]
    if not processes:
        return None
    return (
        f"{len(processes)} processes hold the GPU ({', '.join(map(str, processes[:4]))})", "0",
        "NVML, now", "measure on a GPU of its own", "their share of the GPU's time",
    )  # fmt: skip


def _decode_bound(facts: Facts) -> _Found:
    used = _known(facts.metric("mbu_decode"), "mbu_decode of a launch")
    if used < _BOUND:
        return None
    return (
        f"decode reads at {used:.0%} of the memory's bandwidth", f"{_BOUND:.0%}: bound by it",
        _of_launch(facts), "read less: quantization='int8', a larger batch, prompt look-up",
        "int8: up to 2 x fewer bytes than bf16, 4 x than fp32",
    )  # fmt: skip


def _far_from_ceilings(facts: Facts) -> _Found:
    memory = _known(facts.metric("mbu_decode"), "mbu_decode of a launch")
    compute = _known(facts.metric("mfu_decode"), "mfu_decode of a launch")
    reached = max(memory, compute)
    if reached >= _FAR:
        return None
    return (
        f"decode reaches {memory:.0%} of bandwidth and {compute:.0%} of FLOPs", f"{_FAR:.0%} of either",
        _of_launch(facts), "bound by launches and host code: CUDA graphs, fewer ops, a larger batch; "
        "`tracker explain` names the places", f"up to {_BOUND / max(reached, 1e-3):.2g} x",
    )  # fmt: skip


def _prefill(facts: Facts) -> _Found:
    used = _known(facts.metric("mfu_prefill"), "mfu_prefill of a launch")
    if used >= _FAR:
        return None
    return (
        f"prefill reaches {used:.0%} of the FLOPs of a matrix product", f"{_FAR:.0%}",
        _of_launch(facts), "larger chunks (max_num_batched_tokens), faster attention",
        f"up to {_BOUND / max(used, 1e-3):.2g} x in prefill",
    )  # fmt: skip


def _padding(facts: Facts) -> _Found:
    counters = facts.counters
    if "padded_tokens" not in counters or not counters.get("useful_tokens"):
        raise _UnknownFactError("padded_tokens of a launch")
    share = counters["padded_tokens"] / (counters["padded_tokens"] + counters["useful_tokens"])
    if share <= _PADDING:
        return None
    return (
        f"{share:.1%} of the batch's lanes are padding", f"{_PADDING:.0%}", _of_launch(facts),
        "batching='continuous', or narrower buckets", f"up to {share:.1%} of the steps' arithmetic",
    )  # fmt: skip


def _batch(facts: Facts) -> _Found:
    steps = facts.counters.get("steps", 0) - facts.counters.get("prefill_steps", 0)
    seats = facts.engine.get("max_num_seqs")
    tokens = facts.counters.get("decode_tokens")
    if steps <= 0 or not isinstance(seats, int | float) or tokens is None:
        raise _UnknownFactError("decode steps of a launch, and its engine's max_num_seqs")
    mean = tokens / steps
    if mean >= _SMALL_BATCH * seats:
        return None
    return (
        f"{mean:.1f} sequences decode at once", f"{_SMALL_BATCH:.0%} of {seats:.0f} seats",
        _of_launch(facts), "send more requests at once: each step reads the weights for all of them",
        f"up to {seats / max(mean, 1e-3):.2g} x tokens a second while bound by the weights",
    )  # fmt: skip


def _cache(facts: Facts) -> _Found:
    counters = facts.counters
    if "preemptions" not in counters or not counters.get("prompt_tokens"):
        raise _UnknownFactError("preemptions of a launch")
    again = counters.get("prefill_tokens", 0.0) + counters.get("prefix_hit_tokens", 0.0)
    share = max(0.0, again / counters["prompt_tokens"] - 1)
    if not counters["preemptions"] or share <= _RECOMPUTED:
        return None
    return (
        f"{counters['preemptions']:.0f} preemptions; {share:.0%} of the prompt tokens computed again",
        f"{_RECOMPUTED:.0%}", _of_launch(facts), "a larger cache (num_blocks, kv_cache_bytes), or fewer seats",
        f"{share / (1 + share):.0%} of the prefill",
    )  # fmt: skip


def _phase_share(facts: Facts, *names: str) -> float:
    whole = sum(facts.phases.values())
    if whole <= 0:
        raise _UnknownFactError("traces of this commit (`tracker explain`)")
    return sum(facts.phases.get(name, 0.0) for name in names) / whole


def _host_gap(facts: Facts) -> _Found:
    share = _phase_share(facts, "host gap", "queue")
    if share <= _HOST_GAP:
        return None
    return (
        f"{share:.0%} of a step is host code beside the model", f"{_HOST_GAP:.0%}",
        f"traces of {facts.suite}", "enable_overlap and enable_staging; `tracker explain` names the places",
        f"up to {share:.0%} of a step",
    )  # fmt: skip


def _text(facts: Facts) -> _Found:
    share = _phase_share(facts, "tokenize", "detokenize")
    if share <= _TEXT:
        return None
    return (
        f"{share:.0%} of a step is tokenizing and detokenizing", f"{_TEXT:.0%}", f"traces of {facts.suite}",
        "a fast tokenizer (tokenizer.json); token ids from the client", f"up to {share:.0%} of a step",
    )  # fmt: skip


def _server_queue(facts: Facts) -> _Found:
    waited = _known(facts.server.get("server_queue_time"), "a server's queue time (--url)")
    if waited <= _QUEUE:
        return None
    return (
        f"requests wait {waited:.2f} s in the queue", f"{_QUEUE:g} s", f"{facts.server_url}/metrics",
        "more seats or another replica; a lower rate", f"{waited:.2f} s of each first token",
    )  # fmt: skip


def _server_cache(facts: Facts) -> _Found:
    used = _known(facts.server.get("server_kv_usage"), "a server's cache usage (--url)")
    if used < _CACHE_FULL:
        return None
    preempted = facts.server.get("server_preemptions")
    return (
        f"{used:.0%} of the KV cache in use, {preempted or 0:.0f} preemptions while looked at",
        f"{_CACHE_FULL:.0%}", f"{facts.server_url}/metrics",
        "more memory for the cache, shorter contexts, or fewer seats", "the prompts computed again",
    )  # fmt: skip


_RULES: dict[str, tuple[Layer, Callable[[Facts], _Found]]] = {
    "stolen processor time": ("system", _steal),
    "other processes": ("system", _other_load),
    "slow processor clock": ("system", _cpu_clock),
    "too many threads": ("system", _threads),
    "slow GPU clock": ("system", _gpu_clock),
    "throttled GPU": ("system", _throttling),
    "shared GPU": ("system", _shared_gpu),
    "decode bound by memory": ("model", _decode_bound),
    "decode far from every ceiling": ("model", _far_from_ceilings),
    "prefill far from its ceiling": ("model", _prefill),
    "padding": ("model", _padding),
    "small batch": ("model", _batch),
    "cache too small": ("model", _cache),
    "host gap": ("model", _host_gap),
    "text": ("data", _text),
    "server's queue": ("data", _server_queue),
    "server's cache": ("model", _server_cache),
}
