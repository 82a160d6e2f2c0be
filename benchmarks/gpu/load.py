"""What the engine is given: sizes by device, random prompts, a batch that decodes."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from tracker.load.errors import UnavailableError

__all__ = ["SIZES", "LoadSize", "batches", "decoding", "label", "make_engine", "prompts"]

# Weights in bfloat16 and a little room: below this a model is skipped, not failed.
LEAST_FREE = {"qwen3-32b": 75e9, "qwen3-8b": 24e9}


@dataclass(frozen=True, slots=True)
class LoadSize:
    """How much the part "engine" does on a device.

    Attributes:
        models: Presets, small first.
        rivals: Those that transformers runs too.
        ablated: The one that optimisations are priced on: small, so that the host shows.
        batches: Sequences decoding at once.
        context: Of each, tokens.
        tokens: Steps timed.
        prompt: Of the long prefill, tokens.
        repeats: Of a prefill, and of each side of a comparison.
    """

    models: tuple[str, ...]
    rivals: tuple[str, ...]
    ablated: str
    batches: tuple[int, ...]
    context: int
    tokens: int
    prompt: int
    repeats: int


SIZES = {
    "cuda": LoadSize(
        models=("qwen3-0.6b", "qwen3-8b", "qwen3-32b"),
        rivals=("qwen3-0.6b", "qwen3-8b"),
        ablated="qwen3-0.6b",
        batches=(1, 4, 32),
        context=1024,
        tokens=128,
        prompt=4096,
        repeats=8,
    ),
    "cpu": LoadSize(
        models=("tiny",),
        rivals=("tiny",),
        ablated="tiny",
        batches=(1, 4),
        context=24,
        tokens=6,
        prompt=64,
        repeats=2,
    ),
}


def label(model: str) -> str:
    """Return the model's name as part of a benchmark's: ``qwen3_0_6b``, ``qwen3_8b_int8``."""
    return model.replace("-", "_").replace(".", "_").replace(":", "_")


def make_engine(model: str, device: str, **settings: Any) -> Any:
    """Return an engine with dummy weights.

    Args:
        model: A preset, or one with the format its weights are held in, ``"qwen3-8b:int8"``, or that of
            its KV cache, ``"qwen3-8b:kv_int8"``.
        device: Where it runs.
        settings: More of ``EngineConfig``.

    Raises:
        UnavailableError: The device has not enough memory left for the model.
    """
    import torch

    from inference import LLM, EngineConfig

    model, _, quantized = model.partition(":")
    if quantized:
        kv_dtype = quantized.removeprefix("kv_")
        settings["quantization" if kv_dtype == quantized else "kv_dtype"] = kv_dtype
    if device == "cuda":
        free = torch.cuda.mem_get_info()[0]
        if free < LEAST_FREE.get(model, 0):
            raise UnavailableError(f"{model} needs {LEAST_FREE[model]:.0f} bytes, {free} are free")
    return LLM(model, EngineConfig(device=device, **settings))


def prompts(engine: Any, count: int, tokens: int, seed: int) -> list[list[int]]:
    """Return prompts of random tokens that share nothing with those of another seed."""
    rng = random.Random(seed)
    vocab = engine.describe()["vocab_size"]
    return [[rng.randrange(vocab) for _ in range(tokens)] for _ in range(count)]


def batches(engine: Any, size: LoadSize) -> list[int]:
    """Return the batch sizes whose sequences the cache holds to their ends: no preemption is timed."""
    described = engine.describe()
    room = described["num_blocks"] * described["block_size"]
    return [b for b in size.batches if b * (size.context + _outputs(size, b)) <= room]


def decoding(engine: Any, size: LoadSize, batch: int, seed: int) -> list[int]:
    """Submit ``batch`` requests and step until all of them decode; return their ids.

    Each has at least ``size.tokens`` tokens still to come.
    """
    from inference import SamplingParams

    params = SamplingParams(max_tokens=_outputs(size, batch), ignore_eos=True)
    ids = [engine.submit(prompt, params) for prompt in prompts(engine, batch, size.context, seed)]
    begun: set[int] = set()
    while len(begun) < batch:
        begun |= {request for request, _, _ in engine.step()}
    return ids


def _outputs(size: LoadSize, batch: int) -> int:
    # Those that decode while the last prompts are still computed run ahead of them.
    return size.tokens + batch * size.context // 256 + 8
