"""What the launches of a gate ran in, for its report."""

from __future__ import annotations

from dataclasses import replace

from tracker.report import Report
from tracker.store import Store, queries

__all__ = ["with_environment"]


def with_environment(report: Report, store: Store) -> Report:
    """Return the report with the fingerprint of its launches; a field that varied has all values."""
    if report.gate_id is None:
        return report
    facts = queries.gate_environment(store, report.gate_id)
    named = tuple((name.replace("_", " "), " | ".join(values)) for name, values in facts.items())
    return replace(report, environment=named)
