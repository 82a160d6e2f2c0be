"""What runs in the next step: continuous batching under a token budget. No tensors.

Each step is chosen in three passes over requests in order of arrival:

1. every decoding request gets its one token,
2. prompts under way get their next chunk from what is left of the budget,
3. waiting requests are admitted while budget, seats and blocks last.

A request that finds no block preempts the newest running one: its blocks are given back, its
tokens kept, and it waits at the front to have its KV recomputed. The oldest request can preempt
all others and each is known to fit the cache alone, so the oldest always advances and every
request ends.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from inference.blocks import BlockManager
from inference.config import EngineConfig
from inference.request import Request, RequestState

__all__ = ["Chunk", "Scheduler", "Step"]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Tokens ``[start, start + length)`` of one request, computed in one step."""

    request: Request
    start: int
    length: int

    @property
    def is_last(self) -> bool:
        """Whether the request's newest token is in it, so that the next one can be sampled."""
        return self.start + self.length == len(self.request.tokens)

    @property
    def is_decode(self) -> bool:
        """Whether it computes one generated token and nothing of the prompt."""
        return self.length == 1 and self.start >= self.request.num_prompt


@dataclass(slots=True)
class Step:
    """The chunks of one step, those of a single token first."""

    chunks: list[Chunk] = field(default_factory=list)

    @property
    def num_tokens(self) -> int:
        """Tokens computed in the step."""
        return sum(chunk.length for chunk in self.chunks)


class Scheduler:
    """Holds every unfinished request and picks the next step.

    Args:
        config: Budget, seats, chunking.
        blocks: The KV blocks; this scheduler is their only customer.

    Attributes:
        waiting: Requests without blocks, the next to be admitted first.
        running: Requests with blocks, in order of arrival.
        num_preemptions: Since the last reset.
        prefix_hit_tokens: Prompt tokens found in the prefix cache since the last reset, counted
            on first admission only.
    """

    def __init__(self, config: EngineConfig, blocks: BlockManager) -> None:
        self.config = config
        self.blocks = blocks
        self.waiting: deque[Request] = deque()
        self.running: list[Request] = []
        self.num_preemptions = 0
        self.prefix_hit_tokens = 0

    def add(self, request: Request) -> None:
        """Queue a request; it must fit the cache alone (the engine has checked)."""
        self.waiting.append(request)

    def has_unfinished(self) -> bool:
        """Whether any request is waiting or running."""
        return bool(self.waiting or self.running)

    def schedule(self, now_ns: Callable[[], int]) -> Step:
        """Choose the next step and give each of its chunks the blocks it writes to.

        Args:
            now_ns: The clock, read once for each request admitted for the first time.

        Returns:
            The step; empty only when no request is unfinished.
        """
        chosen: dict[Request, Chunk] = {}
        preempted = self.num_preemptions
        budget = self.config.max_num_batched_tokens
        decoding = [r for r in self.running if r.num_uncomputed == 1]
        prefilling = [r for r in self.running if r.num_uncomputed > 1]
        for request in decoding + prefilling:
            if request.state is not RequestState.RUNNING:
                continue  # preempted by an older one in this same pass
            length = self._chunk_length(request, budget, first=not chosen)
            if length == 0:
                continue
            if self._make_room(request, request.num_computed + length, chosen):
                chosen[request] = Chunk(request, request.num_computed, length)
                budget -= length
        if self.num_preemptions == preempted:
            self._admit(chosen, budget, now_ns)
        return Step(sorted(chosen.values(), key=lambda c: c.length > 1))

    def complete(self, step: Step) -> None:
        """Record that the KV of the step's tokens is in the cache, and publish full blocks."""
        for chunk in step.chunks:
            request = chunk.request
            request.num_computed = chunk.start + chunk.length
            self.blocks.publish(request.table, request.tokens, request.num_computed)

    def remove(self, request: Request) -> None:
        """Drop a finished or aborted request and give its blocks back."""
        if request.state is RequestState.RUNNING:
            self.running.remove(request)
        elif request.state is RequestState.WAITING:
            self.waiting.remove(request)
        self.blocks.release(request.table)
        request.state = RequestState.FINISHED

    def _chunk_length(self, request: Request, budget: int, *, first: bool) -> int:
        wanted = request.num_uncomputed
        if wanted > 1 and not self.config.enable_chunked_prefill:
            # A whole prompt or nothing; over budget only if it has the step to itself.
            return wanted if wanted <= budget or first else 0
        if self.config.prefill_chunk_size is not None:
            wanted = min(wanted, self.config.prefill_chunk_size)
        return min(wanted, budget)

    def _make_room(self, request: Request, num_tokens: int, chosen: dict[Request, Chunk]) -> bool:
        """Grow the request's table, preempting the newest running ones as long as it takes.

        Returns:
            False if it was itself the newest and had to yield.
        """
        while not self.blocks.grow(request.table, num_tokens):
            victim = self.running[-1]
            chosen.pop(victim, None)
            self._preempt(victim)
            if victim is request:
                return False
        return True

    def _preempt(self, request: Request) -> None:
        self.running.remove(request)
        self.blocks.release(request.table)
        request.num_computed = 0
        request.num_preemptions += 1
        request.state = RequestState.WAITING
        # Victims leave newest first, so pushing each to the front keeps the order of arrival.
        self.waiting.appendleft(request)
        self.num_preemptions += 1

    def _admit(self, chosen: dict[Request, Chunk], budget: int, now_ns: Callable[[], int]) -> None:
        # Blocks that running prompts have still to take: two prompts admitted into the same free
        # blocks would preempt each other.
        promised = sum(self._missing(request) for request in self.running) if self.waiting else 0
        # Budget is left only where every running request had its share, so nobody is ever seated
        # without a token of budget a step.
        while self.waiting and budget > 0 and len(self.running) < self.config.max_num_seqs:
            request = self.waiting[0]
            cached = self.blocks.acquire_prefix(request.table, request.tokens)
            request.num_computed = cached
            length = self._chunk_length(request, budget, first=not chosen)
            if length == 0 or promised + self._missing(request) > self.blocks.num_free:
                self.blocks.release(request.table)
                request.num_computed = 0
                return
            grown = self.blocks.grow(request.table, cached + length)
            assert grown, "a chunk takes no more blocks than all the request's tokens"
            promised += self._missing(request)
            self.waiting.popleft()
            self.running.append(request)
            request.state = RequestState.RUNNING
            if request.scheduled_ns is None:
                request.scheduled_ns = now_ns()
                request.num_cached = cached
                self.prefix_hit_tokens += cached
            chosen[request] = Chunk(request, cached, length)
            budget -= length

    def _missing(self, request: Request) -> int:
        """Blocks the request's tokens take beyond those it has."""
        return self.blocks.blocks_for(len(request.tokens)) - len(request.table.blocks)
