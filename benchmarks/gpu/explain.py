"""Planted faults of the engine on this device, each seen in what a trace counts exactly."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks import bench_counters, bench_decode
from benchmarks.engine.profile import capture
from benchmarks.gpu.context import Context
from benchmarks.gpu.records import GpuMeasurement
from tracker.load.errors import UnavailableError
from tracker.load.scenario import Scenario

__all__ = ["LIMIT", "cases", "run"]

LIMIT = 300.0  # seconds of the part; a second run does what is left


@dataclass(frozen=True)
class Fault:
    """One planted fault.

    Attributes:
        counter: What counts it: the engine's, or of torch's profiler ("kernel launches", ...).
        sign: 1 where the fault raises it, -1 where it lowers it.
        plant: Changes the engine while its context is open.
        settings: Of the engine, changed.
        shared: Runs chats behind one prompt in place of plain decoding.
        devices: Where it can be seen.
    """

    counter: str
    sign: int
    plant: Callable[[], Any] | None = None
    settings: tuple[tuple[str, object], ...] = ()
    shared: bool = False
    devices: tuple[str, ...] = ("cuda",)


@contextmanager
def _around_forward(act: Callable[[Any], object]) -> Iterator[None]:
    from inference.runner import ModelRunner

    forward = ModelRunner._forward

    def planted(self: Any, batch: Any) -> Any:
        act(batch)
        return forward(self, batch)

    with patch.object(ModelRunner, "_forward", planted):
        yield


def _sync(batch: Any) -> None:
    import torch

    torch.cuda.synchronize()


@contextmanager
def _unfused() -> Iterator[None]:
    """Add the residual in an op of its own."""
    from inference.ops import OpSet

    make = OpSet.__init__

    def planted(self: Any, *args: Any, **options: Any) -> None:
        make(self, *args, **options)

        def add_rms_norm(x: Any, residual: Any, weight: Any, *, eps: float) -> Any:
            residual = residual + x
            return self.rms_norm(residual, weight, eps=eps), residual

        self.add_rms_norm = add_rms_norm

    with patch.object(OpSet, "__init__", planted):
        yield


# Graphs replay what was captured: faults of host code are planted without them.
_EAGER = (("enable_cuda_graphs", False),)
FAULTS = {
    "lost fusion": Fault("op_calls.rms_norm", 1, _unfused, devices=("cuda", "cpu")),
    "lost prefix": Fault(
        "prefix_hit_tokens", -1, None, (("enable_prefix_sharing", False),), True, ("cuda", "cpu")
    ),
    "extra sync": Fault("host-device syncs", 1, lambda: _around_forward(_sync), _EAGER),
    "extra copy": Fault("copies", 1, lambda: _around_forward(lambda b: b.tokens.cpu()), _EAGER),
    "lost graph": Fault("graph_replays", -1, None, _EAGER),
}


def cases(device: str) -> list[str]:
    """Return the faults that can be seen on ``device``."""
    return [name for name, fault in FAULTS.items() if device in fault.devices]


def run(case: str, context: Context) -> tuple[list[GpuMeasurement], dict[str, Any]]:
    """Trace the engine with and without the fault; return what the counter says, and whether it names it."""
    fault = FAULTS[case]
    scenario = _scenario(context.device, shared=fault.shared)
    settings = dict(fault.settings)
    # What is only the place of a fault is the same in both; what is the fault is in the second alone.
    base_settings = settings if fault.plant is not None else {}
    base = _counted(fault.counter, scenario, base_settings)
    if fault.plant is None:
        head = _counted(fault.counter, scenario, settings)
    else:
        with fault.plant():
            head = _counted(fault.counter, scenario, settings)
    is_named = fault.sign * (head - base) > 0
    name = f"gpu_explain.{case.replace(' ', '_')}.track_"
    return [
        GpuMeasurement(f"{name}named", float(is_named), "1", "higher", "exact"),
        GpuMeasurement(f"{name}without", base, "count", "lower", "exact"),
        GpuMeasurement(f"{name}with", head, "count", "lower", "exact"),
    ], {}


def _scenario(device: str, *, shared: bool) -> Scenario:
    if shared:
        scenario: Scenario = bench_counters.TinyShared.work
        if device == "cpu":
            return scenario
        return dataclasses.replace(scenario, model=bench_decode.Qwen06B1.work.model)
    work: Scenario = (bench_decode.TinyB8 if device == "cpu" else bench_decode.Qwen06B1).work
    return work


def _counted(counter: str, scenario: Scenario, settings: dict[str, object]) -> float:
    """Return what a trace of the engine counts.

    Raises:
        TraceError: It could not be traced; says why.
        UnavailableError: torch's profiler does not work here, or this commit does not count it.
    """
    # asv imports every module here to find benchmarks, and this is no part of the load harness.
    from tracker.explain.trace import read_trace

    planted = dataclasses.replace(scenario, engine={**scenario.engine, **settings})
    with tempfile.TemporaryDirectory() as folder:
        trace = read_trace(capture("gpu_explain", planted, Path(folder)))
    if " " not in counter:
        if counter not in trace.counters:
            raise UnavailableError(f"this commit does not count {counter}")
    elif trace.ops_problem is not None:
        raise UnavailableError(trace.ops_problem)
    return float(
        trace.counters.get(counter, 0)
    )  # of the profiler's, what never happened is not there
