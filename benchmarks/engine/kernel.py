"""One op on a GPU: its time with a cold cache, and how near that is to what the memory can do.

An op's calls are captured into a CUDA graph, so that the host's time is not in the number, and run
over as many copies of their arguments as overflow the L2 cache several times, so that each call
reads from memory, as in a decode step that streams gigabytes of weights between two calls.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any, TypeVar

from benchmarks.engine.fingerprint import fingerprint, gpus_of
from benchmarks.engine.source import import_engine
from tracker.load.artifact import FORMAT, artifact_directory, write_artifact
from tracker.load.catalogue import Metric
from tracker.load.suite import benchmark_name, publish

__all__ = ["Call", "kernel", "measure_kernel"]

LIMIT = 600  # seconds to import, compile and time
REPLAYS = 30
COLD = 4  # times the L2 cache that the copies fill
T = TypeVar("T")

METRICS = (
    Metric("kernel_time", "Time of one call, cold cache", "s", "lower", "timing"),
    Metric("peak_share", "Bandwidth over the datasheet's", "1", "higher", "utilization"),
    Metric("copy_share", "Bandwidth over a copy's in this launch", "1", "higher", "utilization"),
)
AGAINST_REFERENCE = Metric(
    "over_reference", "Time over that of the torch reference", "1", "lower", "timing"
)


@dataclass(frozen=True, slots=True)
class Call:
    """The arguments of one call of an op, the bytes it must read and write, and its FLOPs."""

    args: tuple[Any, ...]
    num_bytes: int
    kwargs: dict[str, Any] = field(default_factory=dict)
    num_flops: int = 0


def kernel(
    op: str, *, version: str, against_reference: bool = False
) -> Callable[[type[T]], type[T]]:
    """Return a class decorator that adds the benchmarks of one op.

    The class has a static method ``call(device)`` that returns a ``Call``, the same every time, and
    a ``setup_cache`` of its own that returns ``measure_kernel(self)``.

    Args:
        op: Its name in ``inference.ops.OPS``.
        version: Set by hand; raise it whenever the shapes change.
        against_reference: Time the reference too, where it is the kernel of somebody else.
    """
    metrics = (*METRICS, AGAINST_REFERENCE) if against_reference else METRICS

    def decorate(cls: Any) -> Any:
        publish(cls, metrics, version=version, timeout=LIMIT)
        cls.op, cls.against_reference = op, against_reference
        return cls

    return decorate


def measure_kernel(instance: Any) -> dict[str, Any]:
    """Time the op of ``instance``'s class; what its ``setup_cache`` returns."""
    import_engine()
    import torch

    if not torch.cuda.is_available():
        return {"skipped": "kernels are timed on a CUDA device and torch finds none"}
    try:
        from inference.ops import OPS, OpSet
    except ImportError:
        return {"skipped": "this commit has no inference.ops"}
    ops = [op for op in OPS if op.name == instance.op and op.triton is not None]
    if not ops:
        return {"skipped": f"this commit has no kernel for {instance.op}"}

    found = torch.cuda.get_device_properties(torch.cuda.current_device())
    calls = [instance.call("cuda")]
    needed = COLD * found.L2_cache_size
    calls += [instance.call("cuda") for _ in range(needed // calls[0].num_bytes)]

    def seconds_of(backend: str) -> float:
        run = getattr(OpSet(ops, backend=backend, device="cuda"), instance.op)
        return _seconds([lambda call=call: run(*call.args, **call.kwargs) for call in calls])

    seconds = seconds_of("triton")
    bandwidth = calls[0].num_bytes / seconds
    # Both edges of the clock carry data; kHz and bits.
    peak = 2e3 * found.memory_clock_rate * found.memory_bus_width / 8
    metrics = {
        "kernel_time": seconds,
        "peak_share": bandwidth / peak,
        "copy_share": bandwidth / _copy_bandwidth(needed),
    }
    if instance.against_reference:
        metrics[AGAINST_REFERENCE.name] = seconds / seconds_of("reference")
    if directory := artifact_directory():
        gpu = next(iter(gpus_of("cuda")), None)
        name = benchmark_name(type(instance))
        write_artifact(
            directory, artifact_header(name, calls[0], seconds, fingerprint("cuda", gpu, {})), []
        )
    return {"metrics": metrics, "void": None}


def artifact_header(
    benchmark: str, call: Call, seconds: float, environment: dict[str, Any]
) -> dict[str, Any]:
    """Return the header of the launch's artifact, by which the dashboard knows the kernel's place."""
    timed = {"bytes": call.num_bytes, "flops": call.num_flops, "seconds": seconds}
    return {
        "record": "launch",
        "format": FORMAT,
        "launch_id": uuid.uuid4().hex,
        "benchmark": benchmark,
        "fingerprint": environment,
        "kernels": [{"name": benchmark.rpartition(".")[2], **timed}],
    }


def _seconds(runs: list[Callable[[], Any]]) -> float:
    """Return the median seconds of one of ``runs``, captured one after the other."""
    import torch

    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):  # compiles, outside of the capture
        for run in runs[:2]:
            run()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for run in runs:
            run()
    times = []
    for _ in range(REPLAYS):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) / 1e3 / len(runs))
    return median(times[3:])  # the first ones warm the clocks


def _copy_bandwidth(num_bytes: int) -> float:
    import torch

    source = torch.empty(num_bytes, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    return 2 * num_bytes / _seconds([lambda: target.copy_(source)])
