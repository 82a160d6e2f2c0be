"""`tracker alerts`: list, show and triage."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime

import click
from rich.console import Console
from rich.text import Text

from tracker.alerts.payload import alert_document
from tracker.alerts.service import move_alert
from tracker.alerts.states import ALL_STATES, Action
from tracker.cli import Settings
from tracker.domain import AlertInfo
from tracker.report.alerts import alert_lines, alert_text
from tracker.store import Store, queries

__all__ = ["command"]


@click.group("alerts")
def command() -> None:
    """List, show and triage alerts.

    States: open (new), acked (under investigation), expected (the change is accepted), resolved
    (fixed or reverted).
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
    """List alerts, newest first."""
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
    """Show one alert with its details and its log; as JSON also all that is known of its commit."""
    with Store.open(settings.db, read_only=True) as store:
        alert = queries.get_alert(store, alert_id)
        if as_json:
            from tracker.evidence import alert_evidence

            url = os.environ.get("PACEKEEPER_DASHBOARD_URL")
            _print_json(alert_evidence(store, alert, dashboard_url=url))
            return
    _print(alert_text(alert))


@command.command("ack")
@click.argument("alert_id", metavar="ID", type=int)
@click.option("--note", metavar="TEXT", help="Stored with the alert.")
@click.pass_obj
def ack(settings: Settings, alert_id: int, note: str | None) -> None:
    """Mark an alert as under investigation; this also reopens a closed alert."""
    _move(settings, alert_id, "ack", note)


@command.command("expect")
@click.argument("alert_id", metavar="ID", type=int)
@click.option("--note", metavar="TEXT", help="Stored with the alert: why the change is accepted.")
@click.pass_obj
def expect(settings: Settings, alert_id: int, note: str | None) -> None:
    """Mark an alert as an accepted change."""
    _move(settings, alert_id, "expect", note)


@command.command("resolve")
@click.argument("alert_id", metavar="ID", type=int)
@click.option("--note", metavar="TEXT", help="Stored with the alert: the commit that fixed it.")
@click.pass_obj
def resolve(settings: Settings, alert_id: int, note: str | None) -> None:
    """Mark an alert as fixed or reverted."""
    _move(settings, alert_id, "resolve", note)


def _move(settings: Settings, alert_id: int, action: Action, note: str | None) -> None:
    with Store.open(settings.db) as store:
        alert: AlertInfo = move_alert(store, alert_id, action, note=note, now=datetime.now(UTC))
    click.echo(f"alert {alert.id} is {alert.state}")


def _print(text: Text) -> None:
    Console(highlight=False).print(text, soft_wrap=True)


def _print_json(document: object) -> None:
    click.echo(json.dumps(document, indent=2, allow_nan=False))
