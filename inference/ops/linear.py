"""Matrix product with a weight read once for the whole ragged batch."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from inference.ops.matrix import Weight, is_matrix
from inference.ops.registry import Op

__all__ = ["LINEAR", "linear"]


def linear(x: Tensor, weight: Weight, bias: Tensor | None = None) -> Tensor:
    """Return ``x @ weight.T + bias``.

    Args:
        x: ``[T, in]``.
        weight: ``[out, in]``, a tensor of the dtype of ``x`` or a ``Matrix``. On a CPU a tensor is
            fastest with its longer side contiguous.
        bias: ``[out]`` or None.

    Returns:
        New tensor, ``[T, out]``.

    Cost:
        2·T·in·out FLOPs; reads in·out + T·in elements, writes T·out; bound by the weight's bytes
        while T is small (decode), by FLOPs when it is large (prefill).
    """
    if is_matrix(weight):
        product = weight.multiply(x)
        return product if bias is None else product + bias
    return F.linear(x, weight, bias)


LINEAR = Op("linear", linear, "inference.ops.triton.skinny:linear")
