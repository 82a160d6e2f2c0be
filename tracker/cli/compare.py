"""`tracker compare`: two commits side by side, from the store."""

from __future__ import annotations

import json

import click

from tracker.cli import Settings
from tracker.cli.project import stored_project, stored_ref
from tracker.errors import MeasurementError
from tracker.report.comparison import comparison_document, comparison_text
from tracker.store import Store, queries

__all__ = ["command"]


@click.command("compare")
@click.argument("base")
@click.argument("head")
@click.option("--project", metavar="NAME", help="Of the store; needed where it has several.")
@click.option("--machine", metavar="NAME", help="Only results of this machine.")
@click.option("--search", metavar="TEXT", help="Only benchmarks whose name holds TEXT.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True
)
@click.pass_obj
def command(
    settings: Settings,
    base: str,
    head: str,
    project: str | None,
    machine: str | None,
    search: str | None,
    form: str,
) -> int:
    """Show what the store holds of BASE and HEAD, metric by metric.

    Nothing is judged: measurements made at different times differ by the machine's drift, too;
    `tracker gate` tells a slowdown from noise. Exits 4 when no metric was measured at both.
    """
    with Store.open(settings.db, read_only=True) as store:
        name = stored_project(store, project)
        first = queries.resolve_revision(store, name, stored_ref(base))
        second = queries.resolve_revision(store, name, stored_ref(head))
        rows = queries.compare(
            store, name, first.commit, second.commit, machine=machine, search=search
        )
    if not any(row.base is not None and row.head is not None for row in rows):
        raise MeasurementError(
            f"nothing to compare: no metric has a value at both {first.commit[:8]} and "
            f"{second.commit[:8]}"
        )
    if form == "json":
        document = comparison_document(name, first, second, rows)
        click.echo(json.dumps(document, indent=2, allow_nan=False))
    else:
        click.echo(comparison_text(name, first, second, rows), nl=False)
    return 0
