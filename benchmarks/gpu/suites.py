"""The asv suites of this device, one launch of each class, without asv itself.

asv wants a git repository and an environment it can manage; a bare machine has neither. What is read
off a class is what asv reads: ``setup_cache``, ``setup``, ``params``, and every ``track_`` method with
its attributes.
"""

from __future__ import annotations

import importlib
import itertools
import math
import pkgutil
from statistics import median
from typing import Any

import benchmarks
from benchmarks.gpu.context import Context
from benchmarks.gpu.records import GpuMeasurement
from tracker.load.errors import ScenarioError, UnavailableError
from tracker.load.suite import labelled

__all__ = ["TEAM", "cases", "is_for", "run", "run_class", "suite_classes"]

TOY = "bench_counters.TinyShared"
TEAM = ("bench_sweep", "bench_team")  # of the part "scenarios"
ELSEWHERE = ("bench_kernels", *TEAM)  # the first of the part "kernels"


def cases(device: str) -> list[str]:
    """Return the classes whose scenario runs on ``device``."""
    if device == "cpu":
        return [TOY]
    return [
        name
        for name, cls in suite_classes().items()
        if name.partition(".")[0] not in ELSEWHERE and is_for(cls, device)
    ]


def run(case: str, context: Context) -> tuple[list[GpuMeasurement], dict[str, Any]]:
    """Return what one launch of the class measured."""
    return run_class(case), {}


def suite_classes() -> dict[str, type]:
    """Return every suite class by the name asv gives it: ``bench_serving.TinyC4``."""
    found = {}
    for info in pkgutil.iter_modules(benchmarks.__path__):
        if not info.name.startswith("bench_"):
            continue
        module = importlib.import_module(f"benchmarks.{info.name}")
        for value in vars(module).values():
            if isinstance(value, type) and value.__module__ == module.__name__ and _tracks(value):
                found[f"{info.name}.{value.__name__}"] = value
    return found


def run_class(name: str) -> list[GpuMeasurement]:
    """Launch the class once and return every value of it.

    Raises:
        ScenarioError: There is no such class.
        UnavailableError: Every benchmark of it was skipped.
    """
    known = suite_classes()
    if name not in known:
        raise ScenarioError(f"no suite {name!r}")
    instance = known[name]()
    cached = (instance.setup_cache(),) if hasattr(instance, "setup_cache") else ()
    measured = []
    skipped = None
    for point in itertools.product(*_params(instance)):
        for track in _tracks(type(instance)):
            method = getattr(instance, track)
            try:
                if hasattr(instance, "setup"):
                    instance.setup(*cached, *point)
                value = _value(method(*cached, *point))
            except NotImplementedError as reason:  # asv's word for "skipped"
                skipped, value = str(reason), None
            measured.append(
                GpuMeasurement(
                    name=f"{name}.{track}",
                    value=value,
                    unit=method.unit,
                    better=method.better,
                    kind=method.kind,
                    version=method.version,
                    params=tuple(zip(_param_names(instance), map(repr, point), strict=True)),
                )
            )
    if skipped is not None and all(one.value is None for one in measured):
        raise UnavailableError(skipped)
    return measured


def is_for(cls: type, device: str) -> bool:
    """Return whether every scenario of a class runs on ``device`` with dummy weights."""
    work = getattr(cls, "work", None)
    return work is None or all(
        scenario.model.device == device and scenario.model.weights == "dummy"
        for scenario in labelled("", work).values()
    )


def _tracks(cls: type) -> list[str]:
    return [name for name in dir(cls) if name.startswith("track_")]


def _params(instance: Any) -> list[list[Any]]:
    params = list(getattr(instance, "params", []))
    return params if params and isinstance(params[0], list | tuple) else [params] if params else []


def _param_names(instance: Any) -> list[str]:
    names = list(getattr(instance, "param_names", []))
    return names or [f"param{i + 1}" for i in range(len(_params(instance)))]


def _value(returned: Any) -> float | None:
    value = median(returned["samples"]) if isinstance(returned, dict) else float(returned)
    return None if math.isnan(value) else value
