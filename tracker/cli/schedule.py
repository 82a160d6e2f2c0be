"""`tracker schedule`: the service that measures branches as they grow, and its queue."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from tracker.cli import Settings
from tracker.cli.alerts import who
from tracker.domain import JobClaim, QuarantinedNode
from tracker.errors import UsageError
from tracker.execute.engines import executors_of
from tracker.execute.settings import ExecutorSettings
from tracker.gate.policy_file import load_policy
from tracker.measure.machine import machine_name
from tracker.measure.project import load_project
from tracker.measure.worktree import state_dir
from tracker.schedule import (
    Options,
    parse_interval,
    parse_time,
    run_service,
    service_lock,
    status_of,
)
from tracker.schedule.status import lines_of
from tracker.store import Store, queries
from tracker.store.engine import absolute_url

__all__ = ["command"]

_DAILY = ("nightly", "backfill", "calibrate", "prune", "backup")
_by = click.option("--by", metavar="NAME", help="Who does this (default: the user of this shell).")


@click.group("schedule", invoke_without_command=True)
@click.option(
    "--branch",
    "branches",
    multiple=True,
    default=("main",),
    show_default=True,
    help="Branch to measure; repeatable.",
)
@click.option(
    "--interval",
    default="30s",
    show_default=True,
    metavar="SPAN",
    help="Time between two searches for new commits: 30s, 10m, 2h, 1d.",
)
@click.option("--nightly", default="02:00", show_default=True, metavar="HH:MM",
              help="Local time at which the head is measured again; or off.")  # fmt: skip
@click.option("--launches", default=3, show_default=True, type=click.IntRange(1, 100),
              help="Launches of the head each night.")  # fmt: skip
@click.option("--backfill", default="off", show_default=True, metavar="HH:MM",
              help="Local time at which older commits without values are queued; or off.")  # fmt: skip
@click.option("--commits", default=10, show_default=True, type=click.IntRange(min=1),
              help="Maximum commits of one backfill.")  # fmt: skip
@click.option("--calibrate", default="off", show_default=True, metavar="HH:MM",
              help="Local time at which A/A gates of the head are queued; or off.")  # fmt: skip
@click.option("--gates", default=1, show_default=True, type=click.IntRange(min=1),
              help="A/A gates each night.")  # fmt: skip
@click.option("--budget", type=click.IntRange(min=1), metavar="MINUTES",
              help="Device minutes a day on each machine class, after which A/A gates and older commits wait.")  # fmt: skip
@click.option("--confirm/--no-confirm", default=True, show_default=True,
              help="Measure new regressions in pairs, and bisect those that are confirmed.")  # fmt: skip
@click.option("--prune", default="off", show_default=True, metavar="HH:MM",
              help="Local time at which old worktrees, and with --keep-days old raw data, go; or off.")  # fmt: skip
@click.option("--keep-days", type=click.IntRange(min=1), metavar="N",
              help="Keep all samples and artifacts for N days, one run a week for ten times as long.")  # fmt: skip
@click.option("--backup", default="off", show_default=True, metavar="HH:MM",
              help="Local time at which the whole store is exported; or off.")  # fmt: skip
@click.option("--backup-dir", type=click.Path(path_type=Path), metavar="DIR",
              help="Where to (default: .pacekeeper/backups); the newest seven stay.")  # fmt: skip
@click.option("--machine", metavar="NAME", help="Name of this machine (default: asv's).")
@click.option("--once", is_flag=True, help="Run what is due and the whole queue, then exit.")
@click.pass_context
def command(ctx: click.Context, /, machine: str | None, once: bool, **given: Any) -> int | None:
    """Measure the new commits of branches, and their heads every night.

    Runs in the foreground in the project's checkout until SIGTERM or Ctrl-C. It queues what is to be
    measured and hands it to the executors of pacekeeper.toml: this machine, Slurm or Ray. After
    each job it finds level shifts and sends alerts. A commit that cannot be measured is reported and
    tried three times; the other commits are measured meanwhile.

    \b
    tracker schedule status            what runs, what waits and why; exits 4 if something is wrong
    tracker schedule cancel JOB        end a job and free its node
    tracker schedule quarantine CLASS NODE --reason TEXT
    tracker schedule release CLASS NODE
    """
    if ctx.invoked_subcommand is not None:
        return None
    site = _Site.here(ctx.obj, machine)
    options = _options(site, **given)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("pacekeeper").setLevel(logging.INFO)
    executors = executors_of(site.executors, machine=site.machine)
    with service_lock(state_dir(site.root)):
        return run_service(options, executors, once=once)


@command.command("status")
@click.option("--machine", metavar="NAME", help="Name of this machine (default: asv's).")
@click.pass_obj
def status_command(settings: Settings, machine: str | None) -> int:
    """Show what runs, what waits and why; exit 4 if the service or an executor cannot work."""
    site, now = _Site.here(settings, machine), datetime.now(UTC)
    with Store.open(site.db, read_only=True) as store:
        if site.project not in {info.name for info in queries.list_projects(store)}:
            raise UsageError(
                f"project {site.project!r} is not in the store: no service has run on it"
            )
        status = status_of(
            store, site.project, service=site.service, executors=site.executors,
            machine=site.machine, now=now,
        )  # fmt: skip
    for line in lines_of(status, now):
        click.echo(line)
    return 0 if status.is_healthy else 4


@command.command("cancel")
@click.argument("job_id", metavar="JOB", type=int)
@_by
@click.pass_obj
def cancel_command(settings: Settings, job_id: int, by: str | None) -> None:
    """End a job; what it has stored stays."""
    with Store.open(settings.db, create=False) as store:
        state = store.cancel_job(job_id, by=who(by), now=datetime.now(UTC))
    after = "" if state == "cancelled" else ": the service ends it with its next step"
    click.echo(f"job {job_id}: {state}{after}")


@command.command("quarantine")
@click.argument("machine", metavar="CLASS")
@click.argument("node")
@click.option("--reason", required=True, metavar="TEXT", help="Why it gets no jobs.")
@_by
@click.pass_obj
def quarantine_command(
    settings: Settings, machine: str, node: str, reason: str, by: str | None
) -> None:
    """Give a member of a machine class no more jobs."""
    site = _Site.here(settings, None)
    entry = QuarantinedNode(machine, node, reason, who(by), datetime.now(UTC))
    with Store.open(site.db, create=False) as store:
        store.quarantine_node(site.project, entry)
    click.echo(f"{node} of {machine} is quarantined")


@command.command("release")
@click.argument("machine", metavar="CLASS")
@click.argument("node")
@click.pass_obj
def release_command(settings: Settings, machine: str, node: str) -> None:
    """Let a member of a machine class get jobs again; what it measured before counts no more."""
    site = _Site.here(settings, None)
    with Store.open(site.db, create=False) as store:
        store.release_node(site.project, machine, node, now=datetime.now(UTC))
    click.echo(f"{node} of {machine} gets jobs again")


@command.command("job", hidden=True)
@click.argument("job_id", metavar="JOB", type=int)
@click.option("--attempt", type=click.IntRange(min=1), required=True, metavar="N")
@click.pass_obj
def job_command(settings: Settings, job_id: int, attempt: int) -> int:
    """Run one attempt of a job: what executors start on a node, in a checkout of the project."""
    from tracker.execute.work import work_on

    project = load_project(source=load_policy().source)
    problem = work_on(settings.db, str(project.config_path.parent), JobClaim(job_id, attempt))
    if problem is None:
        return 0
    click.echo(f"error: {problem}", err=True)
    return 4


@dataclass(frozen=True, slots=True)
class _Site:
    """The project at hand, its store and its executors."""

    db: str
    root: Path
    directory: str
    project: str
    machine: str
    executors: tuple[ExecutorSettings, ...]

    @classmethod
    def here(cls, settings: Settings, machine: str | None) -> _Site:
        policy = load_policy()
        project = load_project(source=policy.source)
        return cls(
            db=absolute_url(settings.db),
            root=Path(project.repository.root),
            directory=str(project.config_path.parent),
            project=policy.name or project.name,
            machine=machine or machine_name(),
            executors=policy.executors,
        )

    @property
    def service(self) -> str:
        return Options(self.db, self.directory, self.project).service


def _options(site: _Site, *, interval: str, backup_dir: Path | None, **given: Any) -> Options:
    given |= {name: parse_time(given[name]) for name in _DAILY}
    return Options(
        db=site.db,
        root=site.directory,
        project=site.project,
        interval=parse_interval(interval),
        backup_dir=None if backup_dir is None else str(backup_dir.absolute()),
        **given,
    )
