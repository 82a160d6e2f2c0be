"""Every call that the engine makes of torch, counted: the same on every launch, on a laptop as on a GPU.

No clock may be read under it: counting an op takes longer than a small op.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from benchmarks.engine.in_process import InProcess
from tracker.load.drive import Drive
from tracker.load.metrics import Values
from tracker.load.records import LoadRequest
from tracker.load.target import Observation

__all__ = ["ALLOCATED", "ALLOCATIONS", "Counted", "call_metrics", "counting"]

PREFIX = "torch."
ALLOCATIONS, ALLOCATED = "torch_allocations", "torch_allocated_bytes"
# Calls that wait for a value of the device, and calls that copy a tensor.
SYNCS = ("_local_scalar_dense", "is_nonzero", "nonzero", "equal")
COPIES = ("copy_", "_to_copy", "clone")


class Counted(InProcess):
    """The engine in this process, with its calls of torch counted in the timed part."""

    def begin(self) -> None:
        """As of `InProcess`; counting starts with the next load."""
        super().begin()
        self._calls: Counter[str] | None = Counter()

    def drive(self, requests: Sequence[LoadRequest], concurrency: int | None) -> Drive:
        """Run the requests to their ends."""
        calls = getattr(self, "_calls", None)
        if calls is None:
            return super().drive(requests, concurrency)
        with counting(calls):
            return super().drive(requests, concurrency)

    def finish(self, warm: Drive, done: Drive) -> Observation:
        """As of `InProcess`, with the calls by name among the counters."""
        observed = super().finish(warm, done)
        counters = {**observed.counters, **(self._calls or {})}
        return dataclasses.replace(
            observed, counters=counters, metrics=observed.metrics | call_metrics(counters)
        )


@contextmanager
def counting(calls: Counter[str]) -> Iterator[None]:
    """Add to ``calls`` every op of torch's that runs inside, as ``torch.<op>``, and what they allocate.

    An op allocates what none of its arguments held: a view and an op in place allocate nothing.
    """
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    def storages(values: Any) -> dict[int, int]:
        tensors = [leaf for leaf in tree_leaves(values) if isinstance(leaf, torch.Tensor)]
        held = [tensor.untyped_storage() for tensor in tensors]
        return {storage._cdata: storage.nbytes() for storage in held}

    class Mode(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            with self:  # in inference mode an op made of others comes whole: count its parts
                result = func.decompose(*args, **(kwargs or {}))
            if result is not NotImplemented:
                return result
            result = func(*args, **(kwargs or {}))
            calls[PREFIX + func.overloadpacket.__name__] += 1
            given = storages((args, kwargs))
            made = [size for key, size in storages(result).items() if key not in given]
            calls[ALLOCATIONS] += len(made)
            calls[ALLOCATED] += sum(made)
            return result

    with Mode():
        yield


def call_metrics(counters: dict[str, float]) -> Values:
    """Return the metrics made of the counted calls, each per engine step.

    Args:
        counters: The engine's ``steps``, and what ``counting`` counted.
    """
    steps = counters.get("steps")
    calls = {
        name.removeprefix(PREFIX): n for name, n in counters.items() if name.startswith(PREFIX)
    }
    if not steps or not calls:
        return {}
    return {
        "torch_calls_per_step": sum(calls.values()) / steps,
        "host_syncs_per_step": sum(calls.get(name, 0) for name in SYNCS) / steps,
        "copies_per_step": sum(calls.get(name, 0) for name in COPIES) / steps,
        "allocations_per_step": counters.get(ALLOCATIONS, 0) / steps,
        "allocated_bytes_per_step": counters.get(ALLOCATED, 0) / steps,
    }
