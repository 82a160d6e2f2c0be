"""`tracker changepoints`: find level shifts, keep them, print them."""

from __future__ import annotations

import json

import click
from rich.console import Console

from tracker.changepoints import analyze
from tracker.cli import Settings
from tracker.cli.progress import counted
from tracker.report.findings import findings_document, findings_text
from tracker.store import Store

__all__ = ["command"]


@click.command("changepoints")
@click.option("--project", metavar="NAME", help="Only this project; else all in the store.")
@click.option("--machine", metavar="NAME", help="Only results of this machine.")
@click.option("--search", metavar="TEXT", help="Only benchmarks whose name contains TEXT.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def command(
    settings: Settings,
    project: str | None,
    machine: str | None,
    search: str | None,
    as_json: bool,
) -> None:
    """Find level shifts in every series' history and keep them in the store.

    Prints them grouped by commit, worst first. A changed environment or benchmark version starts
    a new segment and is never called a regression; failed and skipped results are left out.

    Finding something exits 0: `tracker gate` is the command that blocks. Exits 4 when the store
    has no series.
    """
    with Store.open(settings.db) as store, counted("change points") as progress:
        analysis = analyze(
            store, project=project, machine=machine, search=search, progress=progress
        )
    if as_json:
        click.echo(json.dumps(findings_document(analysis), indent=2, allow_nan=False))
    else:
        Console(highlight=False).print(findings_text(analysis), soft_wrap=True)
