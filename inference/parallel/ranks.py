"""Starts the other ranks, gives them the inputs of every step, and notices when one is gone."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from inference.batch import Batch
from inference.config import EngineConfig
from inference.errors import BackendUnavailable, RankFailed
from inference.ops.attention import AttentionPlan
from inference.parallel.group import Group

__all__ = ["LOADED", "CacheSizes", "Ranks", "Setup", "StepInputs"]

LOADED = "loaded"  # what a rank answers once it has its part
_PATIENCE = 10.0  # seconds for a rank to end by itself
_DYING = 1.0  # seconds from a broken connection to the end of its process


@dataclass(frozen=True, slots=True)
class Setup:
    """What a rank is told first.

    Attributes:
        model: As ``LLM`` takes it.
        dtype: Name of torch's.
        backend: Of the ops.
        meeting_place: See ``Group.connect``.
    """

    model: str | Path
    config: EngineConfig
    rank: int
    device: str
    dtype: str
    backend: str
    num_threads: int
    meeting_place: Path


@dataclass(frozen=True, slots=True)
class CacheSizes:
    """What rank 0 chose once it had loaded."""

    max_model_len: int
    num_blocks: int


@dataclass(frozen=True, slots=True)
class StepInputs:
    """A batch as it goes to the other ranks: NumPy arrays and the host's fields of the plan."""

    tokens: Any
    positions: Any
    slots: Any
    plan: tuple[Any, ...]
    sample_rows: Any  # None: every token
    samples: bool

    @classmethod
    def of(cls, batch: Batch) -> StepInputs:
        plan = batch.plan
        return cls(
            *(t.cpu().numpy() for t in (batch.tokens, batch.positions, batch.slots)),
            (
                *(t.cpu().numpy() for t in (plan.query_starts, plan.context_lens, plan.block_tables)),
                *(plan.block_size, plan.host_query_starts, plan.host_context_lens),
                *(plan.single_groups, plan.num_single, plan.max_context),
            ),
            None if batch.sample_rows is None else batch.sample_rows.cpu().numpy(),
            bool(batch.sampled),
        )  # fmt: skip

    def attention_plan(self, device: torch.device) -> AttentionPlan:
        tensors = (torch.from_numpy(array).to(device) for array in self.plan[:3])
        return AttentionPlan(*tensors, *self.plan[3:])


class Ranks:
    """The processes of ranks 1 and up, as rank 0 sees them. They load while rank 0 does.

    Args:
        model: As ``LLM`` takes it.
        config: Of the engine.
        device: Of rank 0.
        dtype, backend: That rank 0 chose.

    Attributes:
        group: Rank 0's; connected by ``meet``.
        failure: Why the ranks ended, if they did not by ``close``.

    Raises:
        BackendUnavailable: Fewer CUDA devices than ranks.
        RankFailed: From any method: a rank ended. It names the rank and how it ended.
    """

    def __init__(
        self,
        model: str | Path,
        config: EngineConfig,
        *,
        device: torch.device,
        dtype: torch.dtype,
        backend: str,
    ) -> None:
        size = config.num_ranks
        if device.type == "cuda" and torch.cuda.device_count() < size:
            raise BackendUnavailable(
                f"EngineConfig asks for {size} ranks (tensor_parallel, pipeline_parallel), and torch "
                f"finds {torch.cuda.device_count()} CUDA devices"
            )
        self.group = Group(0, size)
        self.failure: RankFailed | None = None
        self._device = device
        directory = tempfile.mkdtemp(prefix="pacekeeper-ranks-")
        self._meeting_place = Path(directory) / "store"
        self._processes: list[subprocess.Popen[bytes]] = []
        self._connections: list[Connection] = []
        # An engine that nobody closes ends its ranks all the same.
        self._end = weakref.finalize(self, _end, self._connections, self._processes, directory)
        for rank in range(1, size):
            self._connections.append(self._start())
            setup = Setup(
                model=model,
                config=config,
                rank=rank,
                device=_device_of(rank, device),
                dtype=str(dtype).removeprefix("torch."),
                backend=backend,
                num_threads=torch.get_num_threads(),
                meeting_place=self._meeting_place,
            )
            self._send_to(rank, setup)

    def meet(self, sizes: CacheSizes) -> None:
        """Wait until every rank has loaded its part, then connect them.

        Args:
            sizes: Of the caches, which rank 0 chose.
        """
        for rank in range(1, self.group.size):
            try:
                answer = self._connections[rank - 1].recv()
            except (EOFError, OSError) as error:
                raise self.failed(error) from error
            if answer != LOADED:
                raise self.failed(RankFailed(f"rank {rank}: {answer}"))
            self._send_to(rank, sizes)
        try:
            self.group.connect(self._meeting_place, self._device)
        except RuntimeError as error:
            raise self.failed(error) from error

    def send(self, inputs: StepInputs) -> None:
        """Give each rank the inputs of a step."""
        for rank in range(1, self.group.size):
            self._send_to(rank, inputs)

    def failed(self, error: Exception) -> RankFailed:
        """End every rank and return why: what a rank said, else the first that ended, else ``error``."""
        if self.failure is None:
            if isinstance(error, RankFailed):
                self.failure = error
            else:
                what = self._first_ended() or f"{type(error).__name__}: {error}"
                self.failure = RankFailed(what)
            self.close(patience=0.0)
        return self.failure

    def close(self, *, patience: float = _PATIENCE) -> None:
        """End the processes, by force after ``patience`` seconds. May be repeated."""
        ended = self._end.detach()
        if ended is not None:
            _end(*ended[2], patience=patience)
        self.group.close()

    def _start(self) -> Connection:
        """Start a process and return the connection to it."""
        ours, theirs = socket.socketpair()
        # Not multiprocessing: it would import the caller's main module again.
        self._processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "inference.parallel.worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        )
        theirs.close()
        return Connection(ours.detach())

    def _send_to(self, rank: int, message: Any) -> None:
        try:
            self._connections[rank - 1].send(message)
        except OSError as error:
            raise self.failed(error) from error

    def _first_ended(self) -> str | None:
        """Return which rank ended and how; None: all are running."""
        deadline = time.monotonic() + _DYING
        while True:
            for rank, process in enumerate(self._processes, start=1):
                code = process.poll()
                if code is not None:
                    how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
                    return f"rank {rank} of {self.group.size} {how}"
            if time.monotonic() > deadline:
                return None
            time.sleep(0.01)  # a process closes its connections before it can be waited for


def _device_of(rank: int, first: torch.device) -> str:
    """Return the device of a rank, where rank 0 has ``first``."""
    if first.type != "cuda":
        return "cpu"
    return f"cuda:{((first.index or 0) + rank) % torch.cuda.device_count()}"


def _end(
    connections: list[Connection],
    processes: list[subprocess.Popen[bytes]],
    directory: str,
    *,
    patience: float = _PATIENCE,
) -> None:
    for connection in connections:
        connection.close()  # a rank ends when rank 0 is gone
    connections.clear()
    for process in processes:
        try:
            process.wait(timeout=patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    processes.clear()
    shutil.rmtree(directory, ignore_errors=True)
