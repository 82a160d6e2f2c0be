"""Token embedding lookup."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from inference.ops.registry import Op

__all__ = ["EMBEDDING", "embedding"]


def embedding(tokens: Tensor, table: Tensor) -> Tensor:
    """Return the rows of ``table`` that ``tokens`` name.

    Args:
        tokens: Token ids, ``[T]``, int64, each in ``[0, vocab)``.
        table: ``[vocab, hidden]``.

    Returns:
        New tensor, ``[T, hidden]``, dtype of ``table``.

    Cost:
        Reads T·hidden elements, writes as many; no FLOPs.
    """
    return F.embedding(tokens, table)


EMBEDDING = Op("embedding", embedding, "inference.ops.triton.embedding:embedding")
