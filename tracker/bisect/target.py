"""Which regression of good against bad is bisected."""

from __future__ import annotations

import math

from tracker.domain import BenchmarkInfo, GateInfo, VerdictInfo
from tracker.errors import UsageError, did_you_mean
from tracker.gate.policy import Policy

__all__ = ["why_no_regression", "worst_regression"]


def worst_regression(gate: GateInfo, policy: Policy, metric: str | None) -> VerdictInfo | None:
    """Return the largest regression of a gate: of those that vote, or of those `metric` names."""

    def wanted(verdict: VerdictInfo) -> bool:
        if metric is not None:
            return _names(metric, verdict.metric)
        info = BenchmarkInfo(
            verdict.metric, "", "", verdict.unit, verdict.better, verdict.kind, step=0.0
        )
        return policy.metric(verdict.metric, info).vote

    regressions = [v for v in gate.verdicts if v.status == "regression" and wanted(v)]
    return max(regressions, key=_size, default=None)


def why_no_regression(gate: GateInfo, metric: str | None) -> str:
    """Return why there is nothing to bisect.

    Raises:
        UsageError: The gate did not judge `metric`.
    """
    judged = {verdict.metric: verdict for verdict in gate.verdicts}
    if metric is None:
        undecided = sum(verdict.status == "inconclusive" for verdict in judged.values())
        return f"of {len(judged)} metrics none that votes got worse, {undecided} are undecided"
    named = [verdict for name, verdict in judged.items() if _names(metric, name)]
    if not named:
        mend = did_you_mean(metric, [name.rpartition(".")[2] for name in judged])
        raise UsageError(f"no metric {metric!r} was judged; {mend}")
    return "; ".join(f"{v.metric}: {v.status}, {v.reason}" for v in named)


def _size(verdict: VerdictInfo) -> float:
    """Return how far a metric moved, as a log ratio; infinite where there is no ratio."""
    if verdict.effect is None or verdict.effect <= -1:
        return math.inf
    return abs(math.log1p(verdict.effect))


def _names(wanted: str, metric: str) -> bool:
    return metric == wanted or metric.endswith((f".{wanted}", f"_{wanted}"))
