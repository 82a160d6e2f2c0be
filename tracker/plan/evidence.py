"""What a store has measured of models on devices: launches of suites, and other tools' results. Pure."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tracker.domain import LaunchInfo, SeriesInfo
from tracker.load.utilization import Ceiling
from tracker.plan.hardware import Gpu, gpu_named_in

__all__ = ["Point", "launch_points", "names_model", "series_points"]

_MODEL_KEYS = ("model", "model_id", "model_name")
_CONCURRENCY_KEYS = ("max_concurrency", "concurrency")
_GPU_COUNT_KEYS = ("tensor_parallel_size", "tensor_parallel", "num_gpus")
_LENGTH_KEYS = {
    "prompt": ("prompt_tokens", "random_input_len"),
    "output": ("output_tokens", "random_output_len"),
}
# Of other tools, the strictest statistic first: the limit on TTFT is one of 95 % of the requests.
_TTFT = ("ttft_p95", "ttft_p99")
_TPOT = ("tpot_mean", "tpot_p50")
_THROUGHPUT = ("output_throughput", "output_tokens_per_second", "throughput")
_QUANTIZED = {
    "fp8": "fp8",
    "int8": "int8",
    "w8a8": "int8",
    "awq": "int4",
    "gptq": "int4",
    "int4": "int4",
    "4bit": "int4",
}
_NO_PART_OF_A_NAME = {"meta", "instruct", "chat", "base", "hf", *_QUANTIZED}


@dataclass(frozen=True, slots=True)
class Point:
    """One measured load. None: the source does not say.

    Attributes:
        model: As the source names it.
        gpu: The known GPU, or the processor with the ceilings that the launch measured.
        num_gpus: That serve one replica.
        weights: A key of ``roofline.BYTES_PER_WEIGHT``.
        prompt, output: Tokens of a request, mean.
        ttft: Seconds, p95 (of a tool that states only p99: that).
        tpot: Seconds, median or mean.
        bandwidth_share, flops_share: Reached by decoding and by prompts, of the datasheet's ceilings.
        source: Suite and commit, or tool and machine.
    """

    model: str
    gpu: Gpu
    on_gpu: bool
    num_gpus: int | None
    weights: str | None
    concurrency: int | None
    prompt: float | None
    output: float | None
    ttft: float | None
    tpot: float | None
    throughput: float | None
    bandwidth_share: float | None
    flops_share: float | None
    source: str


def launch_points(launches: Iterable[LaunchInfo]) -> list[Point]:
    """Return the loads of launch artifacts that are valid and name model and device."""
    return [point for launch in launches if (point := _launch_point(launch)) is not None]


def series_points(series: Iterable[SeriesInfo]) -> list[Point]:
    """Return the loads of other tools' newest values, where model and GPU are named.

    The GPU is the one that the machine's name or a parameter names.
    """
    loads: dict[tuple[str, str, tuple[str, ...]], dict[str, float]] = defaultdict(dict)
    for item in series:
        tool, _, metric = item.benchmark.rpartition(".")
        if item.last_value is not None and tool:
            loads[tool, item.machine, item.params][metric] = item.last_value
    points = [_tool_point(*key, values) for key, values in loads.items()]
    return [point for point in points if point is not None]


def names_model(named: str, model: str) -> bool:
    """Return whether what a source calls a model is the known model of that name.

    ``"Qwen/Qwen3-32B-FP8"`` is ``"qwen3-32b"``: owner, tuning and quantization are no part of the name.
    """
    words = [
        w
        for w in re.split(r"[-_ ]+", named.rpartition("/")[2].lower())
        if w not in _NO_PART_OF_A_NAME
    ]
    return "-".join(words) == model.lower()


def _launch_point(launch: LaunchInfo) -> Point | None:
    header = launch.header
    scenario, metrics = _table(header, "scenario"), _table(header, "metrics")
    work, fingerprint = _table(header, "work"), _table(header, "fingerprint")
    model = _table(scenario, "model").get("name")
    if not isinstance(model, str) or not metrics or header.get("void"):
        return None
    gpu_model = fingerprint.get("gpu_model")
    engine = _table(header, "engine")
    ceiling = _table(_table(header, "utilization"), "ceiling")
    gpu = None
    if isinstance(gpu_model, str):
        gpu = gpu_named_in([gpu_model])
    elif _number(ceiling, "bandwidth") and _number(ceiling, "flops"):
        cpu = fingerprint.get("cpu") or "unknown processor"
        gpu = Gpu(f"{cpu}", Ceiling(ceiling["bandwidth"], ceiling["flops"]), None, math.inf)
    if gpu is None:
        return None
    load, requests = _table(scenario, "load"), _number(work, "requests")
    asked = _table(scenario, "engine")
    concurrency = load.get("concurrency")

    def each(key: str) -> float | None:
        tokens = _number(work, key)
        return tokens / requests if tokens and requests else None

    dtype = {"bfloat16": "bf16", "float16": "bf16", "float32": "fp32"}.get(str(engine.get("dtype")))
    return Point(
        model=model,
        gpu=gpu,
        on_gpu=isinstance(gpu_model, str),
        num_gpus=engine.get("tensor_parallel", 1),
        weights=asked.get("quantization") or dtype,
        concurrency=concurrency if isinstance(concurrency, int) else None,
        prompt=each("prompt_tokens"),
        output=each("output_tokens"),
        ttft=_number(metrics, "ttft_p95"),
        tpot=_number(metrics, "tpot_p50"),
        throughput=_number(metrics, "throughput"),
        bandwidth_share=_number(metrics, "mbu_decode_datasheet"),
        flops_share=_number(metrics, "mfu_prefill_datasheet"),
        source=f"{launch.benchmark} at {launch.revision.commit[:8]}",
    )


def _tool_point(
    tool: str, machine: str, params: tuple[str, ...], values: Mapping[str, float]
) -> Point | None:
    named = dict(param.partition("=")[::2] for param in params if "=" in param)
    model = next((named[key] for key in _MODEL_KEYS if key in named), None)
    gpu = gpu_named_in([machine, *(v for k, v in named.items() if k not in _MODEL_KEYS)])
    served = {*_TTFT, *_TPOT, *_THROUGHPUT} & values.keys()
    if model is None or gpu is None or not served:
        return None

    def whole(keys: Iterable[str]) -> int | None:
        return next((int(named[key]) for key in keys if named.get(key, "").isdigit()), None)

    def first(keys: Iterable[str]) -> float | None:
        return next((values[key] for key in keys if key in values), None)

    words = re.split(r"[-_ /]+", model.lower())
    return Point(
        model=model,
        gpu=gpu,
        on_gpu=True,
        num_gpus=whole(_GPU_COUNT_KEYS),
        weights=next((_QUANTIZED[word] for word in words if word in _QUANTIZED), "bf16"),
        concurrency=whole(_CONCURRENCY_KEYS),
        prompt=whole(_LENGTH_KEYS["prompt"]),
        output=whole(_LENGTH_KEYS["output"]),
        ttft=first(_TTFT),
        tpot=first(_TPOT),
        throughput=first(_THROUGHPUT),
        bandwidth_share=None,
        flops_share=None,
        source=f"{tool} on {machine}",
    )


def _table(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    table = values.get(key)
    return table if isinstance(table, dict) else {}


def _number(values: Mapping[str, Any], key: str) -> float | None:
    value = values.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value
