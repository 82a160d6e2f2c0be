"""`tracker compare`: two commits side by side, from the store."""

from __future__ import annotations

import json

import click

from tracker.cli import Settings
from tracker.cli.project import policy_here, stored_project, stored_ref
from tracker.comparison import compare
from tracker.domain import SeriesFilter
from tracker.errors import MeasurementError
from tracker.gate.policy_file import check_patterns
from tracker.report.comparison import comparison_document, comparison_text
from tracker.store import Store, queries

__all__ = ["command"]


@click.command("compare")
@click.argument("base")
@click.argument("head")
@click.option("--project", metavar="NAME", help="Project of the store; required if it has several.")
@click.option("--machine", metavar="NAME", help="Only results of this machine.")
@click.option("--environment", metavar="NAME", help="Only results of this environment.")
@click.option("--bench", multiple=True, metavar="REGEX", help="Only these metrics; repeatable.")
@click.option("--search", metavar="TEXT", help="Only benchmarks whose name contains TEXT.")
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
    environment: str | None,
    bench: tuple[str, ...],
    search: str | None,
    form: str,
) -> int:
    """Show the stored values of BASE and HEAD, metric by metric.

    A change is beyond noise if the stored launches of one commit differ that much with a chance of
    at most 1 % for any metric of the table. The machine's state adds differences between
    measurements of different times; `tracker gate` measures both commits in turn and decides.
    Exits 4 when no metric has a value at both commits.
    """
    check_patterns(bench)
    with Store.open(settings.db, read_only=True) as store:
        name = stored_project(store, project)
        here = policy_here()
        first = queries.resolve_revision(store, name, stored_ref(base))
        second = queries.resolve_revision(store, name, stored_ref(head))
        rows = compare(
            store,
            name,
            first.commit,
            second.commit,
            SeriesFilter(machine, environment, search, bench),
            rules=here[1].metrics if here is not None and here[0] == name else (),
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
