"""What the store knows of gates: their pairs, for a replay or a resumption, and the control's times."""

from __future__ import annotations

from collections.abc import Iterable

from tracker.artifacts import fingerprint_of
from tracker.domain import BenchmarkInfo, GateInfo, GateLaunch, Launch, SeriesInfo
from tracker.gate.control import Controls, ControlWatch, control_difference, control_times
from tracker.gate.judge import Pair
from tracker.gate.session import Earlier
from tracker.store import Store, queries

_LAUNCHES = 240  # artifacts looked at: 30 pairs of four scenarios

__all__ = ["benchmark_of", "known_control", "measured_before", "stored_controls"]


def measured_before(store: Store, gate: GateInfo) -> Earlier:
    """Return what a gate has measured, as the judge gets it."""
    stored = queries.gate_pairs(store, gate.id)
    launches = queries.gate_launches(store, gate.project, gate_id=gate.id)
    controls = _controls_by_pair(launches)
    return Earlier(
        benchmarks={name: benchmark_of(series) for name, series in stored.series.items()},
        pairs=[
            Pair(pair.base, pair.head, controls.get((gate.id, pair.number), {}), pair.first)
            for pair in stored.pairs
        ],
        launches=[_launch(launch) for launch in launches if launch.arm == "base"],
    )


def benchmark_of(series: SeriesInfo) -> BenchmarkInfo:
    """Return what the store knows of a series' benchmark."""
    return BenchmarkInfo(
        name=series.benchmark,
        version=series.version,
        type="",
        unit=series.unit,
        better=series.better,
        kind=series.kind,
        param_names=series.param_names,
        step=series.step,
    )


def known_control(store: Store, project: str, machine: str) -> ControlWatch:
    """Return what earlier gates on this machine say of its control workload."""
    newest = queries.gate_launches(store, project, machine=machine, limit=_LAUNCHES)
    differences = map(control_difference, _controls_by_pair(newest).values())
    return ControlWatch(size for size in differences if size is not None)


def stored_controls(store: Store, project: str, gate_id: str) -> dict[int, Controls]:
    """Return the control's times in the valid pairs of a gate, by the number of the pair."""
    launches = queries.gate_launches(store, project, gate_id=gate_id)
    return {number: times for (_, number), times in _controls_by_pair(launches).items()}


def _controls_by_pair(launches: Iterable[GateLaunch]) -> dict[tuple[str, int], Controls]:
    arms: dict[tuple[str, int], dict[str, list[GateLaunch]]] = {}
    for launch in launches:
        both = arms.setdefault((launch.gate_id, launch.pair), {"base": [], "head": []})
        both[launch.arm].append(launch)
    return {pair: control_times(both["base"], both["head"]) for pair, both in arms.items()}


def _launch(launch: GateLaunch) -> Launch:
    facts = launch.header.get("fingerprint")
    return Launch(
        path="",
        digest="",
        launch_id=str(launch.header.get("launch_id")),
        benchmark=launch.benchmark,
        fingerprint=fingerprint_of(facts if isinstance(facts, dict) else {}),
        header=dict(launch.header),
    )
