"""The per-request inputs of the device, kept on the host from step to step.

A lane is one row of a few arrays. A request takes one when it is first seen in a step and keeps it
while lanes last, so that a step packs rows of its requests by one indexing, and only new blocks
are ever written. Lanes hold copies: nothing is lost when one is taken back.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from inference.request import Request

__all__ = ["Lanes"]

_LARGEST = 2**63 - 1


class Lanes:
    """A fixed number of lanes.

    Args:
        num_lanes: As many requests as one step holds at most.
        max_blocks: Blocks of the longest sequence.

    Attributes:
        tables: Blocks of each lane's request, ``[lanes, max_blocks]`` int32; entries beyond its
            table mean nothing.
        temperature, top_p: ``[lanes]`` float32.
        top_k: ``[lanes]`` int32.
        seeds: ``[lanes]`` int64.
    """

    def __init__(self, num_lanes: int, max_blocks: int) -> None:
        self.tables = np.zeros((num_lanes, max_blocks), np.int32)
        self.temperature = np.zeros(num_lanes, np.float32)
        self.top_p = np.ones(num_lanes, np.float32)
        self.top_k = np.zeros(num_lanes, np.int32)
        self.seeds = np.zeros(num_lanes, np.int64)
        self._free = list(range(num_lanes))
        self._lane_of: dict[Request, int] = {}
        # Of each lane: the preemptions its request had gone through when the table was copied.
        self._preemptions = [0] * num_lanes
        self._copied = [0] * num_lanes

    def seat(self, requests: Collection[Request]) -> list[int]:
        """Return the lane of each request of a step, no more than there are lanes."""
        try:
            return [self._lane_of[request] for request in requests]
        except KeyError:
            pass
        missing = [request for request in requests if request not in self._lane_of]
        if len(missing) > len(self._free):
            self._take_back(set(requests))
        for request in missing:
            self._take(request)
        return [self._lane_of[request] for request in requests]

    def copy_blocks(self, lane: int, request: Request) -> None:
        """Bring the lane's table up to its request's.

        Needed before a step that writes to a block the lane has not seen: at the first position of
        a block, where a request also goes on after a preemption, and for chunks of several tokens.
        """
        blocks = request.table.blocks
        if self._preemptions[lane] != request.num_preemptions:
            self._preemptions[lane] = request.num_preemptions
            self._copied[lane] = 0
        copied = self._copied[lane]
        if copied < len(blocks):
            self.tables[lane, copied : len(blocks)] = blocks[copied:]
            self._copied[lane] = len(blocks)

    def _take(self, request: Request) -> None:
        lane = self._free.pop()
        self._lane_of[request] = lane
        params = request.params
        self.temperature[lane] = params.temperature
        self.top_p[lane] = params.top_p
        self.top_k[lane] = params.top_k
        self.seeds[lane] = request.seed & _LARGEST  # wraps what int64 does not hold
        self._preemptions[lane] = request.num_preemptions
        self._copied[lane] = 0
        self.copy_blocks(lane, request)

    def _take_back(self, kept: set[Request]) -> None:
        for request in [r for r in self._lane_of if r not in kept]:
            self._free.append(self._lane_of.pop(request))
