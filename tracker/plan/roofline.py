"""Latency and throughput of a deployment, predicted from bytes and FLOPs. Pure.

A step takes the longer of its bytes over the reached bandwidth and its FLOPs over the reached rate,
and, over several GPUs, two all-reduces a layer beside that. Requests come as in a closed loop: ``concurrency``
in flight, each with the same lengths; between two of its tokens a request waits for the prompts of others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tracker.plan.hardware import Gpu
from tracker.plan.models import ModelSize

__all__ = [
    "ALL_REDUCE_LATENCY",
    "BYTES_PER_WEIGHT",
    "MEMORY_SHARE",
    "Deployment",
    "Estimate",
    "Shares",
    "Workload",
    "decode_bytes",
    "most_that_fit",
    "predict",
    "weight_bytes",
]

# Of the layers' matrices; the vocabulary's stay in 16 bits, as published checkpoints keep them.
# int4 has a 16-bit scale for 128 weights.
BYTES_PER_WEIGHT = {"fp32": 4.0, "bf16": 2.0, "fp8": 1.0, "int8": 1.0, "int4": 0.5 + 2 / 128}
MEMORY_SHARE = 0.9  # of a device: the rest is for activations, graphs and what the driver keeps
ALL_REDUCE_LATENCY = 10e-6  # seconds of one, beside its bytes
_TAIL = math.log(20)  # of an exponential wait: 95 % are below so many means


@dataclass(frozen=True, slots=True)
class Workload:
    """What every request is.

    Attributes:
        prompt, output: Tokens.
    """

    name: str
    prompt: int
    output: int


@dataclass(frozen=True, slots=True)
class Shares:
    """Shares of the device's ceilings that the engine reaches, with where they are from.

    Attributes:
        bandwidth: By decoding steps.
        flops: By prompts.
        source: In words.
        measured: Whether a store's launches say so.
    """

    bandwidth: float
    flops: float
    source: str
    measured: bool = False


@dataclass(frozen=True, slots=True)
class Deployment:
    """One replica: a model, its weights' format, and the GPUs that share it."""

    model: ModelSize
    gpu: Gpu
    num_gpus: int
    weights: str  # a key of BYTES_PER_WEIGHT


@dataclass(frozen=True, slots=True)
class Estimate:
    """What requests of one replica experience.

    Attributes:
        ttft: Seconds, of 95 % of the requests.
        ttft_burst: Seconds, of the last request where all come at once.
        tpot: Seconds, on average.
        throughput: Output tokens/s.
        communication: Share of a decoding step that GPUs spend on all-reduces.
    """

    ttft: float
    ttft_burst: float
    tpot: float
    throughput: float
    communication: float


def weight_bytes(model: ModelSize, weights: str) -> float:
    """Return the bytes of memory that the weights take."""
    tables = 1 if model.tied else 2
    return model.body_weights * BYTES_PER_WEIGHT[weights] + tables * _vocab_bytes(model, weights)


def decode_bytes(model: ModelSize, weights: str) -> float:
    """Return the bytes of weights that a decoding step reads: all but the embedding."""
    return model.body_weights * BYTES_PER_WEIGHT[weights] + _vocab_bytes(model, weights)


def most_that_fit(deployment: Deployment, workload: Workload) -> int | None:
    """Return how many requests the memory holds at full length; None: the memory is not known."""
    model, gpu = deployment.model, deployment.gpu
    if gpu.memory is None:
        return None
    room = MEMORY_SHARE * gpu.memory * deployment.num_gpus - weight_bytes(model, deployment.weights)
    each = (workload.prompt + workload.output) * model.kv_values * _value_bytes(deployment.weights)
    return max(0, math.floor(room / each))


def predict(
    deployment: Deployment, workload: Workload, concurrency: int, shares: Shares
) -> Estimate:
    """Return what each of ``concurrency`` requests in flight experiences on one replica."""
    step, communication = _decode_step(deployment, workload, concurrency, shares)
    prompt = _prefill(deployment, workload.prompt, shares)
    # In the time of one request's output every other request's prompt is computed once.
    tpot = step + (concurrency - 1) * prompt / workload.output
    life = prompt + step + (workload.output - 1) * tpot
    busy = min(concurrency * prompt / life, 0.999)
    # The wait of a queue with Poisson arrivals and equal service times (M/D/1), and its tail; a
    # closed loop never queues more than the other requests.
    wait = min(_TAIL * busy * prompt / (2 * (1 - busy)), (concurrency - 1) * prompt)
    ttft = wait + prompt + (step if concurrency > 1 else 0.0)
    return Estimate(
        ttft=ttft,
        ttft_burst=concurrency * prompt,
        tpot=tpot,
        throughput=concurrency * workload.output / (ttft + (workload.output - 1) * tpot),
        communication=communication,
    )


def _decode_step(
    deployment: Deployment, workload: Workload, rows: int, shares: Shares
) -> tuple[float, float]:
    """Return the seconds of a step of ``rows`` tokens, and the share of communication in them."""
    model, ceiling = deployment.model, deployment.gpu.ceiling
    context = workload.prompt + workload.output / 2
    kv = rows * context * model.kv_values * _value_bytes(deployment.weights)
    num_bytes = decode_bytes(model, deployment.weights) + kv
    flops = rows * (
        2 * (model.body_weights + model.vocab_weights)
        + 4 * model.heads * model.head_dim * model.layers * context
    )
    seconds = max(
        num_bytes / (ceiling.bandwidth * shares.bandwidth), flops / (ceiling.flops * shares.flops)
    )
    seconds /= deployment.num_gpus
    moved = _all_reduces(deployment, rows)
    return seconds + moved, moved / (seconds + moved)


def _prefill(deployment: Deployment, prompt: int, shares: Shares) -> float:
    model, ceiling = deployment.model, deployment.gpu.ceiling
    flops = (
        2 * prompt * model.body_weights
        + 2 * model.vocab_weights
        + 2 * model.heads * model.head_dim * model.layers * prompt**2  # each sees those before it
    )
    num_bytes = decode_bytes(model, deployment.weights)
    seconds = max(
        flops / (ceiling.flops * shares.flops), num_bytes / (ceiling.bandwidth * shares.bandwidth)
    )
    return seconds / deployment.num_gpus + _all_reduces(deployment, prompt)


def _all_reduces(deployment: Deployment, tokens: int) -> float:
    """Return the seconds of the two all-reduces of each layer, by rings."""
    num_gpus, model = deployment.num_gpus, deployment.model
    if num_gpus == 1:
        return 0.0
    passed = (
        2 * (num_gpus - 1) / num_gpus * tokens * model.hidden * _value_bytes(deployment.weights)
    )
    return 2 * model.layers * (ALL_REDUCE_LATENCY + passed / deployment.gpu.link)


def _value_bytes(weights: str) -> int:
    """Return the bytes of a cached value or activation."""
    return 4 if weights == "fp32" else 2


def _vocab_bytes(model: ModelSize, weights: str) -> float:
    return model.vocab_weights * _value_bytes(weights)
