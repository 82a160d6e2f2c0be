"""Small SVG pictures for a README: a project's state in a badge, a series as a sparkline. Pure."""

from __future__ import annotations

from datetime import datetime
from html import escape

from dashboard.palette import LIGHT
from dashboard.units import ago, counted
from tracker.domain import Overview
from tracker.findings import Change, group_by_commit

__all__ = ["badge_svg", "message_svg", "state_of"]

_LABEL = "performance"
_CHARACTER = 6.6  # pixels of one, at 11 pixels Verdana: a little more than they need
_HEIGHT = 20


def state_of(overview: Overview, *, searched: int, now: datetime) -> tuple[str, str]:
    """What the badge says of a project, and in which colour: green needs a search that found nothing.

    Args:
        overview: Of the project, or of one of its machines.
        searched: How many of its series were searched for level shifts.
        now: For the age of the newest result.
    """
    if overview.newest is None or overview.project.last_measured is None:
        return "nothing measured", LIGHT.neutral
    age = ago(overview.project.last_measured, now)
    if not searched:
        return f"not searched, measured {age}", LIGHT.neutral
    findings = group_by_commit(Change(*pair) for pair in overview.worse)
    if findings:
        commits = counted(len({finding.revision.commit for finding in findings}), "commit")
        return f"{len(overview.worse)} series worse at {commits}, {age}", LIGHT.worse
    return f"nothing worse, {age}", LIGHT.better


def badge_svg(message: str, colour: str) -> str:
    """A flat badge: the label on grey, the message on its colour."""
    left, right = (round(_CHARACTER * len(text)) + 12 for text in (_LABEL, message))
    title = escape(f"{_LABEL}: {message}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="{_HEIGHT}" '
        f'role="img" aria-label="{title}"><title>{title}</title>'
        f'<rect width="{left + right}" height="{_HEIGHT}" rx="3" fill="#3a4250"/>'
        f'<path d="M{left} 0h{right - 3}a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3h-{right - 3}z" fill="{colour}"/>'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
        f'<text x="6" y="14">{_LABEL}</text><text x="{left + 6}" y="14">{escape(message)}</text>'
        "</g></svg>"
    )


def message_svg(message: str) -> str:
    """A badge that says why there is no other."""
    return badge_svg(message, LIGHT.neutral)
