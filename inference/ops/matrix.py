"""A weight matrix that is not stored as one tensor of the activations' dtype."""

from __future__ import annotations

from typing import Protocol, TypeGuard

from torch import Tensor

__all__ = ["Matrix", "Weight", "is_matrix"]


class Matrix(Protocol):
    """A ``[out, in]`` matrix in a layout of its own: packed, quantised, or twice.

    Attributes:
        shape: ``(out, in)``.
        num_bytes: Bytes held, those of a tensor held elsewhere too (a tied embedding) left out.
        num_bytes_read: Bytes that a product reads.
    """

    @property
    def shape(self) -> tuple[int, int]: ...

    @property
    def num_bytes(self) -> int: ...

    @property
    def num_bytes_read(self) -> int: ...

    def multiply(self, x: Tensor) -> Tensor:
        """Return ``x @ self.T`` for ``x`` of ``[T, in]``: ``[T, out]``, dtype of ``x``."""
        ...


Weight = Tensor | Matrix


def is_matrix(weight: Weight) -> TypeGuard[Matrix]:
    """Whether ``weight`` is a `Matrix` with its own product."""
    return not isinstance(weight, Tensor)
