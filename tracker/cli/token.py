"""`tracker token`: tokens of the HTTP service."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import cast, get_args

import click

from tracker.cli import Settings
from tracker.domain import TokenInfo, TokenScope
from tracker.errors import UsageError
from tracker.store import Store, queries

__all__ = ["command"]


@click.group("token")
def command() -> None:
    """Create, list and revoke tokens of `tracker serve`."""


@command.command("create")
@click.argument("name")
@click.option("--project", metavar="NAME", help="The only project that it opens.")
@click.option("--all-projects", is_flag=True, help="It opens every project.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(get_args(TokenScope)),
    help="What its holder may do; repeatable (default: ingest). settings: also write "
    "[gate.metrics] and the commits' address with results.",
)
@click.option(
    "--days", type=click.IntRange(1, 3650), default=90, show_default=True, help="Until it expires."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def create(
    settings: Settings,
    name: str,
    project: str | None,
    all_projects: bool,
    scopes: tuple[str, ...],
    days: int,
    as_json: bool,
) -> None:
    """Make a token and print it: this once, since only its digest is kept.

    NAME says who holds it, for the list.
    """
    from tracker.api.tokens import new_token

    if (project is None) is not all_projects:
        raise UsageError("give --project NAME, or --all-projects")
    made = new_token(
        name,
        cast("tuple[TokenScope, ...]", tuple(dict.fromkeys(scopes)) or ("ingest",)),
        project,
        now=datetime.now(UTC),
        lifetime=timedelta(days=days),
    )
    with Store.open(settings.db) as store:
        store.record_token(made.info, digest=made.digest)
    if as_json:
        click.echo(json.dumps({"token": made.text, **_document(made.info)}, indent=2))
        return
    click.echo(made.text)
    click.echo(
        f"expires {made.info.expires_at:%Y-%m-%d}; shown once; revoke it with: "
        f"tracker token revoke {made.info.prefix}",
        err=True,
    )


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@click.pass_obj
def list_(settings: Settings, as_json: bool) -> None:
    """List tokens, newest first."""
    with Store.open(settings.db, read_only=True) as store:
        tokens = queries.list_tokens(store)
    if as_json:
        click.echo(json.dumps([_document(token) for token in tokens], indent=2))
        return
    for token in tokens:
        click.echo(
            f"{token.prefix}  {token.state(datetime.now(UTC)):<7}  until {token.expires_at:%Y-%m-%d}  "
            f"{','.join(token.scopes)}  {token.project or 'all projects'}  {token.name}"
        )
    if not tokens:
        click.echo("no tokens")


@command.command("revoke")
@click.argument("prefix")
@click.pass_obj
def revoke(settings: Settings, prefix: str) -> None:
    """Revoke the token with this PREFIX, as `tracker token list` shows it. There is no way back."""
    with Store.open(settings.db) as store:
        store.revoke_token(prefix, now=datetime.now(UTC))
    click.echo(f"token {prefix} is revoked")


def _document(token: TokenInfo) -> dict[str, object]:
    times = {name: getattr(token, name) for name in ("created_at", "expires_at", "revoked_at")}
    return {
        **asdict(token),
        **{name: time and time.astimezone(UTC).isoformat() for name, time in times.items()},
        "state": token.state(datetime.now(UTC)),
    }
