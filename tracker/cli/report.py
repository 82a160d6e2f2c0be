"""`tracker report`: what a team looks through once a week."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from tracker.cli import Settings
from tracker.cli.project import stored_project
from tracker.report.week import render_week
from tracker.store import Store, queries

__all__ = ["command"]


@click.group("report")
def command() -> None:
    """Write a report from what is stored."""


@command.command("week")
@click.option("--project", metavar="NAME", help="Project of the store; required if it has several.")
@click.option("--machine", metavar="NAME", help="Only what moved on this machine.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="Last day (default: today).")
@click.option("--days", type=click.IntRange(1), default=7, show_default=True, help="How many days.")
@click.pass_obj
def week(
    settings: Settings, project: str | None, machine: str | None, until: datetime | None, days: int
) -> None:
    """Print the triage report of a week as Markdown.

    Lists what moved, with counts, mean and range; the open findings by age; and what was called and
    turned out to be expected. It reads the store and measures nothing.
    """
    now = datetime.now(UTC)
    end = now if until is None else until.replace(hour=23, minute=59, second=59, tzinfo=UTC)
    with Store.open(settings.db, read_only=True) as store:
        name = stored_project(store, project)
        summary = queries.week(store, name, until=end, days=days, machine=machine)
    click.echo(render_week(summary), nl=False)
