"""The fused operations of the decoder: each a reference, a kernel and a function on arrays.

To add one: write the kernel in ``triton/`` and the function in ``numpy_ops.py`` with the reference's
signature, name the kernel in the ``Op`` at the end of the reference's file, and give the op's cases to
``tests/inference/ops/cases.py``, from which the parametrised tests take them.
"""

from __future__ import annotations

from inference.ops import activation, attention, embedding, linear, norm, rope, sampling
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
    activation.LINEAR_SILU_MUL,
    sampling.SAMPLE,
)
