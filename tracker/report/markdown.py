"""A report for a pull request: the worst first, the rest folded away."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tracker.domain import Outcome
from tracker.report.creep import creep_lines
from tracker.report.escaping import markdown_text as _escape
from tracker.report.explanation import short_table
from tracker.report.missing import grouped
from tracker.report.model import Report, ReportRow
from tracker.report.numbers import interval, scale_for, scaled, value_with_unit
from tracker.report.tails import tail_lines
from tracker.report.text import change, folded_line, sees

__all__ = ["render_markdown"]

_SIGN: dict[Outcome, str] = {
    "pass": "✅", "improvement": "✅", "regression": "❌", "broken": "❌", "inconclusive": "❔",
    "invalid": "⚠️", "infrastructure": "⚠️",
}  # fmt: skip


def render_markdown(report: Report) -> str:
    """Return the report as GitHub-flavoured Markdown, ending in a newline.

    What there is something to say of is shown; the other metrics are folded into `<details>`.
    """
    shown = report.notable
    out = [f"### {_SIGN[report.outcome]} {_escape(report.headline)}", ""]
    out.append(
        f"`{report.base[:8]}` → `{report.head[:8]}` on {_escape(report.machine)}: "
        f"{_escape(report.effort)}."
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
    for group in grouped(report.missing):
        out.append(f"- {_escape(group.sentence)}")
        out += [*_code(group.log, "  ")] if group.log else []
    out += _nested(creep_lines(report.creep)) if report.creep is not None else []
    out += [f"- invalid: {_escape(reason)}" for reason in report.invalid[1:]]
    out += [f"- not measured: {_escape(reason)}" for reason in report.infrastructure[1:]]
    out += [f"- warning: {_escape(warning)}" for warning in report.warnings]
    if report.undirected:
        out.append("- to judge what has no direction, add to pacekeeper.toml:")
        out += _code(report.direction_lines, "  ")
    if out[-1] != "":
        out.append("")
    for suite in report.explanation.suites if report.explanation is not None else ():
        out += [*short_table(suite), ""]
    if report.tails:
        out += ["<details><summary>Tail latencies</summary>", ""]
        out += [*_nested(tail_lines(report.tails)), "", "</details>", ""]
    if line := folded_line(report):
        out += [f"<details><summary>{line}</summary>", ""]
        out += [*_table(report.folded), ""] if report.folded else []
        skipped = ", ".join(f"`{name}`" for name in report.skipped)
        out += [f"Skipped in both commits: {skipped}", ""] if skipped else []
        out += ["</details>", ""]
    out.append(
        f"<sub>Chance that any of these is a false regression: at most {report.alpha:.2%}. "
        "*sees*: the smallest slowdown that this verdict would not have missed. "
        + "; ".join(f"{name} {_escape(value)}" for name, value in report.configuration)
        + "</sub>"
    )
    return "\n".join(out) + "\n"


def _code(lines: Sequence[str], indent: str) -> list[str]:
    """Lines as they are, as code that a fence within them does not end."""
    fence = "`" * max(3, *(1 + len(run) for line in lines for run in re.findall("`+", line)), 3)
    return [f"{indent}{line}" for line in (fence, *lines, fence)]


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
