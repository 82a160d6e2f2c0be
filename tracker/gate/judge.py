"""From what a session found to a report and an exit code: pure."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from tracker.domain import VerdictInfo
from tracker.gate.outcome import outcome_of
from tracker.gate.policy import Policy
from tracker.gate.result import GateResult, Judged
from tracker.report import Missing, Report, ReportRow
from tracker.report.numbers import count_of
from tracker.stats import can_call, fewest_pairs

__all__ = ["broken_limit", "make_report", "verdict_infos"]


def make_report(
    result: GateResult,
    policy: Policy,
    *,
    project: str,
    machine: str,
    base: str,
    head: str,
    base_subject: str | None = None,
    head_subject: str | None = None,
    configuration: Sequence[tuple[str, str]] = (),
    warnings: Sequence[str] = (),
    gate_id: str | None = None,
) -> Report:
    """Return the report of a session.

    Args:
        result: What it found.
        policy: What it was judged by.
        project: Name.
        machine: Name.
        base: Full hash.
        head: Full hash.
        base_subject: First line of the base's message.
        head_subject: Likewise.
        configuration: Common (name, value) pairs, shown after those of the policy.
        warnings: Sentences before the session's own.
        gate_id: Of the stored gate.
    """
    rows = tuple(_row(judged, result, policy) for judged in result.judged.values())
    missing = tuple(
        Missing(metric, "base" if where == "base" else "head" if where == "head" else "both", why)
        for metric, where, why in result.not_measured
    )
    invalid = tuple(result.invalid)
    if not invalid and not result.pairs and not result.interrupted:
        invalid = ("no pair was measured",)
    undecided = [row.metric for row in rows if row.votes and row.outcome == "inconclusive"]
    blocked = any(row.blocks for row in rows)
    policy_line = f"{policy.summary}, seed {result.seed}"
    return Report(
        project=project,
        machine=machine,
        base=base,
        head=head,
        base_subject=base_subject,
        head_subject=head_subject,
        configuration=(("policy", policy_line), *configuration),
        rows=rows,
        missing=missing,
        warnings=(*warnings, *_too_few_pairs(rows, policy), *result.warnings),
        invalid=invalid,
        stopped=result.stopped,
        pairs=result.pairs,
        dropped=result.dropped,
        seconds=result.seconds,
        alpha=policy.alpha,
        outcome=outcome_of(
            invalid=bool(invalid),
            regression=blocked,
            undecided=bool(undecided) or (result.interrupted and not rows),
            improvement=any(row.votes and row.outcome == "improvement" for row in rows),
        ),
        undecided_blocks=policy.on_inconclusive == "block",
        interrupted=result.interrupted,
        gate_id=gate_id,
    )


def verdict_infos(report: Report, gate_id: str) -> list[VerdictInfo]:
    """Return the report's verdicts as the store keeps them; what is not judged has none."""
    return [
        VerdictInfo(
            gate_id=gate_id,
            metric=row.metric,
            unit=row.unit,
            better=row.better,
            kind=row.kind,
            status=row.outcome,
            effect=row.effect,
            low=row.low,
            high=row.high,
            pairs=row.pairs,
            base=row.base,
            head=row.head,
            mde=row.mde,
            reason=row.reason,
        )
        for row in report.rows
        if row.outcome != "not judged"
    ]


def _too_few_pairs(rows: Sequence[ReportRow], policy: Policy) -> list[str]:
    """Say that no noisy metric that votes could have been called, however slow."""
    noisy = any(row.votes and row.kind != "exact" for row in rows)
    if not noisy or can_call(policy.max_pairs, policy.alpha):
        return []
    enough = fewest_pairs(policy.alpha)
    text = (
        f"{count_of(policy.max_pairs, 'pair')} cannot call a regression at alpha {policy.alpha:g}; "
    )
    return [text + (f"{enough} can" if enough else "no number can, raise alpha")]


def broken_limit(
    judged: Judged, base: float | None, head: float | None, policy: Policy
) -> tuple[float, bool] | None:
    """Return the limit that `head` breaks and whether that blocks, or None."""
    limit = policy.limit(judged.name, judged.benchmark.unit)
    better = judged.policy.better
    if limit is None or base is None or head is None or not limit.is_broken_by(head, better):
        return None
    return limit.worst, limit.blocks(base, better)


def _row(judged: Judged, result: GateResult, policy: Policy) -> ReportRow:
    values = result.values[judged.name]
    base = median(v[0] for v in values) if values else None
    head = median(v[1] for v in values) if values else None
    verdict = result.verdicts.get(judged.name)
    limit = broken_limit(judged, base, head, policy)
    common = {
        "metric": judged.name,
        "unit": judged.benchmark.unit,
        "better": judged.policy.better,
        "kind": judged.policy.kind,
        "base": base,
        "head": head,
        "limit": limit[0] if limit else None,
        "limit_blocks": limit[1] if limit else False,
        "expected": judged.expected.change if judged.expected else None,
        "points": tuple(values),
    }
    if verdict is None:
        reason = "no direction is stated"
        effect = head / base - 1 if base and head is not None and base > 0 else None
        return ReportRow(
            **common,  # type: ignore[arg-type]
            effect=effect,
            low=None,
            high=None,
            outcome="not judged",
            votes=False,
            pairs=len(values),
            mde=None,
            reason=reason,
        )
    return ReportRow(
        **common,  # type: ignore[arg-type]
        effect=verdict.effect,
        low=verdict.low,
        high=verdict.high,
        outcome=verdict.status,
        votes=judged.votes,
        pairs=verdict.pairs,
        mde=verdict.mde,
        detect=None if judged.policy.kind == "exact" else judged.policy.detect,
        margin=None if judged.policy.kind == "exact" else judged.policy.margin,
        reason=verdict.reason,
    )
