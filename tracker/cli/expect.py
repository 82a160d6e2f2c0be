"""`tracker expect`: record an intended change of a metric before it is judged."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from tracker.cli import Settings
from tracker.cli.timespan import end_of_day
from tracker.domain import Expectation
from tracker.errors import UsageError
from tracker.report.numbers import percent, some_of

__all__ = ["command"]

_DAYS = 14  # of an expectation that names neither a commit nor a date


class _WithNegativeChange(click.Command):
    """Accepts `-6%` as an argument, not as an option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, [re.sub(r"^-(?=\d[\d.]*%$)", "−", arg) for arg in args])


@click.command("expect", cls=_WithNegativeChange)
@click.argument("metric", required=False)
@click.argument("change", required=False)
@click.option("--because", metavar="TEXT", help="Reason for the change; every report shows it.")
@click.option(
    "--commit",
    metavar="COMMIT",
    help="Commit that brings the change (default: any commit until it expires).",
)
@click.option("--until", metavar="DATE", help="Last day on which it applies, UTC: 2026-03-31.")
@click.option(
    "--for",
    "days",
    type=click.IntRange(min=1),
    metavar="DAYS",
    help="Number of days for which it applies.",
)
@click.option(
    "--list", "listed", is_flag=True, help="Print the expectations that have not expired."
)
@click.option("--project", metavar="NAME", help="Project of the store; required if it has several.")
@click.pass_obj
def command(
    settings: Settings,
    metric: str | None,
    change: str | None,
    because: str | None,
    commit: str | None,
    until: str | None,
    days: int | None,
    listed: bool,
    project: str | None,
) -> None:
    """Record that METRIC is meant to change by CHANGE, such as +6% or -2.5%.

    METRIC is the name of a metric or the end of it: ttft_p50, TinyC4.ttft_p50. The gate then judges
    the metric against the expected change. The expected change passes with a note. A metric that is
    worse than expected by more than the margin is a regression. The report says if the metric did
    not get worse at all. A second call with the same metric and commit replaces the first.

    The expectation applies to gates whose commits include COMMIT, or until DATE; without either it
    applies for 14 days. A line in a commit message does the same for that commit:

        Perf-expect: ttft_p50 +6% because prompts are checked before they are queued
    """
    from tracker.cli.project import stored_project
    from tracker.expected import nearest, parse_change
    from tracker.store import Store, queries

    if listed:
        _list(settings, project)
        return
    if metric is None or change is None:
        raise UsageError("give a METRIC and a CHANGE, such as: ttft_p50 +6% --because TEXT")
    if because is None or not because.strip():
        raise UsageError("give --because TEXT: a price without a reason is a regression")
    ratio = parse_change(change)
    last = _end(until, days, commit)
    brought_by = None if commit is None else _resolved(commit)
    with Store.open(settings.db) as store:
        name = stored_project(store, project)
        known = {series.metric for series in queries.list_series(store, name)}
        if (unknown := nearest(metric, known)) is not None:
            shown = some_of(sorted(known)) or "none"
            raise UsageError(f"{unknown} (project {name!r} of the store has {shown})")
        expectation = Expectation(metric, ratio, because.strip(), brought_by, last)
        store.record_expectation(name, expectation)
        alerts = [
            alert
            for alert in queries.list_alerts(store, name)
            if alert.revision is not None and alert.revision.commit == brought_by
        ]
    click.echo(_line(expectation))
    for alert in alerts:
        click.echo(
            f"alert {alert.id} of that commit is {alert.state}: tracker alerts expect {alert.id}"
        )


def _list(settings: Settings, project: str | None) -> None:
    from tracker.cli.project import stored_project
    from tracker.store import Store, queries

    now = datetime.now(UTC)
    with Store.open(settings.db, read_only=True) as store:
        for expectation in queries.list_expectations(store, stored_project(store, project)):
            if expectation.until is None or now <= expectation.until:
                click.echo(_line(expectation))


def _line(expectation: Expectation) -> str:

    where = f"with commit {expectation.commit[:8]}" if expectation.commit else "with any commit"
    end = f" until {expectation.until:%Y-%m-%d %H:%M} UTC" if expectation.until else ""
    return f"{expectation.metric} {percent(expectation.change)} {where}{end}, because {expectation.because}"


def _end(until: str | None, days: int | None, commit: str | None) -> datetime | None:
    if until is not None and days is not None:
        raise UsageError("give --until or --for, not both")
    if until is not None:
        last = end_of_day("--until", until)
        if last < datetime.now(UTC):
            raise UsageError(f"--until {until}: that day is over")
        return last
    if days is None and commit is None:
        days = _DAYS
    return None if days is None else datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)


def _resolved(commit: str) -> str:
    from tracker.measure.git import Repository

    return (
        commit
        if re.fullmatch(r"[0-9a-f]{40}", commit)
        else Repository.find(Path.cwd()).resolve(commit)
    )
