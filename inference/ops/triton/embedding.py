"""Token embedding lookup."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from inference.ops.triton.layout import require_contiguous

__all__ = ["embedding"]

_BLOCK = 1024


def embedding(tokens: Tensor, table: Tensor) -> Tensor:
    """As ``inference.ops.embedding.embedding``."""
    require_contiguous("embedding", tokens=tokens, table=table)
    num_tokens, hidden = tokens.shape[0], table.shape[1]
    out = torch.empty((num_tokens, hidden), dtype=table.dtype, device=table.device)
    if num_tokens:
        _embedding[(num_tokens, triton.cdiv(hidden, _BLOCK))](
            tokens, table, out, hidden, BLOCK=_BLOCK
        )
    return out


@triton.jit
def _embedding(
    tokens_ptr,  # [tokens]
    table_ptr,  # [vocab, hidden]
    out_ptr,  # [tokens, hidden]
    hidden,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    token = tl.load(tokens_ptr + row)
    at = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    within = at < hidden
    values = tl.load(table_ptr + token * hidden + at, mask=within)
    tl.store(out_ptr + row * hidden + at, values, mask=within)
