"""A gate's outcome as text, Markdown, JSON and JUnit XML, all from one `Report` value.

The renderers are pure functions from a `Report` to a text; `render` picks one by name.
"""

from __future__ import annotations

from collections.abc import Callable

from tracker.report.html import render_html
from tracker.report.json_format import render_json
from tracker.report.junit import render_junit
from tracker.report.markdown import render_markdown
from tracker.report.model import Missing, Report, ReportRow, RowVerdict
from tracker.report.text import render_text

__all__ = [
    "FORMATS",
    "Missing",
    "Report",
    "ReportRow",
    "RowVerdict",
    "render",
    "render_html",
    "render_json",
    "render_junit",
    "render_markdown",
    "render_text",
]

FORMATS: dict[str, Callable[[Report], str]] = {
    "text": render_text,
    "markdown": render_markdown,
    "json": render_json,
    "junit": render_junit,
    "html": render_html,
}


def render(report: Report, form: str, *, every_metric: bool = False) -> str:
    """Return the report in the format `form`, one of `FORMATS`.

    With `every_metric` the text lists the metrics that did not change; the others always do.
    """
    if form == "text":
        return render_text(report, every_metric=every_metric)
    return FORMATS[form](report)
