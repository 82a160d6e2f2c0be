"""The collectives of one rank: gloo on CPUs, NCCL on CUDA; each counted and timed."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = ["TIMEOUT", "Group"]

# A rank that ends closes its connections, and a collective fails at once; one that hangs is given up here.
TIMEOUT = timedelta(seconds=60)


class Group:
    """The ranks that compute one model; ``COMMUNICATION`` names its counters.

    Args:
        rank: This one, >= 0; rank 0 is the engine.
        size: Ranks in all, >= 2.

    Attributes:
        bytes_sent: That this rank sent in collectives since the last reset, as rings send them.
        collectives: Since the last reset.
    """

    def __init__(self, rank: int, size: int) -> None:
        self.rank = rank
        self.size = size
        self.bytes_sent = 0
        self.collectives = 0
        self._backend: Any = None
        self._seconds = 0.0
        self._events: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    def connect(self, meeting_place: Path, device: torch.device) -> None:
        """Wait until every rank is here.

        Args:
            meeting_place: A file that the ranks share, made by the first of them.
            device: On which this rank computes.

        Raises:
            RuntimeError: Not all came within a minute.
        """
        store = dist.FileStore(str(meeting_place), self.size)
        # Not the process's default group: an engine must not touch what is global.
        if device.type == "cuda":
            options = dist.ProcessGroupNCCL.Options()
            options._timeout = TIMEOUT
            self._backend = dist.ProcessGroupNCCL(store, self.rank, self.size, options)
        else:
            options = dist.ProcessGroupGloo._Options()
            options._devices = [dist.ProcessGroupGloo.create_device(hostname="127.0.0.1")]
            options._timeout = TIMEOUT
            self._backend = dist.ProcessGroupGloo(store, self.rank, self.size, options)

    def sum(self, x: Tensor) -> Tensor:
        """Return the sum of ``x`` over the ranks, in its place.

        Raises:
            RuntimeError: A rank is gone, or did not answer within a minute.
        """
        self.bytes_sent += 2 * (self.size - 1) * x.numel() * x.element_size() // self.size
        self._timed(lambda: self._backend.allreduce([x]), x.is_cuda)
        return x

    def join(self, x: Tensor) -> Tensor:
        """Return the ranks' ``[T, n]`` side by side, ``[T, size·n]``; errors as of ``sum``."""
        self.bytes_sent += (self.size - 1) * x.numel() * x.element_size()
        parts = [torch.empty_like(x) for _ in range(self.size)]
        self._timed(lambda: self._backend.allgather([parts], [x]), x.is_cuda)
        return torch.cat(parts, dim=1)

    def pass_on(self, x: Tensor) -> None:
        """Send ``x`` to the next rank, of the last one to rank 0; errors as of ``sum``."""
        self.bytes_sent += x.numel() * x.element_size()
        self._timed(lambda: self._backend.send([x], (self.rank + 1) % self.size, 0), x.is_cuda)

    def receive(self, like: Tensor) -> Tensor:
        """Return what the rank before passes on, in the place of ``like``; errors as of ``sum``."""
        self._timed(
            lambda: self._backend.recv([like], (self.rank - 1) % self.size, 0), like.is_cuda
        )
        return like

    def seconds(self) -> float:
        """Return the time in collectives since the last reset, waits for slower ranks included."""
        if self._events:
            self._events[-1][1].synchronize()
            self._seconds += sum(start.elapsed_time(end) for start, end in self._events) / 1e3
            self._events.clear()
        return self._seconds

    def reset_seconds(self) -> None:
        """Start ``seconds`` anew."""
        self.seconds()
        self._seconds = 0.0

    def close(self) -> None:
        """Drop the connections."""
        self._backend = None

    def _timed(self, collective: Any, on_cuda: bool) -> None:
        self.collectives += 1
        if not on_cuda:
            began = time.perf_counter()
            collective().wait(TIMEOUT)
            self._seconds += time.perf_counter() - began
            return
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        collective().wait()  # the stream waits, not the host
        end.record()
        self._events.append((start, end))
