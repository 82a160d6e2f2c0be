"""`tracker alerts`: list, show and triage."""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import click
from rich.console import Console
from rich.text import Text

from tracker.alerts.payload import alert_document
from tracker.cli import Settings
from tracker.cli.timespan import end_of_day
from tracker.domain import AlertInfo
from tracker.errors import UsageError
from tracker.report.alerts import alert_lines, alert_text
from tracker.store import Store, queries
from tracker.triage import (
    ALL_STATES,
    Act,
    Assign,
    Comment,
    Direction,
    Link,
    Merge,
    MoveCommit,
    SetState,
    Split,
)

__all__ = ["command"]


@click.group("alerts")
def command() -> None:
    """List, show and triage alerts.

    States: open (new), acked (under investigation), expected (the change is accepted), resolved
    (fixed or reverted, as a person says), fixed (as a paired run says).
    """


@command.command("list")
@click.option("--project", metavar="NAME", help="Only this project (default: all).")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([*ALL_STATES, "all"]),
    help="Only alerts in this state; repeatable (default: open and acked).",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@click.pass_obj
def list_(settings: Settings, project: str | None, states: tuple[str, ...], as_json: bool) -> None:
    """List alerts, newest first; those merged into another are a part of it."""
    wanted = [state for state in ALL_STATES if state in states or "all" in states]
    with Store.open(settings.db, read_only=True) as store:
        alerts = queries.list_alerts(store, project, states=tuple(wanted) or ("open", "acked"))
    if as_json:
        _print_json([alert_document(alert) for alert in alerts])
    else:
        _print(alert_lines(alerts))


@command.command("show")
@click.argument("alert_id", metavar="ID", type=int)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def show(settings: Settings, alert_id: int, as_json: bool) -> None:
    """Show one alert with its details and its history; as JSON also all that is known of its commit."""
    with Store.open(settings.db, read_only=True) as store:
        alert = queries.get_alert(store, alert_id)
        if as_json:
            from tracker.evidence import alert_evidence

            url = os.environ.get("PACEKEEPER_DASHBOARD_URL")
            _print_json(alert_evidence(store, alert, dashboard_url=url))
            return
    _print(alert_text(alert))


@command.command("send")
@click.option("--project", metavar="NAME", help="Only this project (default: this directory's).")
@click.pass_obj
def send(settings: Settings, project: str | None) -> int:
    """Send what is due: repeated deliveries, escalations, notices, machines that fell silent.

    Run it every few minutes where a machine that measures may itself be the one that stops; the
    [alerts] table of this directory's pacekeeper.toml says where messages go. Exits 5 if one was
    not delivered; it is tried again later.
    """
    from tracker.alerts.service import notify
    from tracker.cli.project import stored_project
    from tracker.gate.policy_file import load_policy

    policy = load_policy()
    with Store.open(settings.db) as store:
        name = stored_project(store, project or policy.name)
        result = notify(store, name, policy.alerts)
    for failure in result.failures:
        click.echo(f"warning: {failure}", err=True)
    return 5 if result.failures else 0


_ids = click.argument("alert_ids", metavar="ID...", type=int, nargs=-1, required=True)
_by = click.option("--by", metavar="NAME", help="Who does this (default: the user of this shell).")
_note = click.option("--note", metavar="TEXT", help="Stored with the alert.")


def _state_command(name: Literal["ack", "resolve", "reopen"], help_: str) -> Callable[..., Any]:
    @command.command(name, help=help_)
    @_ids
    @_note
    @_by
    @click.pass_obj
    def move(
        settings: Settings, alert_ids: tuple[int, ...], note: str | None, by: str | None
    ) -> None:
        _act(settings, alert_ids, SetState(name, note), by)

    return move


_state_command("ack", "Mark alerts as under investigation; this also reopens a closed alert.")
_state_command("resolve", "Mark alerts as fixed or reverted.")
_state_command("reopen", "Make alerts open again.")


@command.command("expect")
@_ids
@click.option("--note", metavar="TEXT", help="Why the change is accepted.")
@click.option("--until", metavar="DATE", help="Last day of the acceptance, UTC: 2026-03-31.")
@_by
@click.pass_obj
def expect(
    settings: Settings,
    alert_ids: tuple[int, ...],
    note: str | None,
    until: str | None,
    by: str | None,
) -> None:
    """Mark alerts as accepted changes, for ever or until a day, after which they are open again."""
    last = None if until is None else end_of_day("--until", until)
    _act(settings, alert_ids, SetState("expect", note, last), by)


@command.command("assign")
@_ids
@click.option("--to", metavar="NAME", help="Name or e-mail address; without it: to nobody.")
@_by
@click.pass_obj
def assign(settings: Settings, alert_ids: tuple[int, ...], to: str | None, by: str | None) -> None:
    """Give alerts to somebody."""
    _act(settings, alert_ids, Assign(to), by)


@command.command("link")
@_ids
@click.option("--issue", metavar="URL", help="The issue; without it the link is removed.")
@_by
@click.pass_obj
def link(settings: Settings, alert_ids: tuple[int, ...], issue: str | None, by: str | None) -> None:
    """Link alerts to an issue."""
    _act(settings, alert_ids, Link(issue), by)


@command.command("comment")
@_ids
@click.option("--note", metavar="TEXT", required=True, help="What to add to the history.")
@_by
@click.pass_obj
def comment(settings: Settings, alert_ids: tuple[int, ...], note: str, by: str | None) -> None:
    """Add a note to the history of alerts."""
    _act(settings, alert_ids, Comment(note), by)


@command.command("merge")
@_ids
@click.option("--into", metavar="ID", type=int, required=True, help="The alert that stays.")
@_by
@click.pass_obj
def merge(settings: Settings, alert_ids: tuple[int, ...], into: int, by: str | None) -> None:
    """Make alerts a part of another, such as those of one commit on several machines."""
    _act(settings, alert_ids, Merge(into), by)


@command.command("split")
@click.argument("alert_id", metavar="ID", type=int)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="Series that gets an alert of its own with the others named; repeatable.",
)
@_by
@click.pass_obj
def split(settings: Settings, alert_id: int, metrics: tuple[str, ...], by: str | None) -> None:
    """Split series off into an alert of their own; without --metric, undo a merge."""
    _act(settings, (alert_id,), Split(metrics), by)


@command.command("move")
@_ids
@click.argument("direction", type=click.Choice(["earlier", "later"]))
@_by
@click.pass_obj
def move(
    settings: Settings, alert_ids: tuple[int, ...], direction: Direction, by: str | None
) -> None:
    """Say that the commit before or after is the one that did it."""
    _act(settings, alert_ids, MoveCommit(direction), by)


@command.command("fix")
@click.argument("alert_id", metavar="ID", type=int)
@click.argument("commit")
@_by
@click.pass_obj
def fix(settings: Settings, alert_id: int, commit: str, by: str | None) -> None:
    """Name the COMMIT that fixes an alert, and ask the service to check it with a paired run."""
    from tracker.requests import request_fix
    from tracker.stored_findings import triaged_at

    with Store.open(settings.db) as store:
        alert = queries.get_alert(store, alert_id)
        place = alert.revision
        items = () if place is None else triaged_at(store, alert.project, place.commit)
        item = next((i for i in items if i.alert is not None and i.alert.id == alert_id), None)
        if item is None:
            raise UsageError(f"alert {alert_id} covers no level shift whose end could be checked")
        job_id, _ = request_fix(store, item, commit, by=who(by), now=datetime.now(UTC))
    click.echo(f"job {job_id} waits for tracker schedule on {item.finding.machine}")


def _act(settings: Settings, alert_ids: Sequence[int], act: Act, by: str | None) -> None:
    with Store.open(settings.db) as store:
        store.triage(alert_ids, act, by=who(by), now=datetime.now(UTC))
        for alert_id in dict.fromkeys(alert_ids):
            click.echo(_line(queries.get_alert(store, alert_id), act))


def _line(alert: AlertInfo, act: Act) -> str:
    if isinstance(act, SetState):
        return f"alert {alert.id} is {alert.state}"
    return f"alert {alert.id}: {alert.history[-1].text}"


def who(by: str | None) -> str:
    """The name that is kept: what was given, else the user of this process.

    Raises:
        UsageError: It is not known.
    """
    if by is not None:
        return by
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise UsageError("this process has no user name; give --by NAME") from None


def _print(text: Text) -> None:
    Console(highlight=False).print(text, soft_wrap=True)


def _print_json(document: object) -> None:
    click.echo(json.dumps(document, indent=2, allow_nan=False))
