"""A class and a scenario to benchmarks that asv can see.

::

    @suite(SCENARIO, "ttft_p50", "throughput", target=Endpoint("http://127.0.0.1:8000"))
    class TinyC4:
        "The tiny preset, four requests at a time."

A class with several scenarios has a parameter: each of its values is one of them (``Sweep``).
"""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import FrameType
from typing import Any, TypeVar

from tracker.errors import MeasurementError
from tracker.load.artifact import artifact_directory
from tracker.load.capacity import Capacity, highest_rate, holds, probe_scenario
from tracker.load.catalogue import Metric, pick
from tracker.load.errors import ScenarioError, UnavailableError
from tracker.load.metrics import Values
from tracker.load.profile import profile_requested
from tracker.load.run import run_scenario
from tracker.load.scenario import Conversations, OpenLoop, Scenario
from tracker.load.target import OpenTarget
from tracker.load.turns import turn_name

__all__ = [
    "Sweep",
    "Turns",
    "Work",
    "benchmark_name",
    "kept_target",
    "labelled",
    "measure_on",
    "publish",
    "suite",
]

LOAD_SECONDS = 600  # to import, read weights and warm up, beyond the scenario's own limit
READ_SECONDS = 60  # a track method only reads a dictionary

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sweep:
    """Scenarios that differ in one parameter; a launch of each, one after the other.

    Attributes:
        name: Of the parameter: ``"concurrency"``.
        points: The scenario of each value, smallest first; all of one version and one engine.

    Raises:
        ScenarioError: There is no point, or versions or engines differ.
    """

    name: str
    points: Mapping[Any, Scenario]

    def __post_init__(self) -> None:
        if not self.points:
            raise ScenarioError(f"a sweep over {self.name} needs at least one point")
        first = next(iter(self.points.values()))
        for value, scenario in self.points.items():
            if (scenario.version, scenario.model, scenario.engine) != (
                first.version,
                first.model,
                first.engine,
            ):
                raise ScenarioError(
                    f"{self.name}={value} differs in version, model or engine; a sweep has one of each"
                )


@dataclass(frozen=True, slots=True)
class Turns:
    """One launch of chats whose figures are those of every turn: ``turn`` is the parameter.

    Raises:
        ScenarioError: The scenario is not of chats.
    """

    scenario: Scenario

    def __post_init__(self) -> None:
        if not isinstance(self.scenario.workload, Conversations):
            raise ScenarioError("figures by turn need Conversations")

    @property
    def values(self) -> list[int]:
        """The turns, from 1."""
        assert isinstance(self.scenario.workload, Conversations)
        return list(range(1, self.scenario.workload.turns + 1))


Work = Scenario | Sweep | Turns | Capacity


def suite(
    work: Work, *metrics: str, target: OpenTarget | None = None
) -> Callable[[type[T]], type[T]]:
    """Return a class decorator that adds ``track_<metric>`` for each of ``metrics``.

    The benchmark's version is the scenario's and the metric's, both set by hand: a changed
    version is a new series.

    Args:
        work: What a launch runs; of a ``Sweep`` every point, of a ``Capacity`` the loads of the search.
        metrics: Names of the catalogue.
        target: What serves the load; None where the class has a ``setup_cache`` of its own.

    Raises:
        ScenarioError: A metric is unknown or given twice, or the class lacks ``setup_cache``.
    """
    chosen = pick(metrics)

    def decorate(cls: type[T]) -> type[T]:
        if target is not None:
            _add_setup_cache(cls, target, sys._getframe(1))
        _publish_work(cls, work, chosen)
        return cls

    return decorate


def publish(
    cls: Any,
    metrics: Iterable[Metric],
    *,
    version: str,
    timeout: float,
    parameter: tuple[str, list[Any]] | None = None,
) -> None:
    """Add ``track_<metric>`` to ``cls`` for each of ``metrics``, and the skip where there is none.

    Args:
        cls: Its ``setup_cache`` returns ``metrics`` and ``void``, or ``skipped``; with a parameter
            ``points``: one of these for each value.
        metrics: What to publish.
        version: Of the work measured.
        timeout: Of ``setup_cache``, seconds.
        parameter: Name and values of the parameter of every method; None: it has none.

    Raises:
        ScenarioError: The class lacks ``setup_cache``.
    """
    own = vars(cls).get("setup_cache")
    if own is None:
        raise ScenarioError(f"{cls.__name__} needs a target or a setup_cache; see {__name__}")
    own.timeout = timeout
    cls.setup = _skip_if_unavailable
    if parameter is not None:
        cls.param_names, cls.params = [parameter[0]], [parameter[1]]
    for metric in metrics:
        setattr(cls, f"track_{metric.name}", _reader(cls, metric, version))


def benchmark_name(cls: type) -> str:
    """Return the class as asv names it: ``bench_serving.TinyC4``."""
    return f"{cls.__module__.rpartition('.')[2]}.{cls.__name__}"


def labelled(name: str, work: Work) -> dict[str, Scenario]:
    """Return the scenarios of a suite class called ``name``, by the name of each one's launch."""
    if isinstance(work, Sweep):
        return {f"{name}({value!r})": scenario for value, scenario in work.points.items()}
    return {name: work if isinstance(work, Scenario) else work.scenario}


def kept_target(open_target: OpenTarget) -> AbstractContextManager[OpenTarget]:
    """Return a context of what opens a target for each point of a sweep.

    Where ``open_target`` has a method ``kept``, the points share what its context keeps up: a server.
    """
    kept = getattr(open_target, "kept", None)
    context: AbstractContextManager[OpenTarget] = (
        kept() if kept else contextlib.nullcontext(open_target)
    )
    return context


def measure_on(instance: Any, open_target: OpenTarget) -> dict[str, Any]:
    """Run the work of ``instance``'s class; what its ``setup_cache`` returns.

    Args:
        instance: Of a class that ``suite`` decorated.
        open_target: What serves the load; see `kept_target` for the points of a sweep. Where it has
            a method ``trace`` and the launch is asked for it, a trace follows the timed part.

    Returns:
        Plain values, for asv pickles them to every benchmark of the class: ``metrics`` and
        ``void``; or ``skipped`` with the reason, which a client that was the limit is, too: it is
        neither a result nor a failure of what it loads. Of a sweep ``points``: these by value.
    """
    cls = type(instance)
    name, work = benchmark_name(cls), cls.work
    with kept_target(open_target) as opened:
        match work:
            case Sweep():
                return _swept(name, work, opened)
            case Capacity():
                return _searched(name, work, opened)
            case Turns(scenario):
                return _by_turn(work, _measured(name, scenario, opened))
        return _measured(name, work, open_target)


def _swept(name: str, sweep: Sweep, open_target: OpenTarget) -> dict[str, Any]:
    launches = labelled(name, sweep).items()
    measured = [_measured(label, scenario, open_target) for label, scenario in launches]
    points = dict(zip(sweep.points, measured, strict=True))
    _add_attenuation([point["metrics"] for point in measured if "metrics" in point])
    return {"points": points}


def _by_turn(turns: Turns, measured: dict[str, Any]) -> dict[str, Any]:
    if "skipped" in measured:
        return {"points": dict.fromkeys(turns.values, measured)}
    ttfts = {turn: measured["metrics"].get(turn_name(turn)) for turn in turns.values}
    first = ttfts[1]
    return {
        "points": {
            turn: {
                "metrics": {
                    **measured["metrics"],
                    "ttft_turn": ttft,
                    "ttft_turn_growth": ttft / first if first and ttft is not None else None,
                },
                "void": measured["void"],
            }
            for turn, ttft in ttfts.items()
        }
    }


def _searched(name: str, search: Capacity, open_target: OpenTarget) -> dict[str, Any]:
    """Return the highest rate, and the metrics of the load at it."""
    loads: dict[float, dict[str, Any]] = {}

    def holds_at(rate: float) -> bool:
        scenario = probe_scenario(search, rate, len(loads))
        loads[rate] = measured = _measured(f"{name}({rate:g})", scenario, open_target)
        if "skipped" in measured:
            raise UnavailableError(measured["skipped"])  # says nothing about the target
        return measured["void"] is None and holds(measured["metrics"], search.limits)

    assert isinstance(search.scenario.load, OpenLoop)
    try:
        rate = highest_rate(
            holds_at, search.scenario.load.rate, step=search.step, most_loads=search.most_loads
        )
    except UnavailableError as reason:
        return {"skipped": str(reason)}
    if rate is None:
        lowest = min(loads)
        void = f"no rate down to {lowest:.3g} requests/s held the limits"
        return {"metrics": loads[lowest]["metrics"], "void": void}
    return {"metrics": {**loads[rate]["metrics"], "max_rate": rate}, "void": None}


def _measured(name: str, scenario: Scenario, open_target: OpenTarget) -> dict[str, Any]:
    try:
        result = run_scenario(name, scenario, open_target)
    except UnavailableError as reason:
        return {"skipped": str(reason)}
    trace, directory = getattr(open_target, "trace", None), artifact_directory()
    if trace is not None and directory is not None and profile_requested():
        trace(name, scenario, directory)
    if result.client_bound:
        return {"skipped": str(result.void)}
    return {"metrics": result.metrics, "void": result.void}


def _add_attenuation(points: list[Values]) -> None:
    """Add to each point how many times the first point's time per token its own is."""
    first = points[0].get("tpot_p50") if points else None
    for point in points:
        own = point.get("tpot_p50")
        point["tpot_attenuation"] = own / first if first and own is not None else None


def _publish_work(cls: Any, work: Work, metrics: tuple[Metric, ...]) -> None:
    scenarios = list(labelled("", work).values())
    loads = work.most_loads if isinstance(work, Capacity) else 1
    publish(
        cls,
        metrics,
        version=scenarios[0].version,
        timeout=sum(scenario.limit for scenario in scenarios) * loads + LOAD_SECONDS,
        parameter=_parameter(work),
    )
    cls.work = work


def _parameter(work: Work) -> tuple[str, list[Any]] | None:
    match work:
        case Sweep(name, points):
            return name, list(points)
        case Turns():
            return "turn", work.values
    return None


def _add_setup_cache(cls: Any, target: OpenTarget, place: FrameType) -> None:
    """Give ``cls`` a ``setup_cache`` that is defined, for asv, where ``place`` is now.

    asv keys the cache of a class by the module and the line of the function: one function for all
    classes would give each the numbers of the first.
    """

    def setup_cache(self: Any) -> dict[str, Any]:
        return measure_on(self, target)

    setup_cache.__code__ = setup_cache.__code__.replace(
        co_filename=place.f_code.co_filename, co_firstlineno=place.f_lineno
    )
    setup_cache.__module__ = cls.__module__
    cls.setup_cache = setup_cache
    cls.open_target = target


def _at(measured: dict[str, Any], point: tuple[Any, ...]) -> dict[str, Any]:
    """Return what was measured at a point of the class's parameter; all of it if it has none."""
    own: dict[str, Any] = measured["points"][point[0]] if point else measured
    return own


def _skip_if_unavailable(self: Any, measured: dict[str, Any], *point: Any) -> None:
    own = _at(measured, point)
    if "skipped" in own:
        # asv's word for "skipped": the result is NaN, neither a number nor a failure. asv keeps no
        # reason for it, but its log keeps what is written here.
        sys.stderr.write(f"skipped: {own['skipped']}\n")
        raise NotImplementedError(own["skipped"])


def _reader(cls: type, metric: Metric, version: str) -> Callable[..., float]:
    def read(self: Any, measured: dict[str, Any], *point: Any) -> float:
        own = _at(measured, point)
        void = own["void"]
        if metric.clean and void is not None:
            raise MeasurementError(f"{metric.name} is not valid: {void}")
        value = own["metrics"].get(metric.name)
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
