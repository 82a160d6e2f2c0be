"""A report as JUnit XML, which every CI server shows: one test case a metric."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from tracker.report.creep import Creep
from tracker.report.model import Report, ReportRow
from tracker.report.numbers import count_of, interval, percent, scale_for, scaled, value_with_unit

__all__ = ["render_junit"]

# XML 1.0 has no way to write these.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render_junit(report: Report) -> str:
    """Return the report as JUnit XML with a declaration, ending in a newline.

    What blocks is a failure; an undecided metric, one without a vote and one that was not
    measured in both commits is skipped with its reason, and undecided is a failure where the
    policy blocks on it. What HEAD breaks is a failure; what fails otherwise and what makes the
    measurement invalid is an error.
    """
    suite = ElementTree.Element("testsuite", name=_clean(f"pacekeeper {report.project}"))
    failures = skipped = errors = 0
    undecided_blocks = report.outcome == "inconclusive" and report.exit_code != 0
    for row in report.rows:
        case = _case(suite, row.metric)
        if row.blocks or (undecided_blocks and row.outcome == "inconclusive" and row.votes):
            failures += 1
            kind = row.outcome if row.outcome in ("regression", "inconclusive") else "limit"
            _child(case, "failure", _message(row), kind)
        elif row.outcome == "inconclusive" or row.outcome == "not judged":
            skipped += 1
            _child(case, "skipped", f"{row.outcome}: {row.reason}")
        elif row.outcome == "regression":
            skipped += 1
            _child(case, "skipped", f"{_message(row)} (does not vote)")
        ElementTree.SubElement(case, "system-out").text = _clean(_message(row))
    for missing in report.missing:
        case = _case(suite, missing.metric)
        if missing.breaks:
            failures += 1
            _child(case, "failure", missing.sentence, "broken")
        elif missing.fails:
            errors += 1
            _child(case, "error", missing.sentence, "infrastructure")
        else:
            skipped += 1
            _child(case, "skipped", missing.sentence)
        if missing.log:
            ElementTree.SubElement(case, "system-out").text = _clean("\n".join(missing.log))
    for metric in report.skipped:
        skipped += 1
        _child(_case(suite, metric), "skipped", "skipped in both commits")
    if report.creep is not None:
        failures += _creep_cases(suite, report.creep)
    for word, reasons in (("invalid", report.invalid), ("infrastructure", report.infrastructure)):
        for number, reason in enumerate(reasons, start=1):
            errors += 1
            _child(_case(suite, f"measurement is valid ({number})"), "error", reason, word)
    if not len(suite):
        errors += 1
        _child(_case(suite, "measurement"), "error", report.headline, "invalid")
    counts = {
        "tests": len(suite),
        "failures": failures,
        "errors": errors,
        "skipped": skipped,
        "time": f"{report.seconds:.3f}",
    }
    for key, value in counts.items():
        suite.set(key, str(value))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    body = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def _creep_cases(suite: ElementTree.Element, creep: Creep) -> int:
    """Add a failed case for every metric over its budget; return how many."""
    for drift in creep.over:
        change = f"{percent(drift.effect)} {interval(drift.low, drift.high)}".rstrip()
        allowed = percent(drift.budget, signed=False)
        case = _case(suite, f"creep.{drift.metric}")
        message = f"{change} since {creep.release}, over the budget of {allowed}"
        _child(case, "failure", message, "creep")
    return len(creep.over)


def _case(suite: ElementTree.Element, metric: str) -> ElementTree.Element:
    # Parameters may hold dots; the class is what stands before the method's name.
    head = metric.split("(", 1)[0]
    classname, _, method = head.rpartition(".")
    return ElementTree.SubElement(
        suite,
        "testcase",
        classname=_clean(classname or "pacekeeper"),
        name=_clean(method + metric[len(head) :]),
    )


def _child(case: ElementTree.Element, tag: str, message: str, kind: str | None = None) -> None:
    child = ElementTree.SubElement(case, tag, message=_clean(message))
    if kind is not None:
        child.set("type", kind)


def _message(row: ReportRow) -> str:
    divisor, unit = scale_for(row.unit, row.base, row.head)
    parts = [
        f"{scaled(row.base, divisor)} -> {scaled(row.head, divisor)} {unit}".rstrip(),
        f"{percent(row.effect)} {interval(row.low, row.high)}".rstrip(),
        f"{row.outcome} after {count_of(row.pairs, 'pair')}",
    ]
    if row.sees is not None and row.outcome == "pass":
        parts.append(f"would have seen {percent(row.sees, signed=False)}")
    if row.limit is not None:
        parts.append(f"limit {value_with_unit(row.limit, row.unit)}")
    if row.reason:
        parts.append(row.reason)
    return "; ".join(parts)


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
