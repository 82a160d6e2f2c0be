"""Static batches, padded: how to serve without continuous batching, for a suite to price. No tensors.

A batch is formed, every prompt is computed padded to the longest, all decode until the longest
output has ended, and only then is the next batch formed::

    lane 0  p p p p p p p │ o o o o       p  token of the prompt
    lane 1  p p p · · · · │ o · · ·       o  token of the output
    lane 2  p p p p p · · │ o o o ·       ·  padding, computed like any token and thrown away

``batching="padded"`` takes requests as they come. ``"bucketed"`` first sorts them by the length of
the prompt: a batch is made of one bucket, when it is full or its oldest request has waited long
enough. Each lane has the blocks of the longest from the start, so nothing is ever preempted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict, deque
from collections.abc import Callable, Collection

from inference.blocks import BlockManager
from inference.config import EngineConfig
from inference.request import Request
from inference.scheduler import Chunk, Scheduler, Step, publish_blocks

__all__ = ["StaticScheduler"]


class StaticScheduler:
    """Runs one padded batch after the other; ``Scheduler``'s interface.

    Args:
        config: Seats, budget, buckets. A prompt is never chunked: a step computes as many padded
            prompts as the budget holds, and at least one.
        blocks: The KV blocks; no other scheduler uses them.

    Attributes:
        num_preemptions: Always 0.
        prefix_hit_tokens: Prompt tokens found in the prefix cache since the last reset.
    """

    COUNTERS = Scheduler.COUNTERS

    def __init__(self, config: EngineConfig, blocks: BlockManager) -> None:
        bucketed = config.batching == "bucketed"
        self.blocks = blocks
        self.num_preemptions = 0
        self.prefix_hit_tokens = 0
        self._budget = config.max_num_batched_tokens
        self._seats = min(config.max_num_seqs, config.max_num_batched_tokens)
        self._edges = tuple(config.bucket_edges) if bucketed else ()
        self._wait_ns = round(config.bucket_wait * 1e9) if bucketed else 0
        # Ordered sets of waiting requests, one for each range of prompt lengths.
        self._buckets: list[OrderedDict[Request, None]] = [
            OrderedDict() for _ in range(len(self._edges) + 1)
        ]
        # The batch under way: its lanes, those that have ended too.
        self._lanes: list[Request] = []
        self._num_live = 0
        self._unfilled: deque[Request] = deque()
        self._longest_prompt = 0
        self._longest = 0

    def add(self, request: Request) -> None:
        """Queue a request; it must fit the cache alone (the engine has checked)."""
        self._bucket_of(request)[request] = None

    def has_unfinished(self) -> bool:
        """Whether any request is waiting or running."""
        return bool(self._num_live or any(self._buckets))

    def schedule(self, now_ns: Callable[[], int]) -> Step:
        """Return the next step of the batch, forming one if none is under way.

        Args:
            now_ns: The clock, on which requests were submitted.

        Returns:
            The step; empty while no bucket is full and no request has waited long enough.
        """
        if not self._num_live:
            self._form(now_ns())
        return Step.of(self._fill() or self._decode())

    def complete(self, step: Step) -> None:
        """Record that the KV of the step's tokens is on its way to the cache."""
        for chunk in step.chunks:
            request = chunk.request
            if request.finished:  # padding: a position further, as far as the longest lane goes
                request.num_computed = min(chunk.start + 1, self._longest - 1)
            else:
                request.num_computed = chunk.start + chunk.length

    def publish(self, step: Step, finite: Collection[Request]) -> None:
        """Offer what the step computed for sharing: see ``publish_blocks``."""
        publish_blocks(self.blocks, step, finite)

    def remove(self, request: Request) -> None:
        """Drop a finished or aborted request; its lane is padding until the batch ends."""
        if request.state == "waiting":
            del self._bucket_of(request)[request]
        elif request.state == "running":
            self._num_live -= 1
        request.state = "finished"
        if not self._num_live:
            for lane in self._lanes:
                self.blocks.release(lane.table)
            self._lanes = []
            self._unfilled.clear()

    def check_integrity(self) -> None:
        """Recount every block; raises AssertionError on a mismatch."""
        assert self._num_live == sum(not lane.finished for lane in self._lanes)
        self.blocks.check_integrity(lane.table for lane in self._lanes)

    def _bucket_of(self, request: Request) -> OrderedDict[Request, None]:
        return self._buckets[bisect_left(self._edges, request.num_prompt)]

    def _form(self, now: int) -> None:
        """Make a batch of the ready bucket with the oldest request; none if no bucket is ready."""
        ripe = []
        for bucket in filter(None, self._buckets):
            oldest = next(iter(bucket)).submitted_ns
            if len(bucket) >= self._seats or now - oldest >= self._wait_ns:
                ripe.append((oldest, bucket))
        if not ripe:
            return
        _, bucket = min(ripe, key=lambda pair: pair[0])
        while bucket and len(self._lanes) < self._seats:
            request = next(iter(bucket))
            if self._lanes and not self._fits([*self._lanes, request]):
                break
            del bucket[request]
            self._lanes.append(request)
        self._num_live = len(self._lanes)
        self._unfilled.extend(self._lanes)
        self._longest_prompt = max(lane.num_prompt for lane in self._lanes)
        self._longest = max(lane.max_total for lane in self._lanes)
        for lane in self._lanes:
            self._seat(lane, now)

    def _fits(self, lanes: list[Request]) -> bool:
        longest = max(lane.max_total for lane in lanes)
        return len(lanes) * self.blocks.blocks_for(longest) <= self.blocks.num_free

    def _seat(self, request: Request, now: int) -> None:
        request.num_computed = self.blocks.acquire_prefix(request.table, request.tokens)
        request.num_cached = request.num_computed
        self.prefix_hit_tokens += request.num_cached
        # Alone in its batch it is never padded, and its last token is not computed.
        room = self._longest if len(self._lanes) > 1 else self._longest - 1
        grown = self.blocks.grow(request.table, room)
        assert grown, "a batch is formed of what fits the cache"
        request.state = "running"
        request.scheduled_ns = now

    def _fill(self) -> list[Chunk]:
        """Return the next prompts of the batch, padded to its longest; none once all are computed."""
        chunks: list[Chunk] = []
        budget = self._budget
        while self._unfilled:
            request = self._unfilled[0]
            width = self._longest_prompt - request.num_computed
            if chunks and width > budget:
                break
            self._unfilled.popleft()
            if not request.finished:  # it may have been aborted before its turn
                length = request.num_prompt - request.num_computed
                chunks.append(Chunk(request, request.num_computed, length, width - length))
                budget -= width
        chunks.sort(key=lambda chunk: chunk.width > 1)
        return chunks

    def _decode(self) -> list[Chunk]:
        # A lane that has ended writes behind what it has computed, so it spoils no shared block.
        return [
            Chunk(lane, lane.num_computed, *((0, 1) if lane.finished else (1, 0)))
            for lane in self._lanes
        ]
