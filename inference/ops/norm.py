"""RMSNorm, alone and fused with the residual addition before it."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from inference.ops.registry import Op

__all__ = ["ADD_RMS_NORM", "RMS_NORM", "add_rms_norm", "rms_norm"]


def rms_norm(x: Tensor, weight: Tensor, *, eps: float) -> Tensor:
    """Return ``x`` over its root mean square along the last axis, times ``weight``.

    The reduction runs in float32 whatever the input dtype (the Llama convention).

    Args:
        x: Activations, ``[..., hidden]``.
        weight: Scale, ``[hidden]``, dtype and device of ``x``.
        eps: Added to the mean square; dimensionless, > 0.

    Returns:
        New tensor, shape and dtype of ``x``.

    Cost:
        Reads N·hidden + hidden elements, writes N·hidden; 4·N·hidden FLOPs; memory-bound.

    Source:
        Zhang & Sennrich 2019, arXiv:1910.07467, eq. 4.
    """
    if x.dtype is torch.float32 and x.device.type == "cpu":
        # Beside one row the calls cost more than the arithmetic, and these are the fewest.
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        mean_square = torch.addcmul(_scalar(eps), norm, norm, value=1 / x.shape[-1])
        return x * mean_square.rsqrt_() * weight
    wide = x.float()
    scale = torch.rsqrt(wide.square().mean(-1, keepdim=True) + eps)
    return (wide * scale).to(x.dtype) * weight


@functools.cache
def _scalar(value: float) -> Tensor:
    """Return a tensor of the number, which an op takes in half the time."""
    return torch.tensor(value)


def add_rms_norm(
    x: Tensor, residual: Tensor, weight: Tensor, *, eps: float
) -> tuple[Tensor, Tensor]:
    """Add ``x`` to the residual stream and return the sum's RMSNorm beside the sum.

    Args:
        x: Output of the sublayer before, ``[T, hidden]``.
        residual: The stream so far, ``[T, hidden]``; not changed.
        weight: Scale, ``[hidden]``.
        eps: As in ``rms_norm``.

    Returns:
        ``(normed, residual + x)``, new tensors of the shape and dtype of ``x``.

    Cost:
        Reads 2·T·hidden + hidden elements, writes 2·T·hidden; 5·T·hidden FLOPs; memory-bound.
    """
    total = residual + x
    return rms_norm(total, weight, eps=eps), total


RMS_NORM = Op("rms_norm", rms_norm, "inference.ops.triton.norm:rms_norm")
ADD_RMS_NORM = Op("add_rms_norm", add_rms_norm, "inference.ops.triton.norm:add_rms_norm")
