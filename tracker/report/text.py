"""A report for the terminal: configuration once on top, then a row a metric, then footnotes."""

from __future__ import annotations

from collections.abc import Sequence

from tracker.report.columns import aligned
from tracker.report.creep import creep_lines
from tracker.report.explanation import explanation_lines
from tracker.report.missing import missing_lines
from tracker.report.model import Report, ReportRow
from tracker.report.numbers import (
    count_of,
    interval,
    percent,
    scale_for,
    scaled,
    value_with_unit,
)
from tracker.report.tails import tail_lines

__all__ = ["render_text"]


def render_text(report: Report, *, every_metric: bool = False) -> str:
    """Return the report as plain text, ending in a newline.

    `~` stands for a change that is not distinguishable from none; a pass says beside it the
    smallest slowdown it would have seen.

    Args:
        report: What is shown.
        every_metric: List the folded metrics as well, not only their number.
    """
    lines = [f"{name}: {value}" for name, value in _heading(report)]
    lines.append("")
    notes: list[str] = []
    rows = report.rows if every_metric else report.notable
    if rows:
        lines += [*_table(rows, notes), ""]
    lines += [f"[{number}] {note}" for number, note in enumerate(notes, start=1)]
    if every_metric and report.skipped:
        lines.append(f"skipped in both commits: {', '.join(report.skipped)}")
    elif not every_metric and (line := folded_line(report)):
        lines.append(f"{line}; --all lists them")
    lines += missing_lines(report.missing)
    lines += explanation_lines(report.explanation)
    lines += tail_lines(report.tails)
    lines += creep_lines(report.creep) if report.creep is not None else []
    lines += [f"warning: {warning}" for warning in report.warnings]
    # The first is the headline.
    lines += [f"invalid: {reason}" for reason in report.invalid[1:]]
    lines += [f"not measured: {reason}" for reason in report.infrastructure[1:]]
    if report.undirected:
        lines += ["to judge what has no direction, add to pacekeeper.toml:"]
        lines += [f"  {line}" for line in report.direction_lines]
    lines.append(report.effort)
    lines.append(f"{report.headline} (exit {report.exit_code})")
    return "\n".join(lines) + "\n"


def folded_line(report: Report) -> str:
    """Return how many metrics are folded, and the smallest slowdowns that would have been seen.

    Empty where nothing is folded and nothing was skipped.
    """
    rows = report.folded
    passes = [row for row in rows if row.outcome == "pass"]
    parts: list[str] = []
    if passes:
        text = f"{count_of(len(passes), 'metric')} unchanged"
        seen = [row.sees for row in passes if row.sees is not None]
        if seen:
            least, most = (percent(size, signed=False) for size in (min(seen), max(seen)))
            upto = "" if least == most else f" to {most}"
            text += f" (a slowdown of {least}{upto} would have shown)"
        parts.append(text)
    if len(passes) < len(rows):
        parts.append(f"{count_of(len(rows) - len(passes), 'metric')} without a vote undecided")
    if report.skipped:
        parts.append(f"{count_of(len(report.skipped), 'metric')} skipped in both commits")
    return ", ".join(parts)


def _heading(report: Report) -> list[tuple[str, str]]:
    return [
        ("project", report.project),
        ("machine", report.machine),
        ("base", _commit(report.base, report.base_subject)),
        ("head", _commit(report.head, report.head_subject)),
        *report.configuration,
    ]


def _commit(digest: str, subject: str | None) -> str:
    return f"{digest[:8]} {subject}" if subject else digest[:8]


def _table(rows: Sequence[ReportRow], notes: list[str]) -> list[str]:
    header = (
        "metric", "unit", "base", "head", "change", "99% interval", "verdict", "pairs", "sees",
    )  # fmt: skip
    return aligned([header, *(_cells(row, notes) for row in rows)], right={2, 3, 4, 7, 8})


def _cells(row: ReportRow, notes: list[str]) -> tuple[str, ...]:
    divisor, unit = scale_for(row.unit, row.base, row.head)
    verdict = (
        row.outcome if row.votes or row.outcome == "not judged" else f"{row.outcome} (no vote)"
    )
    marks = [_note(notes, text) for text in remarks(row)]
    return (
        row.metric,
        unit,
        scaled(row.base, divisor),
        scaled(row.head, divisor),
        change(row),
        interval(row.low, row.high),
        " ".join([verdict, *marks]),
        str(row.pairs),
        sees(row),
    )


def change(row: ReportRow) -> str:
    """Return the change, `~` where it is not distinguishable from none."""
    if row.effect is None:
        if row.difference is None:
            return "?"
        divisor, unit = scale_for(row.unit, row.base, row.head)
        sign = "+" if row.difference > 0 else ""
        return f"{sign}{scaled(row.difference, divisor)} {unit}".rstrip()
    if row.kind == "exact" or row.outcome in ("regression", "improvement"):
        return percent(row.effect)
    if row.low is None or row.high is None:
        return percent(row.effect) if row.outcome == "not judged" else "~"
    return "~" if row.low <= 0 <= row.high else percent(row.effect)


def sees(row: ReportRow) -> str:
    """Return the smallest slowdown that would have been called, or what stands for it."""
    if row.kind == "exact":
        return "any" if row.outcome != "not judged" else ""
    return percent(row.sees, signed=False) if row.sees is not None else ""


def remarks(row: ReportRow) -> list[str]:
    remarks: list[str] = []
    explained = row.outcome in ("regression", "inconclusive", "not judged")
    if (explained or row.expected is not None) and row.reason:
        remarks.append(row.reason)
    if row.limit is not None:
        verb = "breaks the limit of" if row.limit_blocks else "is beyond the limit of"
        also = "" if row.limit_blocks else ", as base is"
        remarks.append(f"head {verb} {value_with_unit(row.limit, row.unit)}{also}")
    return remarks


def _note(notes: list[str], text: str) -> str:
    if text not in notes:
        notes.append(text)
    return f"[{notes.index(text) + 1}]"
