"""`tracker mcp`: tools for agents on the store, over standard input and output."""

from __future__ import annotations

import click

from tracker.cli import Settings
from tracker.errors import PacekeeperError
from tracker.store import Store

__all__ = ["command"]


@click.command("mcp")
@click.option(
    "--dashboard-url", metavar="URL", envvar="PACEKEEPER_DASHBOARD_URL", show_envvar=True,
    help="Address of the dashboard, for links.",
)  # fmt: skip
@click.pass_obj
def command(settings: Settings, dashboard_url: str | None) -> None:
    """Offer the store to an agent as tools (Model Context Protocol on stdin and stdout); read only."""
    try:
        from tracker.api.agent_tools import make_server
    except ImportError as error:
        raise PacekeeperError(
            f"{error.name} is not installed; install it with: pip install 'pacekeeper[mcp]'"
        ) from None
    with Store.open(settings.db, read_only=True) as store:
        make_server(store, dashboard_url=dashboard_url).run()
