"""Chooses the next step: continuous batching under a token budget. No tensors.

Each step is chosen in three passes over requests in order of arrival:

1. every decoding request gets its one token,
2. prompts under way get their next chunk from what is left of the budget,
3. waiting requests are admitted while budget, seats and blocks last.

A request that finds no block preempts the newest running one: its blocks are given back, its
tokens kept, and it waits at the front to have its KV recomputed. The oldest request can preempt
all others and each is known to fit the cache alone, so the oldest always advances and every
request ends.

A step costs O(chunks in it) and, where requests wait, one look-up of the first one's prefix; adding,
removing or preempting a request is O(1).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from inference.blocks import BlockManager
from inference.config import EngineConfig
from inference.counters import Counter
from inference.drafts import Drafter
from inference.request import Request

__all__ = ["Chunk", "Scheduler", "Step", "publish_blocks"]


@dataclass(slots=True, eq=False)
class Chunk:
    """Tokens ``[start, start + length)`` of one request, computed in one step.

    Attributes:
        padding: Lanes after them that are computed and thrown away, for a batch that is padded.
            The request's table has room for them.
        drafts: How many of the last tokens are guesses (``Request.drafts``).
    """

    request: Request
    start: int
    length: int
    padding: int = 0
    drafts: int = 0

    @property
    def width(self) -> int:
        """Lanes it takes in the batch."""
        return self.length + self.padding

    @property
    def is_last(self) -> bool:
        """Whether the request's newest token is in it, so that the next one can be sampled.

        A finished lane of a padded batch decodes until the batch ends; its tokens are discarded.
        """
        end = self.start + self.length - self.drafts
        return self.length == 0 or end == self.request.num_tokens

    @property
    def is_decode(self) -> bool:
        """Whether it computes one generated token and nothing of the prompt."""
        return self.length == 1 and self.start >= self.request.num_prompt


@dataclass(slots=True)
class Step:
    """The chunks of one step as columns, those of a single lane first.

    Most steps compute one token for each of the requests of the step before. Columns of numbers are
    put together, compared and added up in a fraction of the time that objects take.

    Attributes:
        requests, starts, lengths, paddings, drafts: As of ``Chunk``, one entry each.
    """

    requests: list[Request] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    paddings: list[int] = field(default_factory=list)
    drafts: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, chunks: Iterable[Chunk]) -> Step:
        """Return the step of those chunks."""
        step = cls()
        for chunk in chunks:
            step.add(chunk.request, chunk.start, chunk.length, chunk.padding, chunk.drafts)
        return step

    def add(
        self, request: Request, start: int, length: int, padding: int = 0, drafts: int = 0
    ) -> None:
        """Append a chunk."""
        self.requests.append(request)
        self.starts.append(start)
        self.lengths.append(length)
        self.paddings.append(padding)
        self.drafts.append(drafts)

    @property
    def chunks(self) -> list[Chunk]:
        """The same, one by one; made anew at each call."""
        columns = (self.requests, self.starts, self.lengths, self.paddings, self.drafts)
        return list(map(Chunk, *columns))

    @property
    def num_tokens(self) -> int:
        """Tokens computed in the step, padding not counted."""
        return sum(self.lengths)


def publish_blocks(blocks: BlockManager, step: Step, finite: Collection[Request]) -> None:
    """Offer full blocks for sharing, once the step that filled them is read.

    Args:
        blocks: Whose they are.
        step: That was computed.
        finite: Its requests whose next token came of finite logits. Keys or values that are not
            finite spoil the logits of every later token, so theirs are all sound; what an earlier
            chunk of a prompt filled is offered with the last one.
    """
    if not blocks.enable_prefix_sharing:
        return
    size = blocks.block_size
    for request, start, length in zip(step.requests, step.starts, step.lengths, strict=True):
        # Not what was guessed wrongly; nothing where the request was preempted meanwhile.
        computed = min(start + length, request.num_computed, len(request.tokens))
        if (
            computed // size > len(request.table.links)
            and request.state == "running"
            and request in finite
        ):
            blocks.publish(request.table, request.tokens, computed)


class Scheduler:
    """Holds every unfinished request and picks the next step.

    Args:
        config: Budget, seats, chunking.
        blocks: The KV blocks; no other scheduler uses them.
        drafter: Guesses the next tokens of decoding requests, if anything does.

    Attributes:
        waiting: Requests without blocks, the next to be admitted first; an ordered set.
        running: Requests with blocks, in order of arrival; an ordered set.
        num_preemptions: Since the last reset.
        prefix_hit_tokens: Prompt tokens found in the prefix cache since the last reset, counted
            on first admission only.
    """

    COUNTERS = (
        Counter("prefix_hit_tokens", "prompt tokens found in the prefix cache"),
        Counter(
            "preemptions", "requests whose blocks were taken back", attribute="num_preemptions"
        ),
    )

    def __init__(
        self, config: EngineConfig, blocks: BlockManager, drafter: Drafter | None = None
    ) -> None:
        self.config = config
        self.blocks = blocks
        self.drafter = drafter
        # OrderedDict, not dict: both ends and the middle in O(1).
        self.waiting: OrderedDict[Request, None] = OrderedDict()
        self.running: OrderedDict[Request, None] = OrderedDict()
        self.num_preemptions = 0
        self.prefix_hit_tokens = 0

    def add(self, request: Request) -> None:
        """Queue a request; it must fit the cache alone (the engine has checked)."""
        self.waiting[request] = None

    def has_unfinished(self) -> bool:
        """Whether any request is waiting or running."""
        return bool(self.waiting or self.running)

    def schedule(self, now_ns: Callable[[], int]) -> Step:
        """Choose the next step and give each of its chunks the blocks it writes to.

        Args:
            now_ns: The clock, read once for each request admitted for the first time.

        Returns:
            The step; empty only when no request is unfinished, or each waits for a step to be read.
        """
        preempted = self.num_preemptions
        decodes: list[Request] = []
        starts: list[int] = []
        prompts: list[Request] = []
        size = self.blocks.block_size
        for request in tuple(self.running):
            start = request.num_computed
            num_tokens = len(request.tokens) + request.num_pending
            if num_tokens >= request.max_total:
                continue  # its last token is on its way
            if start + 1 != num_tokens:
                prompts.append(request)
            # Within a block there is room. One that an older request has preempted in this same pass
            # does not come here: it has all its tokens to compute again.
            elif start % size or self._make_room(request, start + 1):
                decodes.append(request)
                starts.append(start)
        num_decodes = len(decodes)
        zeros = [0] * num_decodes
        step = Step(decodes, starts, [1] * num_decodes, zeros, zeros.copy())
        # At least 0: no more are seated than there is budget for.
        budget = self.config.max_num_batched_tokens - num_decodes
        if self.drafter is not None:
            budget -= self._draft(step, budget)
        for request in prompts:
            if request.state != "running":
                continue
            length = self._chunk_length(request, budget, first=not step.requests)
            if length == 0:
                continue
            if self._make_room(request, request.num_computed + length):
                step.add(request, request.num_computed, length)
                budget -= length
        if self.num_preemptions != preempted:
            step = Step.of(c for c in step.chunks if c.request.state == "running")
        elif self.waiting:
            self._admit(step, prompts, budget, now_ns)
        if len(step.requests) > num_decodes or any(step.drafts):
            step = Step.of(sorted(step.chunks, key=lambda chunk: chunk.length > 1))
        return step

    def complete(self, step: Step) -> None:
        """Record that the KV of the step's tokens is on its way to the cache."""
        for request, start, length in zip(step.requests, step.starts, step.lengths, strict=True):
            request.num_computed = start + length

    def publish(self, step: Step, finite: Collection[Request]) -> None:
        """Offer what the step computed for sharing: see ``publish_blocks``."""
        publish_blocks(self.blocks, step, finite)

    def remove(self, request: Request) -> None:
        """Drop a finished or aborted request and give its blocks back."""
        if request.state == "running":
            del self.running[request]
        elif request.state == "waiting":
            del self.waiting[request]
        self.blocks.release(request.table)
        request.state = "finished"

    def check_integrity(self) -> None:
        """Recount every block; raises AssertionError on a mismatch."""
        assert not any(r.table.blocks for r in self.waiting), "a waiting request holds blocks"
        self.blocks.check_integrity(r.table for r in self.running)

    def _chunk_length(self, request: Request, budget: int, *, first: bool) -> int:
        wanted = request.num_uncomputed
        if wanted > 1 and not self.config.enable_chunked_prefill:
            # A whole prompt or nothing; over budget only if it has the step to itself.
            return wanted if wanted <= budget or first else 0
        if self.config.prefill_chunk_size is not None:
            wanted = min(wanted, self.config.prefill_chunk_size)
        return min(wanted, budget)

    def _draft(self, step: Step, budget: int) -> int:
        """Append guesses to decoding requests; return how many tokens that took.

        Guesses preempt no request: if no block is free for them, fewer are made.
        """
        assert self.drafter is not None
        rows: list[int] = []
        most: list[int] = []
        for row, request in enumerate(step.requests):
            room = request.max_total - request.num_tokens - 1  # the token after them comes, too
            count = min(self.config.max_draft_tokens, budget - sum(most), room)
            if count > 0 and not request.params.looks_at_logits:
                rows.append(row)
                most.append(count)
        if not rows:
            return 0
        guesses = self.drafter.guess([step.requests[row] for row in rows], most)
        for row, drafts in zip(rows, guesses, strict=True):
            request, start = step.requests[row], step.starts[row]
            while drafts and not self.blocks.grow(request.table, start + 1 + len(drafts)):
                drafts.pop()
            request.drafts = drafts
            step.drafts[row] = len(drafts)
            step.lengths[row] = 1 + len(drafts)
        return sum(step.drafts)

    def _make_room(self, request: Request, num_tokens: int) -> bool:
        """Grow the request's table, preempting the newest running ones as long as it takes.

        Returns:
            False if it was itself the newest and had to yield.
        """
        while not self.blocks.grow(request.table, num_tokens):
            victim = next(reversed(self.running))
            self._preempt(victim)
            if victim is request:
                return False
        return True

    def _preempt(self, request: Request) -> None:
        del self.running[request]
        self.blocks.release(request.table)
        request.num_computed = 0
        request.num_preemptions += 1
        request.state = "waiting"
        # Victims leave newest first, so pushing each to the front keeps the order of arrival.
        self.waiting[request] = None
        self.waiting.move_to_end(request, last=False)
        self.num_preemptions += 1

    def _admit(
        self,
        step: Step,
        prompts: list[Request],
        budget: int,
        now_ns: Callable[[], int],
    ) -> None:
        # Blocks that prompts under way have still to take: two prompts admitted into the same
        # free blocks would preempt each other. Those that decode have all theirs by now.
        promised = sum(self._missing(request) for request in prompts)
        # Budget is left only after every running request had its share, so each admitted request
        # has at least one token of budget in every step.
        while self.waiting and budget > 0 and len(self.running) < self.config.max_num_seqs:
            request = next(iter(self.waiting))
            cached = self.blocks.acquire_prefix(request.table, request.tokens)
            request.num_computed = cached
            length = self._chunk_length(request, budget, first=not step.requests)
            if length == 0 or promised + self._missing(request) > self.blocks.num_free:
                self.blocks.release(request.table)
                request.num_computed = 0
                return
            grown = self.blocks.grow(request.table, cached + length)
            assert grown, "a chunk takes no more blocks than all the request's tokens"
            promised += self._missing(request)
            del self.waiting[request]
            self.running[request] = None
            request.state = "running"
            if request.scheduled_ns is None:
                request.scheduled_ns = now_ns()
                request.num_cached = cached
                self.prefix_hit_tokens += cached
            step.add(request, cached, length)
            budget -= length

    def _missing(self, request: Request) -> int:
        """Blocks the request's tokens take beyond those it has."""
        return self.blocks.blocks_for(request.num_tokens) - len(request.table.blocks)
