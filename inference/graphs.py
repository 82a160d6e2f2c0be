"""Decoding steps captured as CUDA graphs: model, logits and sampler in one replay.

A graph replays the same kernels on the same addresses with the same shapes. So decoding steps are
padded to one of a few sizes, and their inputs lie in persistent memory (``staging.py``). A row of
padding sees no context, stores nothing and samples into a lane that no request has (``AttentionPlan`` has the
contract of the kernels).

``warm_up`` captures every size there is before the first request. A size that was not captured runs
without a graph once, which compiles its kernels, and is captured for the next step. If the capture
fails, steps of that size run one kernel at a time, and ``LLM.describe`` and ``LLM.counters`` show it.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from inference.batch import Batch
from inference.counters import Counter
from inference.ops import OpSet
from inference.staging import Sizes

__all__ = ["Capture", "DecodeGraphs", "can_capture", "cuda_capture", "padded", "padded_sizes"]

# What runs once, returned as what runs it again and the tensor that each run writes to.
Capture = Callable[[Callable[[], Tensor]], tuple[Callable[[], Any], Tensor]]

_GRAPH_SAFE = ("rope_store", "paged_attention", "sample")
_LEAST_BLOCKS = 64


@dataclass(frozen=True, slots=True)
class _Captured:
    replay: Callable[[], Any]
    tokens: Tensor
    op_calls: dict[str, int]


class DecodeGraphs:
    """The graphs of one engine.

    Args:
        forward: From a batch to its tokens, on the device alone.
        ops: Counts the ops of a replayed step as if each were called.
        capture: ``cuda_capture()``, or a stand-in.

    Attributes:
        replays: Steps replayed since the last reset.
        captures: Sizes captured since the last reset, and tries that failed.
        failure: Why a size could not be captured, the first of them; None: all could.
    """

    COUNTERS = (
        Counter("graph_replays", "steps that were one CUDA graph", attribute="replays"),
        Counter("graph_captures", "sizes captured; none after `warm_up`", attribute="captures"),
    )

    def __init__(self, forward: Callable[[Batch], Tensor], ops: OpSet, capture: Capture) -> None:
        self.replays = 0
        self.captures = 0
        self.failure: str | None = None
        self._forward = forward
        self._ops = ops
        self._capture = capture
        self._captured: dict[Sizes, _Captured | None] = {}

    def run(self, batch: Batch) -> Tensor:
        """Return the batch's tokens, those of padding included; overwritten by the next step."""
        sizes = Sizes(len(batch.tokens), *batch.plan.block_tables.shape)
        if sizes not in self._captured:
            tokens = self._forward(batch)
            self._captured[sizes] = self._try_capture(batch)
            return tokens
        captured = self._captured[sizes]
        if captured is None:
            return self._forward(batch)
        captured.replay()
        for name, calls in captured.op_calls.items():
            self._ops.calls[name] += calls
        self.replays += 1
        return captured.tokens

    def warm_up(self, batch: Batch) -> None:
        """Compile and capture steps of the batch's sizes, unless that is done."""
        if Sizes(len(batch.tokens), *batch.plan.block_tables.shape) not in self._captured:
            self.run(batch)

    def _try_capture(self, batch: Batch) -> _Captured | None:
        before = dict(self._ops.calls)
        fixed = copy(batch)  # as a graph sees it: nothing of the host changes any more
        self.captures += 1
        try:
            replay, tokens = self._capture(lambda: self._forward(fixed))
        except Exception as error:  # out of memory, or a kernel or library that cannot be captured
            self.failure = self.failure or f"{type(error).__name__}: {error}"
            return None
        finally:
            # Capturing computes nothing.
            recorded = {name: n - before[name] for name, n in self._ops.calls.items()}
            self._ops.calls.update(before)
        return _Captured(replay, tokens, recorded)


def padded(sizes: Sizes, limit: Sizes) -> Sizes:
    """Return the sizes that a decoding step of ``sizes`` is padded to: few, and little larger.

    Rows: 1, 2, 4, then multiples of 8. Blocks of a table: powers of 4 from 64 on.
    """
    rows = 1 << (sizes.rows - 1).bit_length() if sizes.rows <= 4 else -(-sizes.rows // 8) * 8
    blocks = _LEAST_BLOCKS
    while blocks < sizes.blocks:
        blocks *= 4
    rows = min(rows, limit.rows)
    return Sizes(rows, rows, min(blocks, limit.blocks))


def padded_sizes(limit: Sizes) -> list[Sizes]:
    """Return all that ``padded`` returns, the largest first, so that smaller graphs reuse its memory."""
    rows = [1, 2, 4, *range(8, limit.rows + 8, 8)]
    blocks = [_LEAST_BLOCKS]
    while blocks[-1] < limit.blocks:
        blocks.append(blocks[-1] * 4)
    sizes_to_capture = {
        padded(Sizes(r, r, b), limit) for r in rows for b in blocks if r - 8 < limit.rows
    }
    return sorted(sizes_to_capture, key=lambda sizes: (sizes.rows, sizes.blocks), reverse=True)


def can_capture(ops: OpSet, device: torch.device) -> bool:
    """Whether a decoding step runs without the host, and leaves padding alone."""
    return device.type == "cuda" and all(ops.backends[name] == "triton" for name in _GRAPH_SAFE)


def cuda_capture() -> Capture:
    """Return a capture into CUDA graphs that share one pool of memory."""
    pool = torch.cuda.graph_pool_handle()

    def capture(run: Callable[[], Tensor]) -> tuple[Callable[[], Any], Tensor]:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool):
            tokens = run()
        return graph.replay, tokens

    return capture
