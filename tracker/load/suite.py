"""A class and a scenario to benchmarks that asv can see.

::

    @suite(SCENARIO, "ttft_p50", "throughput")
    class TinyC4:
        def setup_cache(self):
            return measure_on(self, Endpoint("http://127.0.0.1:8000"))

Each class defines ``setup_cache`` itself: asv keys its result by the function's module and line, so
one function inherited by two classes would give both the numbers of the first.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from tracker.errors import MeasurementError
from tracker.load.catalogue import Metric, pick
from tracker.load.errors import ScenarioError, UnavailableError
from tracker.load.run import run_scenario
from tracker.load.scenario import Scenario
from tracker.load.target import OpenTarget

__all__ = ["benchmark_name", "measure_on", "publish", "suite"]

LOAD_SECONDS = 600  # to import, read weights and warm up, beyond the scenario's own limit
READ_SECONDS = 60  # a track method only reads a dictionary

T = TypeVar("T")


def suite(scenario: Scenario, *metrics: str) -> Callable[[type[T]], type[T]]:
    """Return a class decorator that adds ``track_<metric>`` for each of ``metrics``.

    The benchmark's version is the scenario's and the metric's, both set by hand: a changed
    version is a new series.

    Raises:
        ScenarioError: A metric is unknown or given twice, or the class lacks ``setup_cache``.
    """
    chosen = pick(metrics)

    def decorate(cls: type[T]) -> type[T]:
        publish(cls, chosen, version=scenario.version, timeout=scenario.limit + LOAD_SECONDS)
        cls.scenario = scenario  # type: ignore[attr-defined]
        return cls

    return decorate


def publish(cls: Any, metrics: Iterable[Metric], *, version: str, timeout: float) -> None:
    """Add ``track_<metric>`` to ``cls`` for each of ``metrics``, and the skip where there is none.

    Args:
        cls: Its ``setup_cache`` returns ``metrics`` and ``void``, or ``skipped``.
        metrics: What to publish.
        version: Of the work measured.
        timeout: Of ``setup_cache``, seconds.

    Raises:
        ScenarioError: The class lacks ``setup_cache``.
    """
    own = vars(cls).get("setup_cache")
    if own is None:
        raise ScenarioError(f"{cls.__name__} needs a setup_cache of its own; see {__name__}")
    own.timeout = timeout
    cls.setup = _skip_if_unavailable
    for metric in metrics:
        setattr(cls, f"track_{metric.name}", _reader(cls, metric, version))


def benchmark_name(cls: type) -> str:
    """Return the class as asv names it: ``bench_serving.TinyC4``."""
    return f"{cls.__module__.rpartition('.')[2]}.{cls.__name__}"


def measure_on(instance: Any, open_target: OpenTarget) -> dict[str, Any]:
    """Run the scenario of ``instance``'s class; what its ``setup_cache`` returns.

    Args:
        instance: Of a class that ``suite`` decorated.
        open_target: What serves the load.

    Returns:
        Plain values, for asv pickles them to every benchmark of the class: ``metrics`` and
        ``void``; or ``skipped`` with the reason, which a client that was the limit is, too: it is
        neither a result nor a failure of what it loads.
    """
    cls = type(instance)
    try:
        result = run_scenario(benchmark_name(cls), cls.scenario, open_target)
    except UnavailableError as reason:
        return {"skipped": str(reason)}
    if result.client_bound:
        return {"skipped": str(result.void)}
    return {"metrics": result.metrics, "void": result.void}


def _skip_if_unavailable(self: Any, measured: dict[str, Any]) -> None:
    if "skipped" in measured:
        # asv's word for "skipped": the result is NaN, neither a number nor a failure. asv keeps no
        # reason for it, but its log keeps what is written here.
        sys.stderr.write(f"skipped: {measured['skipped']}\n")
        raise NotImplementedError(measured["skipped"])


def _reader(cls: type, metric: Metric, version: str) -> Callable[..., float]:
    def read(self: Any, measured: dict[str, Any]) -> float:
        void = measured["void"]
        if metric.clean and void is not None:
            raise MeasurementError(f"{metric.name} is not valid: {void}")
        value = measured["metrics"].get(metric.name)
        # No value: this machine or this commit does not have it. NaN is asv's "skipped".
        return math.nan if value is None else value

    track: Any = read
    track.__name__ = f"track_{metric.name}"
    track.__qualname__ = f"{cls.__qualname__}.{track.__name__}"
    track.__module__ = cls.__module__
    track.__doc__ = metric.title
    track.unit = metric.unit
    track.better = metric.better
    track.kind = metric.kind
    track.version = f"{version}.{metric.version}"
    track.pretty_name = f"{cls.__name__}: {metric.title}"
    track.timeout = READ_SECONDS
    return read
