"""Judging what the store already holds, without measuring: the gate replayed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from tracker.domain import BenchmarkInfo, PairedValues
from tracker.gate.policy import Policy
from tracker.gate.session import GateResult, Judged
from tracker.stats import PairedGate, Verdict

__all__ = ["judge_stored"]


def judge_stored(
    stored: Mapping[str, PairedValues], policy: Policy, *, seed: int = 0
) -> GateResult:
    """Replay stored pairs through the gate of `policy`.

    A metric whose values end before the others', because it had been decided, keeps the verdict
    that it has there.

    Only values measured in interleaved pairs are judged: what two commits gave at different times
    differs by the machine's drift as well, and gets no verdict.

    Args:
        stored: By metric, from `tracker.store.queries.paired_values`: the pairs of one gate.
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
            f"{len(unpaired)} metrics were measured in both commits but not in interleaved pairs of "
            "the gate judged here; see `tracker compare`"
        )
    if not result.judged:
        result.invalid = [
            "the store holds no interleaved pairs of these commits; run `tracker gate`"
        ]
        return result
    for votes in (True, False):
        group = [j for j in result.judged.values() if j.watched and j.votes is votes]
        if group:
            _replay(group, stored, result, policy)
    if not any(j.votes for j in result.judged.values()):
        result.invalid = ["no metric says which direction is better"]
    return result


class _Replay(PairedGate):
    """A gate that goes on without the metrics that the gate of the time measured no longer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._frozen: dict[str, Verdict] = {}

    def pending(self) -> frozenset[str]:
        return super().pending() - self._frozen.keys()

    def add(self, pair: Mapping[str, tuple[float, float]]) -> None:
        lost = self.pending() - pair.keys()
        if lost:
            verdicts = self.verdicts()
            self._frozen |= {name: verdicts[name] for name in lost}
        super().add({name: both for name, both in pair.items() if name not in self._frozen})

    def verdicts(self) -> dict[str, Verdict]:
        return super().verdicts() | self._frozen


def _replay(
    group: list[Judged], stored: Mapping[str, PairedValues], result: GateResult, policy: Policy
) -> None:
    noisy = [j for j in group if j.policy.kind != "exact"]
    rows: dict[int, dict[str, tuple[float, float]]] = defaultdict(dict)
    for j in group:
        values = stored[j.name]
        for number, both in zip(values.numbers, values.pairs, strict=True):
            rows[number][j.name] = both
    gate = _Replay(
        {j.name: j.policy.better for j in group if j.policy.better is not None},
        alpha=policy.alpha,
        margin={j.name: j.policy.margin for j in noisy},
        detect={j.name: j.policy.detect for j in noisy},
        max_pairs=policy.max_pairs,
        exact={j.name: j.policy.step for j in group if j.policy.kind == "exact"},
        seed=result.seed,
    )
    for number in sorted(rows)[: policy.max_pairs]:
        gate.add(rows[number])
    result.pairs = max(result.pairs, gate.pairs)
    result.verdicts.update(gate.verdicts())
