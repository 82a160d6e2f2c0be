"""The widest matrix of a model on a CPU, laid out for one row and for several."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

__all__ = ["BothWays"]

_FEW = 2  # rows up to which streaming the columns once for each is the fastest


class BothWays:
    """A float32 matrix held along its rows and along its columns.

    One row of activations is bound by the weight's bytes, and a product that adds up long columns
    streams them at the speed of memory, where dot products with short rows reach half of it.
    Several rows are bound by arithmetic: BLAS first repacks the whole weight, which costs more
    than the product itself. A 1x1 convolution whose *image* is the weight, each row a pixel, and
    whose *filters* are the activations reads the weight once as it lies.

    Args:
        rows: ``[out, in]``, contiguous; held by the caller (a tied embedding), not copied.

    Cost:
        As ``linear``. Holds out·in elements beside ``rows``.
    """

    def __init__(self, rows: Tensor) -> None:
        self._rows = rows
        self._columns = rows.t().contiguous().t()

    @property
    def shape(self) -> tuple[int, int]:
        """``(out, in)``."""
        out, width = self._rows.shape
        return out, width

    @property
    def num_bytes(self) -> int:
        """Bytes held beside ``rows``."""
        return self.num_bytes_read

    @property
    def num_bytes_read(self) -> int:
        """Bytes that a product reads."""
        return self._rows.numel() * self._rows.element_size()

    def multiply(self, x: Tensor) -> Tensor:
        """Return ``x @ rows.T``, ``[T, out]``."""
        if len(x) <= _FEW or not torch.backends.mkldnn.is_available():
            return F.linear(x, self._columns)
        out, width = self._rows.shape
        image = self._rows.view(1, out, 1, width).permute(0, 3, 1, 2)  # channels last as it lies
        filters = x.contiguous().view(-1, width, 1, 1)
        pixels = torch.mkldnn_convolution(image, filters, None, [0, 0], [1, 1], [1, 1], 1)
        return pixels.view(len(x), out).contiguous()
