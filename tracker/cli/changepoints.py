"""`tracker changepoints`: find level shifts, store them, print them."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace

import click
from rich.console import Console

from tracker.alerts import notify
from tracker.changepoints import analyze
from tracker.cli import Settings
from tracker.cli.progress import counted
from tracker.cli.project import record_rules_here, stored_project
from tracker.findings import Analysis
from tracker.gate.policy_file import load_policy
from tracker.report.findings import findings_document, findings_text
from tracker.store import Store, queries
from tracker.stored_findings import all_confirmed

__all__ = ["command"]


@click.command("changepoints")
@click.option("--project", metavar="NAME", help="Only this project (default: all).")
@click.option("--machine", metavar="NAME", help="Only results of this machine.")
@click.option("--search", metavar="TEXT", help="Only benchmarks whose name contains TEXT.")
@click.option(
    "--alert",
    is_flag=True,
    help="Open and send alerts for new regressions of this directory's project.",
)
@click.option(
    "--confirm",
    type=click.IntRange(min=1),
    metavar="N",
    help="Measure the N worst unconfirmed regressions in pairs on this machine.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def command(
    settings: Settings,
    project: str | None,
    machine: str | None,
    search: str | None,
    alert: bool,
    confirm: int | None,
    as_json: bool,
) -> None:
    """Find level shifts in the history of every series and store them.

    Prints them grouped by commit, worst first. A changed environment or benchmark version starts
    a new segment and is never called a regression; failed and skipped results are left out.

    With --alert, each new regression of a recent commit opens an alert. The [alerts] table of
    pacekeeper.toml says where alerts are sent. A commit never alerts twice.

    With --confirm, in the project's checkout, the commits before and after a shift are measured in
    interleaved pairs, as `tracker gate` does, with the benchmarks that shifted. The finding is then
    confirmed, refuted (noise) or inconclusive. Gates that the store already holds count as well.

    Exits 0 whether or not shifts are found: `tracker gate` is the command that blocks. Exits 4
    when the store has no series.
    """
    policy = load_policy() if alert else None
    with Store.open(settings.db) as store:
        name = None
        if policy is not None and queries.list_projects(store):
            name = stored_project(store, project or policy.name)
        record_rules_here(store)
        with counted("change points") as progress:
            analysis = analyze(
                store,
                project=project,
                machine=machine,
                search=search,
                progress=progress,
                processes=_processes(),
            )
        if confirm is not None:
            analysis = _confirmed(settings, store, analysis, confirm)
        if policy is not None and name is not None:
            result = notify(store, name, policy.alerts, findings=analysis.findings)
            for closed in result.closed:
                click.echo(f"alert {closed.id} is {closed.history[-1].text}", err=True)
            for failure in result.failures:
                click.echo(f"warning: {failure}", err=True)
    if as_json:
        click.echo(json.dumps(findings_document(analysis), indent=2, allow_nan=False))
    else:
        Console(highlight=False).print(findings_text(analysis), soft_wrap=True)


def _processes() -> int:
    """How many processors this process may use; 1 where the system is not Linux."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1


def _confirmed(settings: Settings, store: Store, analysis: Analysis, most: int) -> Analysis:
    """Measure the worst findings in pairs; return the analysis with what the pairs say."""
    from tracker.cli.confirming import measure
    from tracker.findings import worth_confirming

    for finding in worth_confirming(analysis.findings)[:most]:
        measure(settings, finding)
    return replace(analysis, findings=all_confirmed(store, analysis.findings))
