"""Decode and prefill, and the share of the roofline they reach."""

from __future__ import annotations

import time
from itertools import pairwise
from statistics import median

from benchmarks.gpu.context import Context
from benchmarks.gpu.load import SIZES, batches, decoding, label, make_engine, prompts
from benchmarks.gpu.records import GpuMeasurement
from benchmarks.gpu.timing import wait

__all__ = ["decode", "prefill"]


def decode(model: str, context: Context) -> list[GpuMeasurement]:
    """Return tokens/s of each batch size, and the share of the bandwidth it makes use of.

    The share is (weights + KV that a step must read and write, by the engine's own count) / step
    time / bandwidth: 1 is a decoder that does nothing but read its weights.
    """
    size = SIZES[context.device]
    engine = make_engine(
        model, context.device, max_num_seqs=max(size.batches), max_model_len=2 * size.context + 512
    )
    measured = []
    for batch in batches(engine, size):
        ids = decoding(engine, size, batch, seed=batch)
        engine.reset_counters()
        # Every step yields one token of each request and waits for them: the clock needs no more.
        times = [time.perf_counter()]
        for _ in range(size.tokens):
            engine.step()
            times.append(time.perf_counter())
        counters = engine.counters()
        for request in ids:
            engine.abort(request)
            engine.output(request)
        step = median(b - a for a, b in pairwise(times))
        name = f"gpu_engine.{label(model)}.track_decode_b{batch}"
        measured.append(GpuMeasurement(name, batch / step, "tokens/s", "higher", "rate"))
        moved = counters["model_bytes"] / counters["steps"]
        measured += context.shares(f"{name}_bandwidth", of="copy", amount=moved, seconds=step)
    return measured


def prefill(model: str, context: Context) -> list[GpuMeasurement]:
    """Return MFU of a long prompt, and time to first token of one of 1k, on an idle engine."""
    from inference import SamplingParams

    size = SIZES[context.device]
    engine = make_engine(
        model,
        context.device,
        max_num_seqs=2,
        max_num_batched_tokens=2 * size.prompt,
        max_model_len=2 * size.prompt,
    )
    one = SamplingParams(max_tokens=1)
    name = f"gpu_engine.{label(model)}.track_"
    measured = []
    for what, tokens in (("prefill", size.prompt), ("ttft", size.context)):
        waits = []
        for prompt in prompts(engine, size.repeats + 2, tokens, seed=tokens):
            wait(context.device)
            engine.reset_counters()
            (output,) = engine.generate([prompt], one)
            waits.append(output.timing.ttft)
        ttft = median(waits[2:])  # the first two warm up
        measured.append(GpuMeasurement(f"{name}{what}_{tokens}", ttft, "s", "lower", "timing"))
        if what == "prefill":
            flops = engine.counters()["model_flops"]
            share = f"{name}{what}_{tokens}_mfu"
            measured += context.shares(share, of="matmul", amount=flops, seconds=ttft)
    return measured
