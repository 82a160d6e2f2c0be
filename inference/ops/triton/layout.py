"""Refusal of layouts that a kernel would read wrongly."""

from __future__ import annotations

from torch import Tensor

__all__ = ["require_contiguous"]


def require_contiguous(op: str, **tensors: Tensor | None) -> None:
    """Raise ValueError naming the first of ``tensors`` that is not contiguous; None is passed over."""
    for name, tensor in tensors.items():
        if tensor is not None and not tensor.is_contiguous():
            raise ValueError(
                f"{op}: {name} of shape {list(tensor.shape)} has strides "
                f"{list(tensor.stride())}; give a contiguous tensor"
            )
