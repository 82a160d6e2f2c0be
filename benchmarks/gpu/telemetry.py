"""The device while it runs: hardware counters, what reading them costs, and the gaps between kernels."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean
from typing import Any

from benchmarks import bench_decode, sampling_cost
from benchmarks.engine.in_process import run_in_process
from benchmarks.gpu.context import Context
from benchmarks.gpu.load import SIZES
from benchmarks.gpu.records import GpuMeasurement
from benchmarks.gpu.trace import trace
from tracker.load import utilization
from tracker.load.catalogue import pick

__all__ = ["LIMIT", "cases", "run"]

LIMIT = 300.0  # seconds of the part
# Pairs of the comparison, and requests of each load.
PAIRS = {"cuda": (8, 4), "cpu": (2, 4)}
COUNTERS = (*utilization.ON_GPU, "energy_per_token", "tokens_per_joule", "throughput")


def cases(device: str) -> list[str]:
    """Return the cases: counters under a long decoding load, the sampler's cost, the gaps of a step."""
    traced = [f"trace {SIZES[device].ablated}", "sampling"]
    return ["counters", *traced] if device == "cuda" else traced


def run(case: str, context: Context) -> tuple[list[GpuMeasurement], dict[str, Any]]:
    """Run one case."""
    what, _, subject = case.partition(" ")
    if what == "trace":
        measured = trace(subject, context)
        return [
            replace(m, name=m.name.replace("gpu_engine", "gpu_telemetry")) for m in measured
        ], {}
    suite = bench_decode.TinyB8 if context.device == "cpu" else bench_decode.Qwen06B1
    if what == "counters":
        metrics = run_in_process("gpu_telemetry.decode", bench_decode.Qwen06B32.work).metrics
        return [
            GpuMeasurement(
                f"gpu_telemetry.decode.track_{m.name}",
                metrics.get(m.name),
                m.unit,
                m.better,
                m.kind,
            )
            for m in pick(COUNTERS)
        ], {}
    pairs, requests = PAIRS[context.device]
    scenario = replace(suite.work, workload=replace(suite.work.workload, requests=requests))
    lost = fmean(sampling_cost.cost(scenario, pairs))
    name = "gpu_telemetry.sampling.track_throughput_lost"
    return [GpuMeasurement(name, lost, "1", "lower", "utilization")], {}
