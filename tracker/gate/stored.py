"""Judging what the store already holds, without measuring: the gate replayed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from tracker.domain import Arm, BenchmarkInfo, Expectation, GateLaunch, PairedValues, SeriesInfo
from tracker.gate.control import (
    Controls,
    ControlWatch,
    control_difference,
    control_differs,
    control_times,
    controls_of,
)
from tracker.gate.family import in_report_terms, judge_metric, make_gate, without_expected_change
from tracker.gate.policy import Policy
from tracker.gate.result import GateResult, Judged
from tracker.stats import Verdict
from tracker.store import Store, queries

_NO_PAIRS = Verdict("inconclusive", None, None, None, 0, "no value in the gate's first pair", None)
_LAUNCHES = 240  # artifacts looked at: 30 pairs of four scenarios

__all__ = ["benchmark_of", "judge_stored", "known_control", "stored_controls"]


def judge_stored(
    stored: Mapping[str, PairedValues],
    policy: Policy,
    *,
    seed: int = 0,
    expectations: Iterable[Expectation] = (),
    controls: Mapping[int, Controls] | None = None,
) -> GateResult:
    """Replay stored pairs through the gate of `policy`.

    A metric whose values end before the others', because it had been decided, is judged by those
    that it has.

    Only values measured in interleaved pairs are judged: what two commits gave at different times
    differs by the machine's drift as well, and gets no verdict.

    Args:
        stored: By metric, from `tracker.store.queries.paired_values`: the pairs of one gate.
        policy: How strictly to judge; may differ from the policy of the time.
        seed: Of the gate's random sign flips.
        expectations: Changes that were intended then.
        controls: The control's times by the gate's number of the pair.
    """
    result = GateResult(seed=seed, stopped="judged from the store")
    unpaired: list[str] = []
    for name, values in stored.items():
        if not values.pairs:
            if values.base and values.head:
                unpaired.append(name)
            continue
        result.judged[name] = judge_metric(
            name, benchmark_of(values.series), policy, values.pairs, expectations
        )
        result.values[name] = list(values.pairs)
    if unpaired:
        result.warnings.append(
            f"{len(unpaired)} metrics were measured in both commits but not in interleaved pairs of "
            "the gate judged here; see `tracker compare`"
        )
    if not result.judged:
        result.invalid = [
            "the store holds no interleaved pairs of these commits; run `tracker gate`"
        ]
        return result
    result.warnings += control_differs(list((controls or {}).values()))
    for votes in (True, False):
        group = [j for j in result.judged.values() if j.watched and j.votes is votes]
        _replay(group, stored, result, policy, controls or {})
    if not any(j.votes for j in result.judged.values()):
        result.invalid = ["no metric says which direction is better"]
    return result


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
    differences = map(control_difference, _times_by_pair(newest).values())
    return ControlWatch(one for one in differences if one is not None)


def stored_controls(store: Store, project: str, gate_id: str) -> dict[int, Controls]:
    """Return the control's times in the valid pairs of a gate, by the number of the pair."""
    launches = queries.gate_launches(store, project, gate_id=gate_id)
    return {number: times for (_, number), times in _times_by_pair(launches).items()}


def _times_by_pair(launches: Iterable[GateLaunch]) -> dict[tuple[str, int], Controls]:
    arms: dict[tuple[str, int], dict[str, list[GateLaunch]]] = {}
    for launch in launches:
        both = arms.setdefault((launch.gate_id, launch.pair), {"base": [], "head": []})
        both[launch.arm].append(launch)
    return {pair: control_times(both["base"], both["head"]) for pair, both in arms.items()}


def _replay(
    group: list[Judged],
    stored: Mapping[str, PairedValues],
    result: GateResult,
    policy: Policy,
    controls: Mapping[int, Controls],
) -> None:
    rows: dict[int, dict[str, tuple[float, float]]] = defaultdict(dict)
    first: dict[int, Arm] = {}
    for j in group:
        values = stored[j.name]
        first |= dict(zip(values.numbers, values.first, strict=False))
        for number, both in zip(values.numbers, values.pairs, strict=True):
            rows[number][j.name] = without_expected_change(j, both)
    if not rows:
        return
    # The gate of the time knew the metrics of its first pair; what came later it did not judge.
    known = rows[min(rows)].keys()
    for j in group:
        if j.name not in known:
            result.verdicts[j.name] = _NO_PAIRS
    gate = make_gate([j for j in group if j.name in known], policy, result.seed)
    if gate is None:
        return
    benchmarks = {j.name: j.benchmark.name for j in group}
    for number in sorted(rows)[: policy.max_pairs]:
        pair = {name: rows[number].get(name) for name in known}
        times = controls_of({name: benchmarks[name] for name in pair}, controls.get(number, {}))
        gate.add(pair, times, first=first.get(number))
    result.pairs = max(result.pairs, gate.pairs)
    result.verdicts.update(in_report_terms(result.judged, gate.verdicts()))
