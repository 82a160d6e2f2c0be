"""The family of metrics that one sequential test weighs together, with what is expected of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from tracker.domain import BenchmarkInfo, Expectation
from tracker.expected import expectation_of, is_excused
from tracker.gate.expected import exact_step, explained, shifted
from tracker.gate.policy import Policy
from tracker.gate.result import Judged
from tracker.report.numbers import percent
from tracker.stats import PairedGate, Verdict

__all__ = ["judge_metric", "make_gate", "told", "weighed"]

Pair = tuple[float, float]
G = TypeVar("G", bound=PairedGate)


def judge_metric(
    name: str,
    info: BenchmarkInfo,
    policy: Policy,
    values: Sequence[Pair],
    expectations: Iterable[Expectation] = (),
) -> Judged:
    """Return how a metric is judged, given the pairs that are known of it, at least one."""
    rules = policy.metric(name, info)
    expected = expectation_of(name, expectations)
    if rules.kind == "exact":
        allowed = abs(values[0][0]) * policy.least_margin
        rules = replace(rules, step=max(rules.step, allowed))
    if rules.kind == "exact" and expected and rules.better and is_excused(expected, rules.better):
        step = exact_step(values[0][0], rules.step, rules.margin, expected, rules.better)
        rules = replace(rules, step=step)
    return Judged(name, info, rules, expected)


def make_gate(judged: Sequence[Judged], policy: Policy, seed: int, kind: type[G]) -> G | None:
    """Return the sequential test of these metrics, or None where there are none."""
    if not judged:
        return None
    noisy = [j for j in judged if j.policy.kind != "exact"]
    return kind(
        {j.name: j.policy.better for j in judged if j.policy.better is not None},
        alpha=policy.alpha,
        margin={j.name: j.policy.margin for j in noisy},
        detect={j.name: j.policy.detect for j in noisy},
        max_pairs=policy.max_pairs,
        exact={j.name: j.policy.step for j in judged if j.policy.kind == "exact"},
        seed=seed,
    )


def weighed(judged: Judged, pair: Pair) -> Pair:
    """Return the pair as the test gets it: without the change that is expected for the worse."""
    expected = judged.expected
    if expected is None or judged.policy.kind == "exact":
        return pair
    return shifted(pair, expected) if is_excused(expected, judged.policy.better) else pair


def told(judged: Mapping[str, Judged], verdicts: Mapping[str, Verdict]) -> dict[str, Verdict]:
    """Return the test's verdicts in terms of what was measured and expected."""
    return {name: _told(judged[name], verdict) for name, verdict in verdicts.items()}


def _told(judged: Judged, verdict: Verdict) -> Verdict:
    expected, better = judged.expected, judged.policy.better
    if expected is None or better is None or not verdict.pairs:
        return verdict
    if is_excused(expected, better):
        return explained(verdict, expected, better, exact=judged.policy.kind == "exact")
    wanted = f"expected {percent(expected.change)} because {expected.because}"
    return replace(verdict, reason=f"{wanted}; {verdict.reason}")
