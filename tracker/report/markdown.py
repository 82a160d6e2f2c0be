"""A report for a pull request: the worst first, the rest folded away."""

from __future__ import annotations

from collections.abc import Sequence

from tracker.domain import Outcome
from tracker.report.creep import creep_lines
from tracker.report.model import Report, ReportRow
from tracker.report.numbers import count_of, duration, interval, scale_for, scaled, value_with_unit
from tracker.report.tails import tail_lines
from tracker.report.text import change, sees

__all__ = ["render_markdown"]

_SIGN: dict[Outcome, str] = {
    "pass": "✅", "improvement": "✅", "regression": "❌", "broken": "❌", "inconclusive": "❔",
    "invalid": "⚠️", "infrastructure": "⚠️",
}  # fmt: skip


def render_markdown(report: Report) -> str:
    """Return the report as GitHub-flavoured Markdown, ending in a newline.

    Metrics that moved, broke a limit or are undecided are shown; those that passed are folded
    into `<details>`.
    """
    rows = report.worst_first
    shown = [
        row
        for row in rows
        if row.outcome not in ("pass", "not judged") or row.limit or row.expected is not None
    ]
    folded = [row for row in rows if row not in shown]
    out = [f"### {_SIGN[report.outcome]} {_escape(report.headline)}", ""]
    out.append(
        f"`{report.base[:8]}` → `{report.head[:8]}` on {_escape(report.machine)}: "
        f"{count_of(report.pairs, 'pair')} in {duration(report.seconds)}"
        + (f", {report.dropped} dropped" if report.dropped else "")
        + f"; {_escape(report.stopped)}."
    )
    out.append("")
    if shown:
        out += [*_table(shown), ""]
    for row in shown:
        if row.limit is not None:
            limit = value_with_unit(row.limit, row.unit)
            out.append(f"- `{row.metric}` is beyond its limit of {limit}")
        elif row.outcome in ("regression", "inconclusive") or row.expected is not None:
            out += [f"- `{row.metric}`: {_escape(row.reason)}"] if row.reason else []
    out += [
        f"- not measured in {m.where}: `{m.metric}`: {_escape(m.reason)}" for m in report.missing
    ]
    out += _nested(creep_lines(report.creep)) if report.creep is not None else []
    out += [f"- invalid: {_escape(reason)}" for reason in report.invalid[1:]]
    out += [f"- warning: {_escape(warning)}" for warning in report.warnings]
    if out[-1] != "":
        out.append("")
    if report.tails:
        out += ["<details><summary>Tail latencies</summary>", ""]
        out += [*_nested(tail_lines(report.tails)), "", "</details>", ""]
    if folded:
        out += [f"<details><summary>{len(folded)} metrics without a finding</summary>", ""]
        out += [*_table(folded), "", "</details>", ""]
    out.append(
        f"<sub>Chance that any of these is a false regression: at most {report.alpha:.2%}. "
        "*sees*: the smallest slowdown that this verdict would not have missed. "
        + "; ".join(f"{name} {_escape(value)}" for name, value in report.configuration)
        + "</sub>"
    )
    return "\n".join(out) + "\n"


def _nested(lines: Sequence[str]) -> list[str]:
    """A section's lines as a list: the first as its head."""
    return [
        f"{'  ' if number else ''}- {_escape(line.strip())}" for number, line in enumerate(lines)
    ]


def _table(rows: Sequence[ReportRow]) -> list[str]:
    lines = [
        "| metric | base | head | change | 99 % interval | verdict | sees |",
        "|---|--:|--:|--:|---|---|--:|",
    ]
    for row in rows:
        divisor, unit = scale_for(row.unit, row.base, row.head)
        verdict = f"**{row.outcome}**" if row.blocks else row.outcome
        cells = (
            f"`{row.metric}`",
            f"{scaled(row.base, divisor)} {unit}".rstrip(),
            f"{scaled(row.head, divisor)} {unit}".rstrip(),
            change(row),
            interval(row.low, row.high),
            verdict if row.votes or row.outcome == "not judged" else f"{verdict} (no vote)",
            sees(row),
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return lines


def _escape(text: str) -> str:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;")
    for mark in "*_`[]":
        escaped = escaped.replace(mark, f"\\{mark}")
    return escaped.replace("\n", " ")
