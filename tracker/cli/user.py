"""`tracker user`: who may do what in the dashboard."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import get_args

import click

from tracker.cli import Settings
from tracker.cli.alerts import who
from tracker.domain import Role
from tracker.store import Store, queries

__all__ = ["command"]


@click.group("user")
def command() -> None:
    """Say who may do what in the dashboard after a log-in.

    Everybody may read. A triager may also triage findings and ask for measurements; an admin may
    also change users. Whoever is not listed may read.
    """


@command.command("add")
@click.argument("email")
@click.option(
    "--role",
    type=click.Choice(get_args(Role)),
    default="triager",
    show_default=True,
    help="What the user may do.",
)
@click.option("--by", metavar="NAME", help="Who does this (default: the user of this shell).")
@click.pass_obj
def add(settings: Settings, email: str, role: Role, by: str | None) -> None:
    """Give EMAIL a role, in the place of the one it had."""
    with Store.open(settings.db) as store:
        store.add_account(email, role, by=who(by), now=datetime.now(UTC))
    click.echo(f"{email.strip().lower()} is {role}")


@command.command("remove")
@click.argument("email")
@click.pass_obj
def remove(settings: Settings, email: str) -> None:
    """Take EMAIL its role; the next write in an open session is refused."""
    with Store.open(settings.db) as store:
        store.remove_account(email)
    click.echo(f"{email.strip().lower()} may read")


@command.command("list")
@click.pass_obj
def list_(settings: Settings) -> None:
    """List users with their roles."""
    with Store.open(settings.db, read_only=True) as store:
        for account in queries.list_accounts(store):
            click.echo(
                f"{account.role:<8}  {account.email}  "
                f"(by {account.added_by}, {account.added_at:%Y-%m-%d})"
            )
