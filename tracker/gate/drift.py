"""How far a metric has crept since a release, summed over the gates in between: pure."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence

from tracker.domain import Expectation, GateInfo, VerdictInfo
from tracker.expected import expectation_of, is_excused
from tracker.report.creep import Drift

__all__ = ["chain", "expected_of", "summed"]


def chain(
    gates: Sequence[GateInfo], trees: Mapping[str, str], start: str, end: str
) -> list[GateInfo] | None:
    """Return the fewest gates that lead from one commit to another, in order; None if none do.

    Commits with the same tree count as one, so a merge that changed nothing continues the chain.

    Args:
        gates: With a valid measurement, newest first: of two ways the newer counts.
        trees: Commit to tree; gates of commits that are not in it lead nowhere.
        start: Full hash.
        end: Full hash.
    """
    leaving: dict[str, list[GateInfo]] = {}
    for gate in gates:
        if gate.base.commit in trees and gate.head.commit in trees:
            leaving.setdefault(trees[gate.base.commit], []).append(gate)
    first, last = trees.get(start), trees.get(end)
    if first is None or last is None:
        return None
    reached_by: dict[str, tuple[GateInfo, str] | None] = {first: None}
    queue = deque([first])
    while queue and last not in reached_by:
        tree = queue.popleft()
        for gate in leaving.get(tree, ()):
            head = trees[gate.head.commit]
            if head not in reached_by:
                reached_by[head] = (gate, tree)
                queue.append(head)
    gates_back: list[GateInfo] = []
    step = reached_by.get(last)
    while step is not None:
        gates_back.append(step[0])
        step = reached_by[step[1]]
    return gates_back[::-1] if last in reached_by else None


def summed(gates: Sequence[GateInfo], budget: Mapping[str, float]) -> list[Drift]:
    """Return the drift of every metric that all the gates judged, less what was intended.

    The effects of gates multiply, their errors add in quadrature. Gates that passed let small
    slowdowns through more readily than they were, so that the sum errs on the low side: it says when
    to measure, and never decides.

    Args:
        gates: A chain, in order; at least one.
        budget: The metrics that count, with the drift allowed to each.
    """
    of_each = [{verdict.metric: verdict for verdict in gate.verdicts} for gate in gates]
    drifts: list[Drift] = []
    for metric, allowed in budget.items():
        effect = squares = 0.0
        better = None
        for gate, verdicts in zip(gates, of_each, strict=True):
            verdict = verdicts.get(metric)
            if verdict is None or verdict.effect is None or verdict.effect <= -1:
                break
            better = verdict.better
            effect += math.log1p(verdict.effect) - _intended(verdict, expected_of(gate))
            squares += _half_width(verdict) ** 2
        else:
            reach = math.sqrt(squares)
            low, high = (math.expm1(effect - reach), math.expm1(effect + reach))
            drifts.append(Drift(metric, better, math.expm1(effect), low, high, allowed))
    return drifts


def expected_of(gate: GateInfo) -> list[Expectation]:
    """Return the changes that were intended when the gate was measured."""
    expected = gate.policy.get("expected")
    return [Expectation(**item) for item in expected] if isinstance(expected, list) else []


def _intended(verdict: VerdictInfo, expectations: Sequence[Expectation]) -> float:
    expected = expectation_of(verdict.metric, expectations)
    excused = expected is not None and is_excused(expected, verdict.better)
    return math.log1p(expected.change) if expected is not None and excused else 0.0


def _half_width(verdict: VerdictInfo) -> float:
    """Half of a verdict's 99 % interval, in logarithms; 0 of an exact metric."""
    if verdict.low is None or verdict.high is None or verdict.low <= -1:
        return 0.0
    return (math.log1p(verdict.high) - math.log1p(verdict.low)) / 2
