"""What reading the GPUs costs a load: the same load with and without the sampler, in turns.

::

    python -m benchmarks.sampling_cost --pairs 20

On a CPU the sampler reads stand-ins of GPUs (`--gpus`, eight by default), each of whose readings takes as many calls of a C library
as NVML's do, so that the thread's share of the interpreter is real. Prints the throughput lost, with a 95 % interval over
the pairs; needs a quiet machine. Exit codes: 0 the interval lies below 1 %, 1 it does not, 2 usage.
"""

from __future__ import annotations

import argparse
import ctypes
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean, stdev
from typing import Any

from benchmarks import bench_decode
from benchmarks.engine.in_process import InProcess
from tracker.load.nvml import NvmlReading
from tracker.load.run import run_scenario
from tracker.load.scenario import Scenario
from tracker.load.telemetry import Readable

CALL = 30  # microseconds of one call of NVML
CALLS = 7  # of a reading
LIMIT = 0.01


class _StandIn:
    """A GPU whose readings are calls of a C library, as NVML's are: the interpreter is free meanwhile."""

    gpm = None

    def __init__(self, number: int) -> None:
        self.uuid = f"stand-in {number}"
        self._call = ctypes.CDLL(None).usleep

    def read(self) -> NvmlReading:
        for _ in range(CALLS):
            self._call(CALL)
        return NvmlReading()

    def energy(self) -> None:
        return None

    processes = model = driver = clocks_policy = sm_clock_limit = close = energy


def cost(scenario: Scenario, pairs: int, *, gpus: int = 8) -> list[float]:
    """Return the share of the throughput that each pair lost with the sampler on."""
    lost = []
    for number in range(pairs):
        order = (True, False) if number % 2 else (False, True)
        rate = {sampled: _throughput(scenario, gpus if sampled else 0) for sampled in order}
        lost.append(1.0 - rate[True] / rate[False])
    return lost


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean's 95 % interval by Student's t."""
    from scipy.stats import t

    half = t.ppf(0.975, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return fmean(values) - half, fmean(values) + half


def _throughput(scenario: Scenario, gpus: int) -> float:
    def open_target(asked: Scenario) -> Any:
        target = InProcess(asked)
        read: list[Readable] = list(target.gpus) or [_StandIn(i) for i in range(gpus)]
        target.gpus = read if gpus else []
        return target

    value = run_scenario("sampling_cost", scenario, open_target).metrics["throughput"]
    assert value is not None
    return value


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse ``arguments`` (None: the command line's), run, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sampling_cost", description=__doc__)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--gpus", type=int, default=8, help="stand-ins on a CPU")
    parser.add_argument("--requests", type=int, help="of the load; default: the suite's")
    options = parser.parse_args(arguments)
    if options.pairs < 2:
        parser.error("give at least 2 pairs")
    if options.gpus < 1:
        parser.error("give at least 1 GPU")
    scenario = (bench_decode.TinyB8 if options.device == "cpu" else bench_decode.Qwen06B1).work
    if options.requests:
        scenario = replace(scenario, workload=replace(scenario.workload, requests=options.requests))
    lost = cost(scenario, options.pairs, gpus=options.gpus)
    low, high = interval(lost)
    sys.stdout.write(
        f"sampling costs {fmean(lost):.2%} of the throughput (95 % interval {low:.2%} to {high:.2%}, "
        f"{len(lost)} pairs)\n"
    )
    return 0 if high < LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
