"""One decoder for Llama, Mistral, Qwen2 and Qwen3.

::

    tokens ─ embedding ─┬─ norm ─ qkv ─ rope_store ─ attention ─ out ─┐
                        │                                             │
                        └──────────── residual ─── add_rms_norm ◄─────┘
                                                        │
                              linear_silu_mul ─ down ───┴─► next layer … norm ─ lm_head

All sequences of a step are one ragged batch of tokens, so each weight is read once per step.

What flows from op to op are tensors, or NumPy arrays where the engine's ops take those; the weights
and the cache are then seen as arrays of the same memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from inference.architecture import ModelConfig
from inference.ops import OpSet
from inference.ops.attention import AttentionPlan
from inference.ops.rope import inverse_frequencies
from inference.weights import LayerWeights, ModelWeights

__all__ = ["Decoder", "KVCache"]


class KVCache:
    """Keys and values of all layers, ``[layers, 2, blocks, block_size, kv_heads, row]``.

    A row is ``head_dim`` wide, or in 8 bits with a scale (``ops.kv_rows``).

    Attributes:
        data: All of it.
        layers: The keys and the values of each layer, as views: tensors, or ``on_arrays`` arrays.
    """

    def __init__(self, data: Tensor, *, on_arrays: bool = False) -> None:
        self.data = data
        self.layers = [(layer[0], layer[1]) for layer in (data.numpy() if on_arrays else data)]

    @property
    def num_bytes(self) -> int:
        """Bytes held."""
        return self.data.numel() * self.data.element_size()


class Decoder:
    """The forward pass over given weights, in the ops of one engine.

    Args:
        config: Shapes and flags.
        weights: Filled; not copied.
        ops: The implementations to run.
        max_position: Positions the angle table covers.
        mlp_chunk: Tokens that go through a feed-forward layer at once at most; None: all.
    """

    def __init__(
        self,
        config: ModelConfig,
        weights: ModelWeights,
        ops: OpSet,
        *,
        max_position: int,
        mlp_chunk: int | None = None,
    ) -> None:
        self.config = config
        self.weights = weights.on_arrays() if ops.on_arrays else weights
        self.ops = ops
        self._mlp_chunk = mlp_chunk
        # float32 on the host whatever the model's dtype: bfloat16 angles lose far positions.
        angles = torch.outer(
            torch.arange(max_position, dtype=torch.float32),
            inverse_frequencies(config.rope, config.head_dim, max_position),
        )
        device, scale = weights.embedding.device, config.rope.attention_factor
        self._cos = self.held((angles.cos() * scale).to(device))  # [max_position, head_dim/2]
        self._sin = self.held((angles.sin() * scale).to(device))

    def held(self, tensor: Tensor) -> Any:
        """Return a tensor as the ops take it."""
        return tensor.numpy() if self.ops.on_arrays else tensor

    def embed(self, tokens: Any) -> Any:
        """Return what goes into the first layer, ``[T, hidden]``."""
        return self.ops.embedding(tokens, self.weights.embedding)

    # What is not finite is found by the sampler, and ends its request.
    @np.errstate(all="ignore")
    def forward(
        self, tokens: Tensor, positions: Tensor, slots: Tensor, cache: KVCache, plan: AttentionPlan
    ) -> Any:
        """Run the layers over one step's tokens.

        Args:
            tokens: ``[T]`` int64.
            positions: Of each token in its sequence, ``[T]`` int64.
            slots: Where each token's k and v go, ``[T]`` int64.
            cache: **Written** at ``slots``.
            plan: What attends to what.

        Returns:
            Residual stream after the last layer, before the final norm, ``[T, hidden]``.
        """
        ops, eps = self.ops, self.config.rms_norm_eps
        tokens, positions, slots = self.held(tokens), self.held(positions), self.held(slots)
        scale = self.config.head_dim**-0.5
        cos, sin = self._cos[positions], self._sin[positions]
        residual = self.embed(tokens)
        chunks = self._mlp_chunk if self._mlp_chunk and len(tokens) > self._mlp_chunk else None
        x = None
        for i, layer in enumerate(self.weights.layers):
            if x is None:
                normed = ops.rms_norm(residual, layer.input_norm, eps=eps)
            else:
                normed, residual = ops.add_rms_norm(x, residual, layer.input_norm, eps=eps)
            keys, values = cache.layers[i]
            qkv = ops.linear(normed, layer.qkv, layer.qkv_bias)
            q = ops.rope_store(
                qkv, cos, sin, slots, keys, values, layer.q_norm, layer.k_norm, eps=eps
            )
            attended = ops.paged_attention(
                q, keys, values, plan, scale=scale, window=self.config.sliding_windows[i]
            )
            x = ops.linear(attended.reshape(len(attended), -1), layer.out, layer.out_bias)
            normed, residual = ops.add_rms_norm(x, residual, layer.post_norm, eps=eps)
            if chunks is None:
                x = ops.linear(ops.linear_silu_mul(normed, layer.gate_up), layer.down)
            else:
                x = self._feed_forward(normed, layer, chunks)
        assert x is not None, "a decoder has at least one layer"
        return residual + x

    def _feed_forward(self, normed: Any, layer: LayerWeights, chunk: int) -> Any:
        """Return the feed-forward layer's output, in place of its input, so many tokens at a time."""
        for start in range(0, len(normed), chunk):
            part = normed[start : start + chunk]
            part[:] = self.ops.linear(self.ops.linear_silu_mul(part, layer.gate_up), layer.down)
        return normed

    @np.errstate(all="ignore")
    def logits(self, hidden: Any) -> Tensor:
        """Return ``[rows, vocab]`` for rows of ``forward``'s result, ``[rows, hidden]``."""
        normed = self.ops.rms_norm(hidden, self.weights.norm, eps=self.config.rms_norm_eps)
        logits = self.ops.linear(normed, self.weights.lm_head)
        return torch.from_numpy(logits) if self.ops.on_arrays else logits
