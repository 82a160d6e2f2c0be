"""What a pull request reads: the gate's own report, or why the change was not judged."""

from __future__ import annotations

import html
import re

from tracker.ci.result import CiResult, conclusion_of

__all__ = ["MARKER", "comment_of", "cut", "junit_of"]

# Marks the one comment that is kept up to date.
MARKER = "<!-- pacekeeper -->"
# GitHub takes 65,536 characters, GitLab more; the whole report is in the artifact.
_MOST = 60_000  # bytes


def comment_of(result: CiResult, report: str | None) -> str:
    """Return the comment in Markdown, ending in a newline, its first line `MARKER`.

    Args:
        result: The end of the gate.
        report: The gate's own report in Markdown, or None. It is left out where the change was not
            judged: whatever the report holds then, it decided nothing.
    """
    if result.is_judged and report is not None:
        text = re.sub(r"@(?=\w)", "@\u200b", report.strip())  # mentions nobody
    else:
        text = f"### {conclusion_of(result).title}\n\n{_escaped(result.reason)}"
        if not result.is_judged:
            text += "\n\nThis says nothing about the change. Mend the cause and run this again."
    return f"{MARKER}\n{cut(text)}\n"


def cut(text: str) -> str:
    """Return `text`, or as much of it as a comment takes and a sentence that says so."""
    content = text.encode("utf-8", "replace")
    if len(content) <= _MOST:
        return text
    kept = content[:_MOST].decode("utf-8", "ignore")
    return f"{kept}\n\n… cut here; the whole report is among the job's artifacts."


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


def _escaped(text: str) -> str:
    """`text` as Markdown that shows it letter by letter and mentions nobody."""
    return re.sub(r"([\\`*_{}\[\]()#+!|~])", r"\\\1", html.escape(text, quote=False)).replace(
        "@", "@\u200b"
    )
