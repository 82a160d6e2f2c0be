"""The metrics that one sequential test judges together, and the changes that are expected of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from tracker.domain import BenchmarkInfo, Expectation
from tracker.expected import expectation_of, is_excused
from tracker.gate.expected import exact_step, explained, shifted
from tracker.gate.judged import Judged
from tracker.gate.policy import Policy
from tracker.report.numbers import percent
from tracker.stats import PairedGate, Verdict

__all__ = ["in_report_terms", "judge_metric", "make_gate", "without_expected_change"]

Pair = tuple[float, float]


def judge_metric(
    name: str,
    info: BenchmarkInfo,
    policy: Policy,
    value: float,
    expectations: Iterable[Expectation] = (),
) -> Judged:
    """Return how a metric is judged, given its first value: the base's, where it has one."""
    rules = policy.metric(name, info)
    expected = expectation_of(name, expectations)
    if rules.kind == "exact":
        allowed = abs(value) * policy.least_margin
        rules = replace(rules, step=max(rules.step, allowed))
    if rules.kind == "exact" and expected and rules.better and is_excused(expected, rules.better):
        step = exact_step(value, rules.step, rules.margin, expected, rules.better)
        rules = replace(rules, step=step)
    return Judged(name, info, rules, expected)


def make_gate(judged: Sequence[Judged], policy: Policy, seed: int) -> PairedGate | None:
    """Return the sequential test of these metrics, or None where there are none."""
    if not judged:
        return None
    noisy = [j for j in judged if j.policy.kind != "exact"]
    return PairedGate(
        {j.name: j.policy.better for j in judged if j.policy.better is not None},
        alpha=policy.alpha,
        margin={j.name: j.policy.margin for j in noisy},
        detect={j.name: j.policy.detect for j in noisy},
        max_pairs=policy.max_pairs,
        exact={j.name: j.policy.step for j in judged if j.policy.kind == "exact"},
        seed=seed,
    )


def without_expected_change(judged: Judged, pair: Pair) -> Pair:
    """Return the pair as the test gets it: without the change for the worse that is expected."""
    expected = judged.expected
    if expected is None or judged.policy.kind == "exact":
        return pair
    return shifted(pair, expected) if is_excused(expected, judged.policy.better) else pair


def in_report_terms(
    judged: Mapping[str, Judged], verdicts: Mapping[str, Verdict]
) -> dict[str, Verdict]:
    """Return the test's verdicts in terms of what was measured and expected."""
    return {name: _in_report_terms(judged[name], verdict) for name, verdict in verdicts.items()}


def _in_report_terms(judged: Judged, verdict: Verdict) -> Verdict:
    expected, better = judged.expected, judged.policy.better
    if expected is None or better is None or not verdict.pairs:
        return verdict
    if is_excused(expected, better):
        return explained(verdict, expected, better, exact=judged.policy.kind == "exact")
    wanted = f"expected {percent(expected.change)} because {expected.because}"
    return replace(verdict, reason=f"{wanted}; {verdict.reason}")
