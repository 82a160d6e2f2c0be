"""The matrix product of two tiles."""

from __future__ import annotations

import triton
import triton.language as tl

__all__ = ["dot"]


@triton.jit
def dot(a, b, WIDEN: tl.constexpr):
    """Return ``a @ b`` in float32; float32 operands keep all their bits.

    ``WIDEN`` (``DeviceShape.interpreted``) makes operands float32 first.
    """
    if WIDEN:
        a = a.to(tl.float32)
        b = b.to(tl.float32)
    return tl.dot(a, b, input_precision="ieee")
