"""`tracker demo`: a synthetic project and its store, to look at before anything is measured."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

__all__ = ["command"]


@click.command("demo")
@click.argument(
    "directory", type=click.Path(path_type=Path), default=Path("pacekeeper-demo"), required=False
)
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of the simulated noise.")
@click.option(
    "--end",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Day of the newest commit (default: today). Same seed and day: same commits and values.",
)
def command(directory: Path, seed: int, end: datetime | None) -> None:
    """Make a synthetic project in DIRECTORY (pacekeeper-demo), with a store to look at.

    The project is a git repository with 120 commits, some of which change something; the store in
    it has three histories, gates, a calibration, level shifts and alerts. The launches are
    simulated with noise. The verdicts come from the gate and the detector. DIRECTORY must be new.
    The store of --db and PACEKEEPER_DB is not touched.
    """
    from tracker.demo.build import make_demo

    day = end or datetime.now(UTC)
    newest = day.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=UTC)
    demo = make_demo(
        directory, seed=seed, end=newest, on_step=lambda step: click.echo(f"{step} ...", err=True)
    )
    click.echo(f"{demo.directory}: {demo.num_values} values, {demo.num_alerts} open alerts")
    for gate_id, subject, code in demo.gates:
        click.echo(f"gate {gate_id[:8]} of {subject!r}: exit code {code}")
    click.echo("\nLook at it:\n")
    click.echo(f"  cd {directory}")
    click.echo("  export PACEKEEPER_DB=sqlite:///pacekeeper.db")
    click.echo("  tracker gate HEAD~4 HEAD~3 --stored     # a regression, judged again")
    click.echo("  tracker changepoints                    # what moved, by commit")
    click.echo("  tracker alerts list")
    click.echo("  tracker dashboard")
