"""The demo's asv suites: classes whose `track_*` methods read one simulated launch of the commit."""

from __future__ import annotations

import importlib
import os
from typing import Any

from tracker.demo.engine import METRICS, Engine, Machine, Metric, Node, simulate

__all__ = ["suites"]


def suites(module: str) -> dict[str, type]:
    """Return the suite classes of one module of the demo's `benchmarks`, by name.

    They measure the `engine` that the commit holds, on a machine like the first of the demo's.
    """
    names = dict.fromkeys(metric.suite for metric in METRICS)
    return {
        name.partition(".")[2]: _suite(name) for name in names if name.partition(".")[0] == module
    }


def _suite(name: str) -> type:
    def setup(self: Any) -> None:
        engine = importlib.import_module("engine")  # the commit's
        fields = {key: getattr(engine, key.upper()) for key in Engine.__slots__}
        values, _ = simulate(Engine(**fields), Machine(), Node(os.urandom(8).hex()))
        self.values = values

    methods = {
        metric.benchmark.rpartition(".")[2]: _track(metric)
        for metric in METRICS
        if metric.suite == name
    }
    return type(name.partition(".")[2], (), {"setup": setup, "__module__": name, **methods})


def _track(metric: Metric) -> Any:
    def track(self: Any) -> float:
        value = self.values[metric.benchmark]
        if value is None:
            raise RuntimeError("the decode step has no block table")
        return float(value)

    method: Any = track
    method.__name__ = metric.benchmark.rpartition(".")[2]
    method.unit, method.better, method.kind = metric.unit, metric.better, metric.kind
    method.version = "1"
    return method
