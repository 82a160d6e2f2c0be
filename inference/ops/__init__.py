"""The fused operations of the decoder, each a registered pair of reference and kernel.

To add a kernel: write it beside its reference with the same signature, and name it in the ``Op``
at the end of that file. Nothing else changes; the parametrised tests pick it up.
"""

from __future__ import annotations

from inference.ops import activation, attention, embedding, linear, norm, rope
from inference.ops.registry import Op, OpSet

__all__ = ["OPS", "Op", "OpSet"]

OPS: tuple[Op, ...] = (
    embedding.EMBEDDING,
    norm.RMS_NORM,
    norm.ADD_RMS_NORM,
    linear.LINEAR,
    rope.ROPE_STORE,
    attention.PAGED_ATTENTION,
    activation.SILU_MUL,
)
