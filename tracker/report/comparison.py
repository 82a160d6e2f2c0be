"""Two commits side by side as a table: numbers, no verdict."""

from __future__ import annotations

from collections.abc import Sequence

from tracker.domain import ComparisonRow, RevisionInfo
from tracker.report.numbers import percent, scale_for, scaled

__all__ = ["comparison_document", "comparison_text"]


def comparison_text(
    project: str, base: RevisionInfo, head: RevisionInfo, rows: Sequence[ComparisonRow]
) -> str:
    """Return the table as plain text, ending in a newline.

    A change is better or worse by the metric's direction; `?` where nobody stated one. Whether
    it is more than noise is not said: that is the gate's work.
    """
    machines = sorted({row.series.machine for row in rows})
    lines = [
        f"project: {project}",
        f"machine: {', '.join(machines)}",
        f"base: {_commit(base)}",
        f"head: {_commit(head)}",
        "",
    ]
    header = ["metric", "unit", "base", "n", "head", "n", "change", ""]
    if len(machines) > 1:
        header.insert(1, "machine")
    body = [_cells(row, with_machine=len(machines) > 1) for row in rows]
    widths = [max(len(line[i]) for line in (header, *body)) for i in range(len(header))]
    right = {i for i, name in enumerate(header) if name in ("base", "head", "n", "change")}
    for cells in (header, *body):
        padded = [
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines) + "\n"


def comparison_document(
    project: str, base: RevisionInfo, head: RevisionInfo, rows: Sequence[ComparisonRow]
) -> dict[str, object]:
    """Return the table for JSON: base units, ratios, null where not known."""
    return {
        "project": project,
        "base": {"commit": base.commit, "subject": base.subject},
        "head": {"commit": head.commit, "subject": head.subject},
        "metrics": [
            {
                "metric": row.series.metric,
                "machine": row.series.machine,
                "environment": row.series.environment,
                "unit": row.series.unit,
                "better": row.series.better,
                "kind": row.series.kind,
                "base": row.base,
                "head": row.head,
                "base_status": row.base_status,
                "head_status": row.head_status,
                "base_n": len(row.base_values),
                "head_n": len(row.head_values),
                "effect": row.effect,
            }
            for row in rows
        ],
    }


def _cells(row: ComparisonRow, *, with_machine: bool) -> list[str]:
    divisor, unit = scale_for(row.series.unit, row.base, row.head)
    cells = [
        row.series.metric,
        unit,
        _side(row.base, row.base_status, divisor),
        str(len(row.base_values)),
        _side(row.head, row.head_status, divisor),
        str(len(row.head_values)),
        percent(row.effect) if row.effect is not None else "-",
        _direction(row),
    ]
    if with_machine:
        cells.insert(1, row.series.machine)
    return cells


def _side(value: float | None, status: str | None, divisor: float) -> str:
    return scaled(value, divisor) if value is not None else (status or "-")


def _direction(row: ComparisonRow) -> str:
    if row.base is None or row.head is None or row.base == row.head:
        return ""
    if row.series.better is None:
        return "?"
    worse = row.head > row.base if row.series.better == "lower" else row.head < row.base
    return "worse" if worse else "better"


def _commit(revision: RevisionInfo) -> str:
    return f"{revision.commit[:8]} {revision.subject or ''}".rstrip()
