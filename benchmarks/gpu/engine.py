"""The engine against the roofline, against itself without each optimisation, and against transformers."""

from __future__ import annotations

from typing import Any

from benchmarks.gpu.ablation import flags, price
from benchmarks.gpu.context import Context
from benchmarks.gpu.load import SIZES
from benchmarks.gpu.records import GpuMeasurement
from benchmarks.gpu.rival import against_transformers
from benchmarks.gpu.speed import decode, prefill
from benchmarks.gpu.trace import trace

__all__ = ["cases", "run"]

MEASURES = {
    "decode": decode,
    "prefill": prefill,
    "trace": trace,
    "transformers": against_transformers,
    "price": price,
}


# Weights, or keys and values, held in fewer bits, of the models that memory bounds.
QUANTIZED = (
    *("qwen3-8b:int8", "qwen3-8b:int4", "qwen3-8b:nf4", "qwen3-8b:fp8", "qwen3-32b:int8"),
    *("qwen3-8b:kv_int8", "qwen3-8b:kv_fp8"),
)


def cases(device: str) -> list[str]:
    """Return the cases: a measure, and the model or the flag it is of."""
    size = SIZES[device]
    quantized = [f"decode {model}" for model in QUANTIZED if device == "cuda"]
    of_models = [
        f"{what} {model}" for model in size.models for what in ("decode", "prefill", "trace")
    ]
    rivals = [f"transformers {model}" for model in size.rivals]
    # A toy needs no more than one flag to be tried.
    priced = flags() if device == "cuda" else flags()[:1]
    return [*of_models, *quantized, *rivals, *(f"price {flag}" for flag in priced)]


def run(case: str, context: Context) -> tuple[list[GpuMeasurement], dict[str, Any]]:
    """Run one case."""
    what, subject = case.split(" ")
    return MEASURES[what](subject, context), {}
