"""A report as one HTML page that opens from a file: no server, no script, nothing fetched."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from tracker.report.creep import creep_lines
from tracker.report.escaping import html_text
from tracker.report.explanation import explanation_lines
from tracker.report.missing import grouped
from tracker.report.model import Report, ReportRow
from tracker.report.numbers import interval, scale_for, scaled
from tracker.report.page_style import STYLE
from tracker.report.plots import EffectScale, effect_axis, effect_plot, pair_plot
from tracker.report.tails import tail_lines
from tracker.report.text import change, folded_line, remarks, sees

__all__ = ["render_html"]

# The page may show itself and nothing else, whatever a name in it tries.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def render_html(report: Report) -> str:
    """Return the report as a complete HTML document, ending in a newline.

    What there is something to say of is shown; the other metrics are folded.
    """
    shown, folded = report.notable, report.folded
    scale = EffectScale(report.worst_first)
    title = f"{report.outcome}: {report.base[:8]} → {report.head[:8]}"
    body = [
        _head(report),
        _list("Not valid", "alarm", report.invalid[1:]),
        _list("Not measured", "warning", report.infrastructure[1:]),
        _list("Warnings", "warning", report.warnings),
        _section("Metrics", _table(shown, scale)) if shown else "",
        _folded(folded_line(report), _table(folded, scale) + _skipped(report.skipped)),
        *(
            _list("Fails", "alarm" if report.outcome == "broken" else "warning", [group.sentence])
            + _lines("Its log's last lines", group.log)
            for group in grouped(report.missing)
        ),
        _lines("To judge what has no direction, add to pacekeeper.toml", report.direction_lines),
        _section("Pairs", _pairs(shown)) if any(row.points for row in shown) else "",
        _folded("Pairs of the other metrics", _pairs(folded)),
        _lines("Creep", creep_lines(report.creep) if report.creep is not None else []),
        _lines("Where the time went", explanation_lines(report.explanation)),
        _lines("Tails", tail_lines(report.tails)),
        _environment(report),
    ]  # fmt: skip
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{html.escape(_POLICY)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>Pacekeeper: {html_text(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{''.join(part for part in body if part)}</main>\n</body>\n</html>\n"
    )


def _head(report: Report) -> str:
    effort = f"{report.machine}: {report.effort}"
    commits = "".join(
        f'<div><span class="arm">{arm}</span> <code>{html_text(commit[:12])}</code> '
        f"{html_text(subject or '')}</div>"
        for arm, commit, subject in (
            ("base", report.base, report.base_subject),
            ("head", report.head, report.head_subject),
        )
    )
    word = report.outcome.upper()
    rest = report.headline.removeprefix(f"{word}: ")
    return (
        f'<header class="{report.outcome}"><p class="project">{html_text(report.project)}</p>'
        f'<h1><span class="badge">{html_text(word)}</span> {html_text(rest)}</h1>'
        f'<div class="commits">{commits}</div><p class="effort">{html_text(effort)}</p></header>\n'
    )


def _table(rows: Sequence[ReportRow], scale: EffectScale) -> str:
    if not rows:
        return ""
    heads = (
        "<th>metric</th><th class='n'>base</th><th class='n'>head</th><th class='n'>change</th>"
        f"<th>{effect_axis(scale)}</th><th>verdict</th><th class='n'>pairs</th>"
        "<th class='n' title='the smallest slowdown that this verdict would not have missed'>sees"
        "</th>"
    )
    body = "".join(_row(row, scale) for row in rows)
    return f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'


def _skipped(metrics: Sequence[str]) -> str:
    return f"<p>Skipped in both commits: {html_text(', '.join(metrics))}</p>" if metrics else ""


def _row(row: ReportRow, scale: EffectScale) -> str:
    divisor, unit = scale_for(row.unit, row.base, row.head)
    notes = "".join(f'<div class="note">{html_text(note)}</div>' for note in remarks(row))
    vote = "" if row.votes or row.outcome == "not judged" else ' <span class="note">no vote</span>'
    bounds = interval(row.low, row.high)
    word = "beyond limit" if row.blocks and row.outcome != "regression" else row.outcome
    return (
        f'<tr class="{_class_of(row)}{" blocks" if row.blocks else ""}"><td class="name">{_name(row.metric)}{notes}</td>'
        f"<td class='n'>{_value(row.base, divisor, unit)}</td>"
        f"<td class='n'>{_value(row.head, divisor, unit)}</td>"
        f"<td class='n change' title='{html_text(f'99 % interval {bounds}' if bounds else '')}'>"
        f"{html_text(change(row))}</td><td>{effect_plot(row, scale)}</td>"
        f'<td><span class="word">{html_text(word)}</span>{vote}</td>'
        f"<td class='n'>{row.pairs}</td><td class='n'>{html_text(sees(row))}</td></tr>"
    )


def _value(value: float | None, divisor: float, unit: str) -> str:
    unit_text = (
        f' <span class="unit">{html_text(unit)}</span>' if value is not None and unit else ""
    )
    return f"{html_text(scaled(value, divisor))}{unit_text}"


def _pairs(rows: Sequence[ReportRow]) -> str:
    cards = "".join(
        f'<figure class="{_class_of(row)}"><figcaption>{_name(row.metric)} '
        f'<span class="change">{html_text(change(row))}</span></figcaption>{picture}</figure>'
        for row in rows
        if (picture := pair_plot(row))
    )
    if not cards:
        return ""
    key = (
        '<p class="key"><svg viewBox="0 0 10 10"><circle class="base" cx="5" cy="5" r="3"/></svg> base '
        '<svg viewBox="0 0 10 10"><circle class="head" cx="5" cy="5" r="3"/></svg> head, '
        "one launch of each in a pair, in the order of measuring</p>"
    )
    return f'{key}<div class="cards">{cards}</div>'


def _environment(report: Report) -> str:
    facts = [
        ("machine", report.machine),
        *report.configuration,
        ("chance of any false regression", f"at most {report.alpha:.2%}"),
        *((("gate", report.gate_id),) if report.gate_id else ()),
        ("base", report.base),
        ("head", report.head),
        *report.environment,
    ]
    items = "".join(
        f"<dt>{html_text(name)}</dt><dd>{html_text(value)}</dd>" for name, value in facts
    )
    return _section("Environment", f"<dl>{items}</dl>")


def _section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>{content}</section>\n"


def _folded(title: str, content: str) -> str:
    return f"<details><summary>{title}</summary>{content}</details>\n" if content else ""


def _list(title: str, kind: str, items: Iterable[str]) -> str:
    listed = "".join(f"<li>{html_text(item)}</li>" for item in items)
    return (
        f'<section class="{kind}"><h2>{title}</h2><ul>{listed}</ul></section>\n' if listed else ""
    )


def _lines(title: str, lines: Sequence[str]) -> str:
    return _section(title, f"<pre>{html_text(chr(10).join(lines))}</pre>") if lines else ""


def _class_of(row: ReportRow) -> str:
    if row.blocks:
        return "regression"
    return "none" if row.outcome == "not judged" else row.outcome


def _name(metric: str) -> str:
    """A metric's name, its class in a weaker colour than what is measured."""
    head, paren, params = metric.partition("(")
    place, dot, last = head.rpartition(".")
    return f'<span class="place">{html_text(place + dot)}</span><b>{html_text(last)}</b>{html_text(paren + params)}'
