"""A report as JSON: stable keys, base units, ratios; documented in `render_json`."""

from __future__ import annotations

import json
from dataclasses import asdict

from tracker.explain.explanation import to_document
from tracker.report.creep import creep_document
from tracker.report.model import Report, ReportRow
from tracker.report.numbers import finite
from tracker.report.tails import tail_document

__all__ = ["render_json"]

FORMAT = 1


def render_json(report: Report) -> str:
    """Return the report as one JSON object, ending in a newline.

    What is not known is null; NaN and Infinity never appear. Keys:

    - `format`: 1; raised when a key changes its meaning.
    - `project`, `machine`, `gate_id`; `base` and `head`: `commit` and `subject`.
    - `configuration`: object of texts.
    - `outcome`: one of `tracker.domain.Outcome`; `verdict`: the same, its older name.
    - `headline`, `exit_code`, `alpha`, `pairs`, `dropped`, `stopped`.
    - `seconds`: of measuring; `waited`: seconds in which another measurement had the machine.
    - `metrics`: values and `difference` (where there is no ratio) in `unit`; `effect`, `low`,
      `high`, `mde`, `sees` and `expected` are ratios.
    - `missing`: `metric`, `where`, `reason`, `fails` (whether it decides the outcome) and `log` (the
      last lines of the launch).
    - `skipped`: metrics with a vote that the suites skipped in both commits, in every pair.
    - `creep`: the drift since the last release; null where it was not checked.
    - `tails`: `scenario`, `what`, `base` and `head` in seconds, `effect`, `low`, `high`, `reason`.
    - `explanation`: as `tracker explain --format json` prints it; null where none was asked for.
    - `warnings`, `invalid`, `infrastructure`, `direction_lines` (lines for pacekeeper.toml): texts.
    """
    content = {
        "format": FORMAT,
        "project": report.project,
        "machine": report.machine,
        "base": {"commit": report.base, "subject": report.base_subject},
        "head": {"commit": report.head, "subject": report.head_subject},
        "configuration": dict(report.configuration),
        "outcome": report.outcome,
        "verdict": report.outcome,
        "headline": report.headline,
        "exit_code": report.exit_code,
        "alpha": report.alpha,
        "pairs": report.pairs,
        "dropped": report.dropped,
        "seconds": round(report.seconds, 3),
        "waited": round(report.waited, 3),
        "stopped": report.stopped,
        "gate_id": report.gate_id,
        "metrics": [_metric(row) for row in report.rows],
        "missing": [asdict(item) for item in report.missing],
        "skipped": list(report.skipped),
        "creep": creep_document(report.creep),
        "tails": tail_document(report.tails),
        "explanation": None if report.explanation is None else to_document(report.explanation),
        "warnings": list(report.warnings),
        "invalid": list(report.invalid),
        "infrastructure": list(report.infrastructure),
        "direction_lines": report.direction_lines,
    }
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _metric(row: ReportRow) -> dict[str, object]:
    return {
        "metric": row.metric,
        "unit": row.unit,
        "better": row.better,
        "kind": row.kind,
        "base": finite(row.base),
        "head": finite(row.head),
        "effect": finite(row.effect),
        "difference": finite(row.difference),
        "low": finite(row.low),
        "high": finite(row.high),
        "verdict": row.outcome,
        "votes": row.votes,
        "blocks": row.blocks,
        "pairs": row.pairs,
        "mde": finite(row.mde),
        "sees": finite(row.sees),
        "expected": finite(row.expected),
        "reason": row.reason,
        "limit": finite(row.limit),
    }
