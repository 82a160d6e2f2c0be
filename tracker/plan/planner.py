"""Which hardware holds the limits: what was measured, and the roofline for the rest. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from tracker.plan.evidence import Point, names_model
from tracker.plan.hardware import Gpu
from tracker.plan.models import KNOWN, ModelSize
from tracker.plan.roofline import (
    MEMORY_SHARE,
    Deployment,
    Estimate,
    Shares,
    Workload,
    most_that_fit,
    predict,
    weight_bytes,
)

__all__ = [
    "GOALS",
    "SCENARIOS",
    "WEIGHTS",
    "Compared",
    "Limits",
    "Option",
    "Plan",
    "make_plan",
]

# What a serving team asks of any engine, at full size.
SCENARIOS = {
    workload.name: workload
    for workload in (
        Workload("chat", 256, 128),
        Workload("long", 1024, 512),
        Workload("documents", 3500, 128),
    )
}
WEIGHTS = ("bf16", "fp8", "int8", "int4")  # the more precise first
SHARDS = (1, 2, 4, 8)  # GPUs of one replica
GOALS = Shares(0.80, 0.50, "goals of a tuned engine, not measured")
_LIKE = 1.25  # a measured load has the asked lengths where they are within this factor
_MOST = 4096  # requests in flight of one replica


@dataclass(frozen=True, slots=True)
class Limits:
    """What requests must hold.

    Attributes:
        concurrency: Requests in flight over all replicas.
        ttft: Seconds, of 95 % of the requests.
        tpot: Seconds, on average.
    """

    concurrency: int
    ttft: float
    tpot: float

    def hold(self, ttft: float, tpot: float) -> bool:
        return ttft <= self.ttft and tpot <= self.tpot


@dataclass(frozen=True, slots=True)
class Option:
    """The fewest GPUs of one kind that serve the load in one format of weights.

    Attributes:
        deployment: One replica.
        highest: Requests in flight up to which a replica holds the limits; 0: not even one.
        bound: What ends it there, in words.
        replicas: 0 where no replica holds the limits.
        ttft, tpot, throughput: At the asked concurrency, of a replica; throughput of all.
        measured: The load that they are from; None: modelled.
    """

    deployment: Deployment
    highest: int
    bound: str
    replicas: int
    ttft: float | None
    ttft_burst: float | None
    tpot: float | None
    throughput: float | None
    communication: float
    measured: Point | None = None

    @property
    def num_gpus(self) -> int:
        return self.replicas * self.deployment.num_gpus


@dataclass(frozen=True, slots=True)
class Compared:
    """A measured load beside what the model says of it; None where too little is known of it."""

    point: Point
    modelled: Estimate | None


@dataclass(frozen=True, slots=True)
class Plan:
    """The answer for one model and workload.

    Attributes:
        options: One a GPU and format of weights, in the order of the question.
        shares: Of each GPU, by its name.
        evidence: Every measured load of the model.
    """

    model: ModelSize
    workload: Workload
    limits: Limits
    options: tuple[Option, ...]
    shares: dict[str, Shares]
    evidence: tuple[Compared, ...]

    def best(self, gpu: str) -> Option | None:
        """Return the option of fewest GPUs of that kind; of equal ones the most precise weights."""
        fitting = [o for o in self.options if o.replicas and o.deployment.gpu.name == gpu]
        return min(
            fitting,
            key=lambda o: (o.num_gpus, WEIGHTS.index(o.deployment.weights)),
            default=None,
        )


def make_plan(
    model: ModelSize,
    gpus: Sequence[Gpu],
    weights: Sequence[str],
    workload: Workload,
    limits: Limits,
    points: Iterable[Point],
) -> Plan:
    """Return every option for one model and workload.

    Args:
        model, gpus, weights, workload, limits: The question.
        points: All that the store has measured, of any model.
    """
    known = list(points)
    own = [point for point in known if names_model(point.model, model.name)]
    shares = {gpu.name: _shares(model, gpu, known) for gpu in gpus}
    options = tuple(
        _fewest(
            [
                _option(Deployment(model, gpu, n, kind), workload, limits, shares[gpu.name], own)
                for n in SHARDS
                if model.kv_heads % n == 0 and model.heads % n == 0
            ]
        )
        for gpu in gpus
        for kind in weights
    )
    evidence = tuple(Compared(point, _modelled(model, point)) for point in own)
    return Plan(model, workload, limits, options, shares, evidence)


def _fewest(options: Sequence[Option]) -> Option:
    """Return the option of fewest GPUs; where none holds the limits, the one that comes nearest."""
    fitting = [option for option in options if option.replicas]
    if not fitting:
        return options[-1]
    return min(fitting, key=lambda option: (option.num_gpus, option.deployment.num_gpus))


def _option(
    deployment: Deployment,
    workload: Workload,
    limits: Limits,
    shares: Shares,
    points: Iterable[Point],
) -> Option:
    def holds(concurrency: int) -> bool:
        made = predict(deployment, workload, concurrency, shares)
        return limits.hold(made.ttft, made.tpot)

    fits = most_that_fit(deployment, workload)
    highest = _highest(holds, _MOST if fits is None else min(fits, _MOST))
    measured = [point for point in points if _is_like(point, deployment, workload)]
    held, failed = _measured_range(measured, limits)
    if failed is not None and highest >= failed:  # what was measured overrules the model
        highest = held or failed - 1
    highest = max(highest, held)
    bound = _bound(deployment, workload, limits, shares, fits, highest, failed)
    if not highest:
        return Option(deployment, 0, bound, 0, None, None, None, None, 0.0)
    replicas = math.ceil(limits.concurrency / highest)
    each = math.ceil(limits.concurrency / replicas)
    made = predict(deployment, workload, each, shares)
    best = min(
        (p for p in measured if p.concurrency and each <= p.concurrency <= each * _LIKE),
        key=lambda p: p.concurrency or 0,
        default=None,
    )
    return Option(
        deployment=deployment,
        highest=highest,
        bound=bound,
        replicas=replicas,
        ttft=made.ttft if best is None else best.ttft,
        ttft_burst=made.ttft_burst,
        tpot=made.tpot if best is None else best.tpot,
        throughput=replicas * made.throughput
        if best is None or not best.throughput
        else replicas * best.throughput,
        communication=made.communication,
        measured=best,
    )


def _highest(holds: Callable[[int], bool], most: int) -> int:
    """Return the greatest number up to ``most`` that holds, or 0; what holds, holds for less, too."""
    low, high = 0, most + 1
    while high - low > 1:
        middle = (low + high) // 2
        if holds(middle):
            low = middle
        else:
            high = middle
    return low


def _measured_range(points: Sequence[Point], limits: Limits) -> tuple[int, int | None]:
    """Return the most requests in flight that were measured to hold the limits, and the fewest not.

    The first is below the second; 0 and None where nothing was measured.
    """
    loads = [
        (p.concurrency, limits.hold(p.ttft, p.tpot))
        for p in points
        if p.concurrency and p.ttft is not None and p.tpot is not None
    ]
    failed = min((count for count, held in loads if not held), default=None)
    below = [count for count, _ in loads if failed is None or count < failed]
    return max(below, default=0), failed


def _is_like(point: Point, deployment: Deployment, workload: Workload) -> bool:
    return (
        point.gpu.name == deployment.gpu.name
        and point.num_gpus == deployment.num_gpus
        and point.weights == deployment.weights
        and _near(point.prompt, workload.prompt)
        and _near(point.output, workload.output)
        and None not in (point.concurrency, point.ttft, point.tpot)
    )


def _near(measured: float | None, asked: int) -> bool:
    return measured is not None and 1 / _LIKE <= measured / asked <= _LIKE


def _bound(
    deployment: Deployment,
    workload: Workload,
    limits: Limits,
    shares: Shares,
    fits: int | None,
    highest: int,
    failed: int | None,
) -> str:
    """Return what keeps a replica from one more request than ``highest``."""
    if failed is not None and highest < failed:
        return f"measured: {failed} in flight miss the limits"
    if fits is not None and highest >= fits:
        memory = deployment.gpu.memory or 0.0
        room = MEMORY_SHARE * memory * deployment.num_gpus
        taken = weight_bytes(deployment.model, deployment.weights)
        return f"memory: weights take {taken / 1e9:.1f} GB of {room / 1e9:.1f}"
    made = predict(deployment, workload, highest + 1, shares)
    if made.ttft > limits.ttft:
        return f"TTFT: {made.ttft:.2f} s at {highest + 1}"
    return f"TPOT: {made.tpot * 1e3:.1f} ms at {highest + 1}"


def _shares(model: ModelSize, gpu: Gpu, points: Iterable[Point]) -> Shares:
    """Return the shares that launches on this GPU reached: of the model, else of the nearest in size."""
    on_it = [p for p in points if p.on_gpu and p.gpu.name == gpu.name and p.num_gpus == 1]
    sizes = {
        size.name: [p for p in on_it if names_model(p.model, size.name)] for size in KNOWN.values()
    }

    def distance(name: str) -> float:
        return abs(math.log(KNOWN[name].body_weights / model.body_weights))

    for name in sorted(sizes, key=distance):
        bandwidth = [p.bandwidth_share for p in sizes[name] if p.bandwidth_share]
        flops = [p.flops_share for p in sizes[name] if p.flops_share]
        if bandwidth or flops:
            return Shares(
                median(bandwidth) if bandwidth else GOALS.bandwidth,
                median(flops) if flops else GOALS.flops,
                f"launches of {name} on {gpu.name}: {len(bandwidth)} of decoding, {len(flops)} of "
                "prompts (a goal where there is none)",
                measured=True,
            )
    return GOALS


def _modelled(model: ModelSize, point: Point) -> Estimate | None:
    """Return what the model says, at the goals' shares, of a load that was measured."""
    if None in (point.concurrency, point.prompt, point.output, point.num_gpus, point.weights):
        return None
    assert point.concurrency and point.prompt and point.output  # for mypy
    assert point.num_gpus and point.weights
    workload = Workload("measured", round(point.prompt), round(point.output))
    deployment = Deployment(model, point.gpu, point.num_gpus, point.weights)
    return predict(deployment, workload, point.concurrency, GOALS)
