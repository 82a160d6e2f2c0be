"""Matrices of which each rank holds a part, with the product of the whole."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from inference.ops.linear import linear
from inference.ops.matrix import Weight, is_matrix
from inference.parallel.group import Group

__all__ = ["JoinedMatrix", "SummedMatrix"]


class _Part:
    """This rank's part of a matrix; sizes are the part's own."""

    def __init__(self, own: Weight, group: Group) -> None:
        self._own = own
        self._group = group

    @property
    def shape(self) -> tuple[int, int]:
        """``(out, in)`` of the part."""
        out, width = self._own.shape
        return out, width

    @property
    def num_bytes(self) -> int:
        """Bytes held."""
        own = self._own
        return own.num_bytes if is_matrix(own) else own.numel() * own.element_size()

    @property
    def num_bytes_read(self) -> int:
        """Bytes that a product reads."""
        return self._own.num_bytes_read if is_matrix(self._own) else self.num_bytes


class SummedMatrix(_Part):
    """Some columns of a matrix; each rank multiplies its own channels, and the products are summed."""

    def multiply(self, x: Tensor) -> Tensor:
        """Return the whole product, ``[T, out]``, from this rank's channels, ``[T, in / ranks]``."""
        return self._group.sum(linear(x, self._own))


class JoinedMatrix(_Part):
    """Some rows of a matrix, the same number on each rank but perhaps the last.

    Args:
        num_rows: Of the whole.
    """

    def __init__(self, own: Weight, num_rows: int, group: Group) -> None:
        super().__init__(own, group)
        self._num_rows = num_rows

    def multiply(self, x: Tensor) -> Tensor:
        """Return the whole product, ``[T, num_rows]``."""
        own = linear(x, self._own)
        missing = -(-self._num_rows // self._group.size) - own.shape[1]
        return self._group.join(F.pad(own, (0, missing)))[:, : self._num_rows]
