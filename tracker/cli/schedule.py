"""`tracker schedule`: the service that measures a branch as it grows."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from tracker.cli import Settings
from tracker.gate.policy_file import load_policy
from tracker.measure.machine import machine_name
from tracker.measure.project import load_project
from tracker.measure.worktree import state_dir
from tracker.schedule import (
    Options,
    list_jobs,
    parse_interval,
    parse_time,
    run_service,
    service_lock,
)
from tracker.store import Store, queries

__all__ = ["command"]


@click.command("schedule")
@click.option("--branch", default="main", show_default=True, help="Branch to measure.")
@click.option(
    "--interval",
    default="10m",
    show_default=True,
    metavar="SPAN",
    help="Time between two searches for new commits: 90s, 10m, 2h, 1d.",
)
@click.option(
    "--nightly",
    default="02:00",
    show_default=True,
    metavar="HH:MM",
    help="Local time at which the head is measured again; or off.",
)
@click.option(
    "--launches",
    default=3,
    show_default=True,
    type=click.IntRange(1, 100),
    help="Launches of the head each night.",
)
@click.option(
    "--backfill",
    default="off",
    show_default=True,
    metavar="HH:MM",
    help="Local time at which older commits without values are measured; or off.",
)
@click.option(
    "--commits",
    default=10,
    show_default=True,
    type=click.IntRange(min=1),
    help="Maximum commits of one backfill.",
)
@click.option(
    "--calibrate",
    default="off",
    show_default=True,
    metavar="HH:MM",
    help="Local time at which A/A gates of the head run; or off.",
)
@click.option(
    "--gates",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    help="A/A gates each night.",
)
@click.option(
    "--prune",
    default="off",
    show_default=True,
    metavar="HH:MM",
    help="Local time at which old worktrees are removed; or off.",
)
@click.option("--machine", metavar="NAME", help="Name of this machine (default: asv's).")
@click.option("--once", is_flag=True, help="Run each job that is due once, then exit.")
@click.option("--list", "as_list", is_flag=True, help="Print the stored jobs and exit.")
@click.pass_obj
def command(
    settings: Settings,
    branch: str,
    interval: str,
    nightly: str,
    launches: int,
    backfill: str,
    commits: int,
    calibrate: str,
    gates: int,
    prune: str,
    machine: str | None,
    once: bool,
    as_list: bool,
) -> int:
    """Measure the new commits of a branch, and its head every night.

    Runs in the foreground in the project's checkout until SIGTERM or Ctrl-C, one measurement at
    a time. After each measurement it finds level shifts and sends alerts. Options add a backfill of
    older commits and nightly A/A gates. A commit that cannot be measured is reported and tried
    three times; the other commits are measured meanwhile. Jobs are kept in the store. Starting the
    service with other options changes them.
    """
    policy = load_policy()
    project = load_project(source=policy.source)
    options = Options(
        db=settings.db,
        root=str(project.config_path.parent),
        project=policy.name or project.name,
        machine=machine or machine_name(),
        branch=branch,
        interval=parse_interval(interval),
        nightly=parse_time(nightly),
        launches=launches,
        backfill=parse_time(backfill),
        commits=commits,
        calibrate=parse_time(calibrate),
        gates=gates,
        prune=parse_time(prune),
    )
    if as_list:
        for job in list_jobs(options):
            when = f"{job.next_run:%Y-%m-%d %H:%M:%S %Z}" if job.next_run else "never"
            click.echo(f"{job.id}  next {when}  {job.trigger}")
        for line in _asked(options):
            click.echo(line)
        return 0
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("pacekeeper").setLevel(logging.INFO)
    with service_lock(state_dir(Path(project.repository.root))):
        return run_service(options, once=once)


def _asked(options: Options) -> list[str]:
    """The jobs that people asked for and that have not ended, oldest first."""
    with Store.open(options.db, read_only=True) as store:
        if options.project not in {info.name for info in queries.list_projects(store)}:
            return []
        jobs = queries.list_jobs(store, options.project, machine=options.machine, active=True)
    return [
        f"job {job.id}  {job.state}  {job.kind} of {job.revision.commit[:12]}  for {job.asked_by}"
        for job in reversed(jobs)
    ]
