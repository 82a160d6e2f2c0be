"""An explanation as text, Markdown and JSON; and its short table for a gate's report. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable

from tracker.explain.explanation import Explained, Explanation, Row, StepChange, to_document
from tracker.report.columns import aligned
from tracker.report.numbers import count_of, percent, scale_for, scaled, some_of

__all__ = [
    "EXPLANATION_FORMATS",
    "explanation_json",
    "explanation_lines",
    "explanation_markdown",
    "explanation_text",
    "headline",
    "short_table",
]

_HEADER = ("place", "what", "phase", "calls/step", "time/step", "95 % interval", "share")
_SHORT = 5


def headline(suite: Explained) -> str:
    """Return what a suite's pairs show, in one sentence."""
    if suite.problem is not None or suite.total is None:
        return f"NOT EXPLAINED: {suite.problem or 'no pair of traces'}"
    total = suite.total
    verdict = suite.verdict
    if verdict == "no difference":
        hidden = f"; the noise could hide {_time(suite.hidden)} a step" if suite.hidden else ""
        few = "" if total.low is not None else "; fewer than 7 pairs decide nothing"
        return f"NO DIFFERENCE beyond the noise of {count_of(suite.pairs, 'pair')}{hidden}{few}"
    relative = percent(total.seconds / total.base) if total.base else "?"
    measured = f"{_time(total.base)} → {_time(total.head)} a step ({relative}){_ends(total)}"
    if verdict == "changed":
        return f"CHANGED, and no slower beyond the noise: {measured}"
    first = f": {suite.rows[0].where} {suite.rows[0].what}" if suite.rows else ""
    return f"{verdict.upper()}: {measured}{first}"


def explanation_text(result: Explanation) -> str:
    """Return the explanation as plain text, ending in a newline."""
    lines = [
        f"project: {result.project}",
        f"machine: {result.machine}",
        f"base: {result.base[:8]} {result.base_subject}",
        f"head: {result.head[:8]} {result.head_subject}",
    ]
    lines += [f"traces: of {result.source}"] if result.source else []
    lines += [f"warning: {warning}" for warning in result.warnings]
    if result.cause.kind != "code":
        lines.append(f"NOT THE CODE ({result.cause.kind}): {result.cause.text}")
    if result.interrupted:
        lines.append("interrupted: the pairs that are there count")
    for suite in result.suites:
        lines += ["", *_suite_lines(suite)]
    if result.changed:
        lines += ["", f"HEAD changes: {some_of(result.changed, 10)}"]
    return "\n".join(lines) + "\n"


def explanation_lines(result: Explanation | None) -> list[str]:
    """Return the section of a gate's report: each suite's sentence and rows; none without any."""
    if result is None:
        return []
    lines = [f"where the time went ({count_of(result.suites[0].pairs, 'pair')} of traces):"]
    if result.cause.kind != "code":
        lines.append(f"NOT THE CODE ({result.cause.kind}): {result.cause.text}")
    for suite in result.suites:
        lines.append(f"{suite.benchmark}: {headline(suite)}")
        lines += [f"  {line}" for line in _rows(suite)]
    return lines


def explanation_markdown(result: Explanation) -> str:
    """Return the explanation as Markdown, ending in a newline."""
    lines = [f"### What tells {result.head[:8]} from {result.base[:8]}", ""]
    if result.cause.kind != "code":
        lines += [f"**Not the code ({result.cause.kind}):** {_plain(result.cause.text)}", ""]
    lines += [f"- warning: {_plain(warning)}" for warning in result.warnings]
    for suite in result.suites:
        lines += ["", *short_table(suite, most=len(suite.rows))]
        if suite.counters:
            lines += ["", f"Counted otherwise: {_plain(_counters(suite))}."]
    return "\n".join(lines) + "\n"


def short_table(suite: Explained, *, most: int = _SHORT) -> list[str]:
    """Return Markdown lines: the sentence, and a table of the first rows."""
    lines = [f"**{_plain(suite.benchmark)}**: {_plain(headline(suite))}"]
    if suite.rows:
        lines += ["", f"| {' | '.join(_HEADER)} |", "|---|---|---|--:|--:|---|--:|"]
        lines += [f"| {' | '.join(map(_plain, _cells(row)))} |" for row in suite.rows[:most]]
        if len(suite.rows) > most:
            lines += ["", f"and {count_of(len(suite.rows) - most, 'more place')}"]
    return lines


def explanation_json(result: Explanation) -> str:
    """Return the explanation as one JSON document, ending in a newline."""
    document = to_document(result)
    for plain, suite in zip(document["suites"], result.suites, strict=True):
        plain["headline"] = headline(suite)
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


EXPLANATION_FORMATS: dict[str, Callable[[Explanation], str]] = {
    "text": explanation_text,
    "markdown": explanation_markdown,
    "json": explanation_json,
}


def _suite_lines(suite: Explained) -> list[str]:
    lines = [f"{suite.benchmark}: {count_of(suite.pairs, 'pair')}", headline(suite)]
    if suite.problem is not None:
        return lines
    lines += ["", *_rows(suite)] if suite.rows else []
    if suite.ops:
        ops = [(op.where, op.what, *_cells(op)[2:6]) for op in suite.ops]
        lines += ["", *aligned([("op or kernel", *_HEADER[1:6]), *ops])]
    elif suite.ops_note:
        lines += ["", f"no ops or kernels: {suite.ops_note}"]
    if suite.kernel_counters:
        shares = [
            (c.kernel, c.name, *("not read" if v is None else f"{v:.1%}" for v in (c.base, c.head)))
            for c in suite.kernel_counters
        ]
        lines += ["", *aligned([("kernel", "counter", "base", "head"), *shares])]
    if suite.counters:
        lines += ["", "counted otherwise: " + _counters(suite)]
    if suite.within_noise and suite.rows:
        lines.append(f"{count_of(suite.within_noise, 'other place')} within the noise")
    steps = [_step_cells(f"a {kind.name} step", kind) for kind in suite.kinds]
    phases = [_step_cells(phase.name, phase) for phase in suite.phases]
    lines += ["", *aligned([("", "base", "head", "change"), *steps, *phases])]
    lines += [
        f"trace of {arm}: {path}" for arm, path in zip(("base", "head"), suite.traces, strict=False)
    ]
    return lines


def _rows(suite: Explained) -> list[str]:
    if not suite.rows:
        return []
    lines = aligned([_HEADER, *map(_cells, suite.rows)])
    codes = [row.code for row in suite.rows]
    return lines + [f"  {number}. {code}" for number, code in enumerate(codes, 1) if code]


def _cells(row: Row) -> tuple[str, ...]:
    place = f"{row.where} {row.function}".rstrip()
    changed = " (changed in HEAD)" if row.is_changed else ""
    calls = "" if row.calls is None else _calls(row)
    certain = "" if row.is_certain else " (within noise)"
    ends = ""
    if row.low is not None and row.high is not None:
        divisor, unit = scale_for("s", row.low, row.high)
        ends = f"[{scaled(row.low, divisor)}, {scaled(row.high, divisor)}] {unit}"
    return (
        f"{place}{changed}", row.what, row.phase, calls, f"{_signed(row.seconds)}{certain}", ends,
        "" if row.share is None else f"{row.share:.0%}",
    )  # fmt: skip


def _calls(row: Row) -> str:
    assert row.calls is not None
    base, head = (f"{count:.4g}" for count in row.calls)
    return base if base == head else f"{base} → {head}"


def _counters(suite: Explained) -> str:
    return ", ".join(f"{n} {b:g} → {h:g}" for n, (b, h) in suite.counters.items())


def _step_cells(name: str, change: StepChange) -> tuple[str, ...]:
    certain = "" if change.is_certain else " (within noise)"
    return (
        name, _time(change.base), _time(change.head),
        f"{_signed(change.seconds)}{_ends(change)}{certain}",
    )  # fmt: skip


def _plain(text: str) -> str:
    """Text that cannot end a table's cell or begin markup."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def _time(seconds: float | None) -> str:
    divisor, unit = scale_for("s", seconds)
    return f"{scaled(seconds, divisor)} {unit}"


def _signed(seconds: float) -> str:
    return f"{'+' if seconds > 0 else ''}{_time(seconds)}"


def _ends(change: StepChange) -> str:
    if change.low is None or change.high is None:
        return ""
    divisor, unit = scale_for("s", change.low, change.high)
    return f" [{scaled(change.low, divisor)}, {scaled(change.high, divisor)}] {unit}"
