"""Where a decode step's time goes: kernels, and the host between them, by torch's profiler."""

from __future__ import annotations

import time
from itertools import pairwise
from statistics import median

from benchmarks.gpu.context import Context
from benchmarks.gpu.load import SIZES, batches, decoding, label, make_engine
from benchmarks.gpu.records import GpuMeasurement
from benchmarks.gpu.timing import wait
from tracker.load.utilization import busy_seconds, profiler_metrics

__all__ = ["trace"]

STEPS = 20


def trace(model: str, context: Context) -> list[GpuMeasurement]:
    """Return step time, kernels per layer, the GPU's busy share, and how long it waits for the host.

    The gap is the median step without the profiler, whose own cost would be counted else, less
    the time in which a kernel runs. A CPU has no kernels: there only the step is timed.
    """
    import torch
    from torch.profiler import ProfilerActivity, profile

    size = SIZES[context.device]
    engine = make_engine(
        model, context.device, max_num_seqs=max(size.batches), max_model_len=2 * size.context + 512
    )
    batch = max(batches(engine, size))
    steps = min(STEPS, size.tokens // 2)
    decoding(engine, size, batch, seed=1)
    times = [time.perf_counter()]
    for _ in range(steps):
        engine.step()
        times.append(time.perf_counter())
    step = median(b - a for a, b in pairwise(times))
    name = f"gpu_engine.{label(model)}.track_"
    measured = [GpuMeasurement(f"{name}step_b{batch}", step, "s", "lower", "timing")]
    if context.device != "cuda":
        return measured
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
        for _ in range(steps):
            engine.step()
        wait(context.device)
    on_device = [e for e in profiler.events() if e.device_type == torch.autograd.DeviceType.CUDA]
    kernels = [e for e in on_device if not e.name.startswith(("Memcpy", "Memset"))]
    intervals = [(e.time_range.start / 1e6, e.time_range.end / 1e6) for e in on_device]
    shares = profiler_metrics(step, intervals, steps)
    per_layer = len(kernels) / steps / engine.model.num_layers
    return [
        *measured,
        GpuMeasurement(
            f"{name}kernel_time_b{batch}", busy_seconds(intervals) / steps, "s", "lower", "timing"
        ),
        GpuMeasurement(f"{name}host_gap_b{batch}", shares["host_gap"], "s", "lower", "timing"),
        GpuMeasurement(
            f"{name}gpu_busy_b{batch}", shares["gpu_busy"], "1", "higher", "utilization"
        ),
        # Head and sampling are counted in: a step's kernels, shared out among the layers.
        GpuMeasurement(f"{name}kernels_per_layer_b{batch}", per_layer, "kernels", "lower", "exact"),
    ]
