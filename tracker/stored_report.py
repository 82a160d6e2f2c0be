"""The report of a stored gate as one HTML page, judged again from its pairs: nothing is measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from tracker.explain.after_gate import stored_explanation
from tracker.gate.environment import with_environment
from tracker.gate.limits import DEFAULT_LIMITS, Limit
from tracker.gate.policy import Policy
from tracker.gate.replay import replay
from tracker.gate.tails import with_tails
from tracker.metrics import MetricRule
from tracker.report import Report, render
from tracker.store import Store, queries

__all__ = ["gate_page", "with_stored_context"]

_TABLES = frozenset({"alerts", "limits", "measure", "metrics"})


def gate_page(store: Store, gate_id: str) -> str:
    """Return a stored gate's report as a complete HTML document.

    It says so where this version judges the pairs otherwise than the gate ended.

    Raises:
        UsageError: No such gate.
    """
    gate = queries.get_gate(store, gate_id)
    report = replay(store, gate, _policy_of(gate.policy))
    report = with_stored_context(report, store)
    if gate.outcome is not None and gate.outcome != report.outcome:
        note = (
            f"the gate ended as {gate.outcome}; judged again from the stored pairs it is "
            f"{report.outcome}"
        )
        report = replace(report, warnings=(note, *report.warnings))
    return render(report, "html")


def with_stored_context(report: Report, store: Store) -> Report:
    """Return a replayed report with what the store knows beside its pairs: tails, environment, explanation."""
    report = with_environment(with_tails(report, store), store)
    if report.outcome != "regression":
        return report
    explanation = stored_explanation(
        store, report.project, report.base, report.head, report.machine
    )
    return replace(report, explanation=explanation)


def _policy_of(stored: Mapping[str, Any]) -> Policy:
    """Return the policy of which `Policy.as_dict` was stored with a gate, as far as it judges."""
    names = {field.name for field in fields(Policy)} - _TABLES
    plain: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in stored.items()
        if name in names
    }
    defaults = {(limit.pattern, limit.worst): limit for limit in DEFAULT_LIMITS}
    return Policy(
        **plain,
        metrics=tuple(
            MetricRule(pattern, **rule) for pattern, rule in stored.get("metrics", {}).items()
        ),
        limits=tuple(
            defaults.get((pattern, worst)) or Limit(pattern, worst)
            for pattern, worst in stored.get("limits", {}).items()
        ),
    )
