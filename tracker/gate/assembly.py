"""Makes the report of a gate from its judge and its course. Pure; a replay uses it, too."""

from __future__ import annotations

from collections.abc import Sequence

from tracker.domain import VerdictInfo
from tracker.gate.course import Course
from tracker.gate.judge import Judge
from tracker.gate.judged import Judged
from tracker.gate.outcome import outcome_of
from tracker.gate.policy import Policy
from tracker.report import Report, ReportRow
from tracker.report.numbers import count_of
from tracker.stats import Verdict, can_call, fewest_pairs

__all__ = ["make_report", "verdict_infos"]


def make_report(
    judge: Judge,
    course: Course,
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
    """Return the report of a gate.

    Args:
        judge: With all pairs of the gate.
        course: What its pairs do not hold.
        project: Name.
        machine: Name.
        base: Full hash.
        head: Full hash.
        base_subject: First line of the base's message.
        head_subject: Likewise.
        configuration: Common (name, value) pairs, shown after those of the policy.
        warnings: Sentences before the gate's own.
        gate_id: Of the stored gate.
    """
    policy = judge.policy
    judge.leave_out(course.failing())
    verdicts = judge.verdicts()
    rows = tuple(_row(judge, judged, verdicts.get(judged.name)) for judged in judge.shown())
    invalid = tuple(course.invalid or ([] if course.failing() else judge.invalid))
    if rows and not invalid and not course.failing() and not any(row.votes for row in rows):
        invalid = ("no metric with a vote has a value in BASE to be compared with",)
    infrastructure = list(course.infrastructure)
    if not (judge.pairs or invalid or infrastructure or course.interrupted or course.failing()):
        infrastructure = ["no pair was measured"]
    undecided = any(row.votes and row.outcome == "inconclusive" for row in rows)
    return Report(
        project=project,
        machine=machine,
        base=base,
        head=head,
        base_subject=base_subject,
        head_subject=head_subject,
        configuration=(("policy", f"{policy.summary}, seed {judge.seed}"), *configuration),
        rows=rows,
        missing=tuple(course.missing),
        skipped=tuple(judge.skipped()),
        warnings=(
            *warnings, *_too_few_pairs(rows, policy), *course.warnings, *judge.warnings(),
        ),
        invalid=invalid,
        infrastructure=tuple(infrastructure),
        stopped=course.stopped,
        pairs=judge.pairs,
        dropped=course.dropped,
        seconds=course.seconds,
        waited=course.waited,
        alpha=policy.alpha,
        outcome=outcome_of(
            invalid=bool(invalid),
            broken=bool(course.failing("head")),
            regression=any(row.blocks for row in rows),
            infrastructure=bool(infrastructure or course.failing("base", "both")),
            undecided=undecided or (course.interrupted and not judge.pairs),
            improvement=any(row.votes and row.outcome == "improvement" for row in rows),
        ),
        undecided_blocks=policy.on_inconclusive == "block",
        interrupted=course.interrupted,
        gate_id=gate_id,
    )  # fmt: skip


def verdict_infos(report: Report, gate_id: str) -> list[VerdictInfo]:
    """Return the report's verdicts as the store keeps them; metrics that are not judged have none."""
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
    """Warn where `max_pairs` is too small to call any noisy metric that votes."""
    noisy = any(row.votes and row.kind != "exact" for row in rows)
    if not noisy or can_call(policy.max_pairs, policy.alpha):
        return []
    enough = fewest_pairs(policy.alpha)
    text = (
        f"{count_of(policy.max_pairs, 'pair')} cannot call a regression at alpha {policy.alpha:g}; "
    )
    return [text + (f"{enough} can" if enough else "no number can, raise alpha")]


def _row(judge: Judge, judged: Judged, verdict: Verdict | None) -> ReportRow:
    base, head = judge.medians(judged.name)
    points = judge.points[judged.name]
    limit = judge.breaks_limit(judged.name)
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
        "points": tuple(points),
    }
    unjudged = ""
    if verdict is None:
        unjudged = "no direction is stated"
    elif base is None:
        unjudged = "BASE gives no value to compare with"
    if unjudged or verdict is None:
        effect = head / base - 1 if base and head is not None and base > 0 else None
        return ReportRow(
            **common,  # type: ignore[arg-type]
            effect=effect,
            low=None,
            high=None,
            outcome="not judged",
            votes=False,
            pairs=sum(None not in point for point in points),
            mde=None,
            reason=unjudged,
        )
    reason = verdict.reason
    if head is None:
        reason = f"HEAD gives no value in {count_of(judge.pairs, 'pair')}"
    return ReportRow(
        **common,  # type: ignore[arg-type]
        effect=verdict.effect,
        low=verdict.low,
        high=verdict.high,
        outcome=verdict.status,
        votes=judged.votes,
        pairs=verdict.pairs,
        mde=verdict.mde,
        difference=verdict.difference.value if verdict.difference else None,
        detect=None if judged.policy.kind == "exact" else judged.policy.detect,
        margin=None if judged.policy.kind == "exact" else judged.policy.margin,
        reason=reason,
    )
