"""Judging what the store already holds, without measuring: the gate replayed."""

from __future__ import annotations

from collections.abc import Mapping

from tracker.domain import BenchmarkInfo, PairedValues
from tracker.gate.policy import Policy
from tracker.gate.session import GateResult, Judged
from tracker.stats import PairedGate

__all__ = ["judge_stored"]


def judge_stored(
    stored: Mapping[str, PairedValues], policy: Policy, *, seed: int = 0
) -> GateResult:
    """Replay stored pairs through the gate of `policy`.

    Only values measured in interleaved pairs are judged: what two commits gave at different times
    differs by the machine's drift as well, and gets no verdict.

    Args:
        stored: By metric, from `tracker.store.queries.paired_values`.
        policy: How strictly to judge; may differ from the policy of the time.
        seed: Of the gate's random sign flips.
    """
    result = GateResult(seed=seed, stopped="judged from the store")
    unpaired: list[str] = []
    for name, values in stored.items():
        series = values.series
        info = BenchmarkInfo(
            name=series.benchmark,
            version=series.version,
            type="",
            unit=series.unit,
            better=series.better,
            kind=series.kind,
            param_names=series.param_names,
            step=series.step,
        )
        judged = policy.metric(name, info)
        if not values.pairs:
            if values.base and values.head:
                unpaired.append(name)
            continue
        lowest = min(min(pair) for pair in values.pairs)
        obstacle = ""
        if judged.kind != "exact" and lowest <= 0:
            obstacle = f"a value of {lowest:g} has no ratio; declare the metric exact"
        result.judged[name] = Judged(name, info, judged, obstacle)
        result.values[name] = list(values.pairs)
    if unpaired:
        result.warnings.append(
            f"{len(unpaired)} metrics were measured in both commits but never in interleaved "
            "pairs; see `tracker compare`"
        )
    if not result.judged:
        result.invalid = [
            "the store holds no interleaved pairs of these commits; run `tracker gate`"
        ]
        return result
    for votes in (True, False):
        group = [j for j in result.judged.values() if j.watched and j.votes is votes]
        if group:
            _replay(group, result, policy)
    if not any(j.votes for j in result.judged.values()):
        result.invalid = ["no metric says which direction is better"]
    return result


def _replay(group: list[Judged], result: GateResult, policy: Policy) -> None:
    noisy = [j for j in group if j.policy.kind != "exact"]
    longest = max(len(result.values[j.name]) for j in group)
    gate = PairedGate(
        {j.name: j.policy.better for j in group if j.policy.better is not None},
        alpha=policy.alpha,
        margin={j.name: j.policy.margin for j in noisy},
        detect={j.name: j.policy.detect for j in noisy},
        max_pairs=policy.max_pairs,
        exact={j.name: j.policy.step for j in group if j.policy.kind == "exact"},
        seed=result.seed,
    )
    for index in range(min(longest, policy.max_pairs)):
        pair = {
            j.name: result.values[j.name][index]
            for j in group
            if index < len(result.values[j.name])
        }
        if not gate.pending() <= pair.keys():
            # Measuring stopped for these when the gate of the time had decided them.
            break
        gate.add(pair)
    result.pairs = max(result.pairs, gate.pairs)
    result.verdicts.update(gate.verdicts())
