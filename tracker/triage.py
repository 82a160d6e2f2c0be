"""Triage as values: the states of an alert, the moves between them, and what a person may do.

::

    open ──ack──► acked                    under investigation
    open, acked ──expect──► expected       the change is accepted, for ever or until a day
    open, acked, expected ──resolve──► resolved     fixed or reverted, a person says so
    any but resolved ──fix──► fixed        a paired run of the fix says so
    expected, resolved, fixed ──ack──► acked    it was closed too early
    any but open ──reopen──► open

A commit has one alert on a machine. It covers every series that moved there, but those that were
split off into another alert. Alerts merged into another are a part of it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from urllib.parse import urlsplit

from tracker.confirmation import together
from tracker.domain import AlertInfo, AlertState, RevisionInfo
from tracker.errors import UsageError
from tracker.findings import Change, Finding, finding_of, sort_findings

__all__ = [
    "ALL_STATES",
    "MAX_TEXT",
    "PART",
    "Act",
    "Assign",
    "Comment",
    "Direction",
    "Link",
    "Merge",
    "Move",
    "MoveCommit",
    "SetState",
    "Split",
    "Triaged",
    "alert_key",
    "check_text",
    "next_state",
    "triaged",
]

Move = Literal["ack", "expect", "resolve", "reopen", "fix"]
Direction = Literal["earlier", "later"]

ALL_STATES: tuple[AlertState, ...] = ("open", "acked", "expected", "resolved", "fixed")
MAX_TEXT = 10_000  # characters of a note
PART = "#part"  # between the key of an alert and the number of what was split off from it

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

_MOVES: dict[Move, tuple[AlertState, frozenset[AlertState]]] = {
    "ack": ("acked", frozenset({"open", "expected", "resolved", "fixed"})),
    "expect": ("expected", frozenset({"open", "acked"})),
    "resolve": ("resolved", frozenset({"open", "acked", "expected"})),
    "reopen": ("open", frozenset({"acked", "expected", "resolved", "fixed"})),
    "fix": ("fixed", frozenset({"open", "acked", "expected"})),
}


@dataclass(frozen=True, slots=True)
class SetState:
    """Move to another state; `until` ends an acceptance, after which the alert is open again."""

    move: Literal["ack", "expect", "resolve", "reopen"]
    note: str | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Assign:
    """Give it to somebody, by name or e-mail address; None: to nobody."""

    to: str | None


@dataclass(frozen=True, slots=True)
class Link:
    """Link an issue by its URL; None removes the link."""

    url: str | None


@dataclass(frozen=True, slots=True)
class Merge:
    """Make it a part of another alert of the same project."""

    into: int


@dataclass(frozen=True, slots=True)
class Split:
    """Give some of its series an alert of their own; without names, undo a merge."""

    metrics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MoveCommit:
    """Say that the commit before or after is the one that did it."""

    direction: Direction


@dataclass(frozen=True, slots=True)
class Comment:
    """Add a note."""

    text: str


Act = SetState | Assign | Link | Merge | Split | MoveCommit | Comment


def next_state(state: AlertState, move: Move) -> AlertState:
    """The state that `move` leads to from `state`.

    Raises:
        UsageError: The move is impossible; the message names the moves that are possible.
    """
    target, sources = _MOVES[move]
    if state in sources:
        return target
    possible = [name for name, (_, starts) in _MOVES.items() if state in starts and name != "fix"]
    raise UsageError(f"cannot {move} an alert that is {state}; possible: {', '.join(possible)}")


def check_text(name: str, text: str, *, most: int = MAX_TEXT) -> str:
    """Return a text without the space around it and without control characters.

    Raises:
        UsageError: It is empty or too long.
    """
    text = _CONTROLS.sub("", text).strip()
    if not text:
        raise UsageError(f"{name} is empty")
    if len(text) > most:
        raise UsageError(f"{name} has {len(text)} characters; at most {most} are kept")
    return text


def check_issue(url: str) -> str:
    """Return the URL of an issue.

    Raises:
        UsageError: It is no address of the web.
    """
    url = check_text("the issue's URL", url, most=2_000)
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable or any(c.isspace() or not c.isprintable() for c in url):
        raise UsageError(f"{url[:80]!r} is no URL of an issue; write https://HOST/PATH")
    return url


def alert_key(project: str, commit: str, machine: str) -> str:
    """Return the key that alerts at most once: a commit of a project on a class of machine."""
    return f"{project}/{commit}/{machine}"


@dataclass(frozen=True, slots=True)
class Triaged:
    """A finding as people see it after triage.

    Attributes:
        finding: Its changes are those that its alert covers; its commit is where the alert stands.
        alert: None where none was opened.
        merged: Alerts that are a part of it; their changes are in the finding.
    """

    finding: Finding
    alert: AlertInfo | None
    merged: tuple[AlertInfo, ...] = ()

    @property
    def before(self) -> RevisionInfo | None:
        """The newest revision that a series of its own had before it shifted."""
        detected = self.alert.detected if self.alert is not None else None
        own = [
            change
            for change in self.finding.changes
            if change.series.machine == self.finding.machine
            and (detected is None or change.shift.revision.commit == detected.commit)
        ]
        return replace(self.finding, changes=tuple(own)).before


def triaged(findings: Iterable[Finding], alerts: Iterable[AlertInfo]) -> tuple[Triaged, ...]:
    """Group findings as triage has it: split, merged and moved; worst first.

    Args:
        findings: Of one project, by the commit where the level shifts begin.
        alerts: Of the project in any state, merged ones included. One that covers no change of
            `findings` has no part in the answer.
    """
    known = list(alerts)
    by_key = {alert.key: alert for alert in known if alert.key}
    covering: dict[str, dict[str | None, AlertInfo]] = defaultdict(dict)
    for alert in known:
        if alert.detected is not None and alert.machine is not None:
            place = alert_key(alert.project, alert.detected.commit, alert.machine)
            for metric in (None,) if alert.metrics is None else alert.metrics:
                covering[place][metric] = alert
    grouped: dict[str, list[tuple[Finding, Change, AlertInfo | None]]] = defaultdict(list)
    for finding in findings:
        place = alert_key(finding.project, finding.revision.commit, finding.machine)
        covers = covering.get(place, {})
        for change in finding.changes:
            owner = covers.get(change.series.metric, covers.get(None))
            root = by_key.get(owner.merged_into or "", owner) if owner is not None else None
            grouped[root.key if root and root.key else place].append((finding, change, owner))
    listed = [_triaged(by_key.get(key), members) for key, members in grouped.items()]
    order = {id(item.finding): item for item in listed}
    return tuple(order[id(f)] for f in sort_findings(item.finding for item in listed))


def _triaged(
    root: AlertInfo | None, members: list[tuple[Finding, Change, AlertInfo | None]]
) -> Triaged:
    sources = list(dict.fromkeys(id(finding) for finding, _, _ in members))
    first = next(
        (finding for finding, _, alert in members if alert is root), members[0][0]
    )  # the machine of the alert itself, not of what was merged into it
    changes = [change for _, change, _ in members]
    if len(sources) == 1 and len(changes) == len(first.changes):
        confirmation = first.confirmation
    else:
        said = [change.confirmation for change in changes if change.confirmation is not None]
        confirmation = together(said) if said else None
    moved = root.revision if root is not None and root.revision is not None else first.revision
    finding = finding_of(
        first.project,
        first.machine,
        moved,
        changes,
        confirmation=confirmation,
        gate_id=first.gate_id if confirmation is not None else None,
    )
    parts = {a.id: a for _, _, a in members if a is not None and root is not None and a is not root}
    return Triaged(finding, root, tuple(parts.values()))
