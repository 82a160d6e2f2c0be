"""The policy of continuous batching, said plainly: lists, nothing kept between passes."""

from __future__ import annotations

from inference.blocks import BlockManager
from inference.config import EngineConfig
from inference.request import Request


class SlowScheduler:
    """Plans one step after the other; ``plan`` returns ``(request, start, length)`` triples."""

    def __init__(self, config: EngineConfig, blocks: BlockManager) -> None:
        self.config = config
        self.blocks = blocks
        self.waiting: list[Request] = []
        self.running: list[Request] = []

    def plan(self) -> list[tuple[Request, int, int]]:
        step: list[tuple[Request, int, int]] = []
        yielded: list[Request] = []
        decoding = [r for r in self.running if len(r.tokens) - r.num_computed == 1]
        prompts = [r for r in self.running if len(r.tokens) - r.num_computed > 1]
        for request in decoding + prompts:
            if request in yielded:
                continue
            spent = sum(length for _, _, length in step)
            length = self.length_of(request, self.config.max_num_batched_tokens - spent, step)
            while length and not self.blocks.grow(request.table, request.num_computed + length):
                newest = self.running.pop()
                yielded.append(newest)
                self.blocks.release(newest.table)
                newest.num_computed = 0
                newest.state = "waiting"
                self.waiting.insert(0, newest)
                if newest is request:
                    length = 0
            if length:
                step.append((request, request.num_computed, length))
        step = [chunk for chunk in step if chunk[0] not in yielded]
        while self.waiting and not yielded and len(self.running) < self.config.max_num_seqs:
            budget = self.config.max_num_batched_tokens - sum(length for _, _, length in step)
            if budget <= 0 or not self.admit(self.waiting[0], budget, step):
                break
        return [c for c in step if c[2] == 1] + [c for c in step if c[2] > 1]

    def admit(self, request: Request, budget: int, step: list[tuple[Request, int, int]]) -> bool:
        request.num_computed = self.blocks.acquire_prefix(request.table, request.tokens)
        length = self.length_of(request, budget, step)
        still_to_take = sum(
            self.blocks.blocks_for(len(r.tokens)) - len(r.table.blocks)
            for r in [*self.running, request]
        )
        if length == 0 or still_to_take > self.blocks.num_free:
            self.blocks.release(request.table)
            request.num_computed = 0
            return False
        self.blocks.grow(request.table, request.num_computed + length)
        self.running.append(self.waiting.pop(0))
        request.state = "running"
        step.append((request, request.num_computed, length))
        return True

    def length_of(self, request: Request, budget: int, step: list[tuple[Request, int, int]]) -> int:
        left = len(request.tokens) - request.num_computed
        if left > 1 and not self.config.enable_chunked_prefill:
            return left if left <= budget or not step else 0
        return max(0, min(left, budget, self.config.prefill_chunk_size or left))

    def complete(self, step: list[tuple[Request, int, int]]) -> None:
        for request, start, length in step:
            request.num_computed = start + length
            self.blocks.publish(request.table, request.tokens, request.num_computed)

    def remove(self, request: Request) -> None:
        self.running.remove(request)
        self.blocks.release(request.table)
