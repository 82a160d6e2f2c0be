"""The largest batch that fits a device's memory, before and after each measure: ``python -m benchmarks.largest_batch``.

Counted from shapes: weights, KV cache, and the activations of the largest step. Nothing is run, so every figure is
*modelled*; what an allocator rounds up or a library keeps for itself is not in it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if (
    TYPE_CHECKING
):  # asv looks for suites in every module of this folder, and none may load the engine
    from inference.architecture import ModelConfig

__all__ = ["MEASURES", "Serving", "largest_batch", "main", "num_bytes"]

_TWO_BYTES, _FLOAT32 = 2, 4


@dataclass(frozen=True, slots=True)
class Serving:
    """How requests are held and computed.

    Attributes:
        prompt, output: Tokens of each request.
        max_model_len: The longest that a request may be.
        paged: A request holds blocks for its own tokens, else for ``max_model_len``.
        last_logits: Of a prompt's last token alone, else of every token.
        step_tokens: Prompt tokens of a step at most; None: all prompts at once.
        mlp_chunk: Tokens that go through a feed-forward layer at once; None: all of the step.
        weight_bits: Of the layers' matrices; the vocabulary's have 16.
        block_size: Positions.
    """

    prompt: int
    output: int
    max_model_len: int
    paged: bool = False
    last_logits: bool = False
    step_tokens: int | None = None
    mlp_chunk: int | None = None
    weight_bits: int = 16
    block_size: int = 16


# Each with all before it.
MEASURES: tuple[tuple[str, dict[str, object]], ...] = (
    ("cache for the longest request, whole prompts, logits of every token", {}),
    ("paged KV cache", {"paged": True}),
    ("logits of the last token", {"last_logits": True}),
    ("chunked prefill, 2,048 tokens a step", {"step_tokens": 2048}),
    ("feed-forward layers in chunks of 256", {"mlp_chunk": 256}),
    ("int8 weights", {"weight_bits": 8}),
)


def num_bytes(model: ModelConfig, serving: Serving, batch: int) -> int:
    """Return the bytes that a batch of requests takes at its peak."""
    tables = (1 if model.tie_embeddings else 2) * model.vocab_size * model.hidden_size
    qkv = (model.num_heads + 2 * model.num_kv_heads) * model.head_dim
    attended = model.num_heads * model.head_dim
    matrices = model.num_layers * model.hidden_size * (qkv + attended + 3 * model.intermediate_size)
    weights = matrices * serving.weight_bits // 8 + tables * _TWO_BYTES
    held = serving.prompt + serving.output
    blocks = -(-(held if serving.paged else serving.max_model_len) // serving.block_size)
    each = 2 * model.num_layers * model.num_kv_heads * model.head_dim * _TWO_BYTES
    cache = batch * blocks * serving.block_size * each
    tokens = min(batch * serving.prompt, serving.step_tokens or sys.maxsize)
    in_layer = min(tokens, serving.mlp_chunk or sys.maxsize)
    rows = batch if serving.last_logits else tokens
    # Residual, its norm and the layer's output; q, k, v and what attention makes of them; gate, up, product.
    activations = _TWO_BYTES * (
        tokens * (3 * model.hidden_size + qkv + attended) + in_layer * 3 * model.intermediate_size
    )
    return weights + cache + activations + rows * model.vocab_size * _FLOAT32


def largest_batch(model: ModelConfig, serving: Serving, memory: int) -> int:
    """Return how many requests fit ``memory`` bytes; 0: not one."""
    low, high = 0, 1
    while num_bytes(model, serving, high) <= memory:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if num_bytes(model, serving, middle) <= memory else (low, middle)
    return low


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    from inference.presets import PRESETS, preset

    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.largest_batch",
        description="The largest batch that fits, before and after each measure (modelled).",
    )
    parser.add_argument("--model", choices=PRESETS, default="qwen3-8b")
    parser.add_argument(
        "--memory", type=float, default=72.0, help="GB for weights, KV and activations"
    )
    parser.add_argument("--prompt", type=int, default=1024)
    parser.add_argument("--output", type=int, default=512)
    parser.add_argument("--max-model-len", type=int, default=8192)
    args = parser.parse_args(argv)
    serving = Serving(args.prompt, args.output, args.max_model_len)
    sys.stdout.write("| with all above it | largest batch |\n|---|---:|\n")
    for name, change in MEASURES:
        serving = replace(serving, **change)  # type: ignore[arg-type]
        fitting = largest_batch(preset(args.model), serving, int(args.memory * 1e9))
        sys.stdout.write(f"| {name} | {fitting} |\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
