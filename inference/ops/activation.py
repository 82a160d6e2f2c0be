"""The gated activation of the feed-forward layer, alone and fused with the product before it."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from inference.ops.linear import linear
from inference.ops.matrix import Weight
from inference.ops.registry import Op

__all__ = ["LINEAR_SILU_MUL", "SILU_MUL", "linear_silu_mul", "silu_mul"]


def silu_mul(gate_up: Tensor) -> Tensor:
    """Return ``silu(gate) * up`` for ``gate`` and ``up`` packed side by side.

    Args:
        gate_up: ``[T, 2·intermediate]``, the gate's half first.

    Returns:
        New tensor, ``[T, intermediate]``, dtype of ``gate_up``.

    Cost:
        Reads 2·T·intermediate elements, writes T·intermediate; about 5·T·intermediate FLOPs;
        memory-bound.

    Source:
        Shazeer 2020, arXiv:2002.05202 (SwiGLU).
    """
    gate, up = gate_up.chunk(2, dim=-1)
    return F.silu(gate) * up


def linear_silu_mul(x: Tensor, weight: Weight) -> Tensor:
    """Return ``silu_mul(x @ weight.T)``.

    Args:
        x: ``[T, in]``.
        weight: ``[2·intermediate, in]``, as of ``linear``, the gate's half first.

    Returns:
        New tensor, ``[T, intermediate]``.

    Cost:
        As ``linear`` and ``silu_mul``; where T is small the 2·T·intermediate elements between them
        are neither written nor read.
    """
    return silu_mul(linear(x, weight))


SILU_MUL = Op("silu_mul", silu_mul, "inference.ops.triton.activation:silu_mul")
LINEAR_SILU_MUL = Op(
    "linear_silu_mul", linear_silu_mul, "inference.ops.triton.skinny:linear_silu_mul"
)
