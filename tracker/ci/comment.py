"""What a pull request reads: the outcome, what of it was not used for judging, the report."""

from __future__ import annotations

import html
import re

from tracker.ci.result import CiResult, conclusion_of

__all__ = ["MARKER", "code_span", "comment_of", "junit_of"]

# Marks the one comment that is kept up to date.
MARKER = "<!-- pacekeeper -->"
# GitHub takes 65,536 characters, GitLab more; the whole report is in the artifact.
_MOST = 60_000


def comment_of(result: CiResult, report: str | None) -> str:
    """Return the comment in Markdown, ending in a newline, its first line `MARKER`.

    Args:
        result: The end of the gate.
        report: The gate's own report in Markdown, or None. It is left out where the change was not
            judged: whatever the report holds then, it decided nothing.
    """
    parts = []
    if result.is_judged and report is not None:
        parts.append(report.strip())
    else:
        parts.append(f"### {conclusion_of(result).title}\n\n{_escaped(result.reason)}")
        if not result.is_judged:
            parts.append("This says nothing about the change. Mend the cause and run this again.")
    parts += [f"> **Note**: {notice}" for notice in result.notices]
    text = "\n\n".join(parts)
    if len(text) > _MOST:
        text = text[:_MOST] + "\n\n… cut here; the whole report is among the job's artifacts."
    return f"{MARKER}\n{text}\n"


def junit_of(result: CiResult) -> str:
    """Return JUnit XML of a gate that left none: one error, so that it is not read as a pass."""
    text = html.escape(result.reason)
    title = html.escape(conclusion_of(result).title)
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        '<testsuites tests="1" failures="0" errors="1" skipped="0">'
        '<testsuite name="pacekeeper" tests="1" failures="0" errors="1" skipped="0">'
        f'<testcase classname="pacekeeper" name="{result.outcome}">'
        f'<error message="{text}" type="{result.outcome}">{title}</error>'
        "</testcase></testsuite></testsuites>\n"
    )


def code_span(text: str) -> str:
    """Return `text` as Markdown code on one line, whatever characters it holds."""
    clean = "".join(c if c.isprintable() else "\ufffd" for c in text)
    longest = max((len(run) for run in re.findall("`+", clean)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if clean[:1] == "`" or clean[-1:] == "`" else ""
    return f"{fence}{pad}{clean}{pad}{fence}"


def _escaped(text: str) -> str:
    """`text` as Markdown that shows it letter by letter and mentions nobody."""
    return re.sub(r"([\\`*_{}\[\]()#+!|~])", r"\\\1", html.escape(text, quote=False)).replace(
        "@", "@\u200b"
    )
