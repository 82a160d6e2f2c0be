"""`tracker ingest`: asv results directories and files of other tools into the store."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tracker.cli import Settings
from tracker.cli.timespan import moment
from tracker.errors import MeasurementError, UsageError
from tracker.report.numbers import count_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracker.ingest import IngestReport
    from tracker.measure.git import Repository
    from tracker.readers import Given
    from tracker.store import Store

SHOWN = 10  # problems named one by one; the rest are counted


@click.command("ingest")
@click.argument(
    "paths",
    nargs=-1,
    required=True,
    metavar="PATH...",
    type=click.Path(exists=True, path_type=Path),
)
@click.option(
    "--project", metavar="NAME", help="Name in the store (default: from pacekeeper.toml, or asv's)."
)
@click.option(
    "--format",
    "form",
    metavar="NAME",
    help="Format of the files (default: recognised from the content).",
)
@click.option(
    "--machine",
    metavar="NAME",
    help="Name of the measuring machine; use one name for a pool of runners.",
)
@click.option("--environment", metavar="NAME", help="Environment that was measured.")
@click.option("--commit", metavar="REF", help="Measured commit, if the file does not name it.")
@click.option("--committed-at", metavar="TIME", help="Commit time (ISO; default: from git).")
@click.option("--measured-at", metavar="TIME", help="Measuring time (ISO).")
@click.option(
    "--tool-version",
    metavar="VERSION",
    help="Version of the tool that wrote the file; another version starts new series.",
)
@click.option(
    "--to",
    "service",
    metavar="URL",
    help="Send the results to this `tracker serve` instead; the token is in $PACEKEEPER_TOKEN.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_obj
def command(
    settings: Settings,
    paths: tuple[Path, ...],
    project: str | None,
    form: str | None,
    machine: str | None,
    environment: str | None,
    commit: str | None,
    committed_at: str | None,
    measured_at: str | None,
    tool_version: str | None,
    service: str | None,
    as_json: bool,
) -> None:
    """Read result files into the store; reading a file again changes nothing.

    PATH is an asv results directory, the directory of an asv project, or a result file of a tool
    that docs/formats.md lists. Options override the content of a file. Entries that cannot be read
    are reported, and the rest is stored. Exits 4 if nothing readable was found.
    """
    from tracker.readers import Given, reader_named

    if form is not None:
        reader_named(form)  # before anything is written
    given = Given(
        commit=commit,
        committed_at=None if committed_at is None else moment("--committed-at", committed_at),
        measured_at=None if measured_at is None else moment("--measured-at", measured_at),
        machine=machine,
        environment=environment,
        tool_version=tool_version,
    )
    if service is not None and project is None:
        _require_project_here(paths)
    reports = []
    with _destination(settings, service) as store:
        for path in paths:
            if path.is_dir():
                if commit is not None or form not in (None, "asv"):
                    raise UsageError(f"{path}: a directory holds asv's files, of many commits")
                reports.append(_ingest_directory(store, path, project, given))
            else:
                reports.append(_ingest_file(store, path, project, given, form))
    if as_json:
        click.echo(json.dumps(_as_json(reports), indent=2))
    else:
        for report in reports:
            click.echo(_as_text(report))
    if not any(report.files for report in reports):
        raise MeasurementError(
            "no readable result file in " + ", ".join(report.path for report in reports)
        )


def _require_project_here(paths: Sequence[Path]) -> None:
    """A service holds many projects: a file does not go to the only one there is."""
    from tracker.cli.project import policy_here

    if not all(path.is_dir() for path in paths) and policy_here() is None:
        raise UsageError("--to needs --project NAME: this directory belongs to no project")


@contextmanager
def _destination(settings: Settings, service: str | None) -> Iterator[Store]:
    """The store, or what sends to a service; what waits there is sent at the end."""
    from tracker.store import Store

    if service is None:
        with Store.open(settings.db) as store:
            yield store
        return
    from tracker.api.client import TOKEN_VARIABLE, PushingStore

    with PushingStore.to(service, os.environ.get(TOKEN_VARIABLE)) as pushing:
        yield pushing
        pushing.flush()
    if pushing.withheld:
        click.echo(
            f"note: not sent, since the token lacks the scope settings: "
            f"{', '.join(sorted(pushing.withheld))}",
            err=True,
        )


def _ingest_directory(store: Store, path: Path, project: str | None, given: Given) -> IngestReport:
    """Read a directory under the name that `run` and `gate` use in its checkout."""
    from tracker.asvfmt import find_project
    from tracker.cli.progress import counted
    from tracker.gate.policy_file import load_policy
    from tracker.ingest import ingest_directory

    asv_project = find_project(path)
    policy = None if asv_project.home is None else load_policy(start=asv_project.home)
    if project is None and policy is not None:
        project = policy.name
    with counted(str(path)) as progress:
        report = ingest_directory(
            store,
            path,
            project=project,
            given=given,
            repository=None
            if asv_project.repository is None
            else _repository(asv_project.repository),
            progress=progress,
        )
    if policy is not None and report.files:
        store.record_metric_rules(report.project, policy.metrics)
    return report


def _ingest_file(
    store: Store, path: Path, project: str | None, given: Given, form: str | None
) -> IngestReport:
    """Read a file for the project of this directory; its repository knows the commits."""
    from tracker.cli.project import policy_here, stored_project, stored_ref
    from tracker.ingest import commit_finder, ingest_file

    repository, here = _repository(Path.cwd()), policy_here()
    if repository is not None:
        given = replace(given, find_commit=commit_finder(repository))
        if given.commit is not None:
            given = replace(given, commit=stored_ref(given.commit))
    name = project or (here[0] if here is not None else stored_project(store, None))
    report = ingest_file(store, path, project=name, given=given, format=form, repository=repository)
    if here is not None and here[0] == name and report.files:
        store.record_metric_rules(name, here[1].metrics)
    return report


def _repository(place: Path) -> Repository | None:
    from tracker.measure.git import Repository

    try:
        return Repository.find(place)
    except UsageError:
        return None


def _as_json(reports: Sequence[IngestReport]) -> dict[str, object]:
    return {
        "reports": [
            asdict(report) | {"problems_by_reason": report.problems_by_reason} for report in reports
        ],
        "files": sum(report.files for report in reports),
        "added": sum(report.added for report in reports),
        "unchanged": sum(report.unchanged for report in reports),
        "problems": sum(len(report.problems) for report in reports),
    }


def _as_text(report: IngestReport) -> str:
    lines = [f"warning: {warning}" for warning in report.warnings]
    lines += [
        f"{report.project}: {count_of(report.files, 'file')}, {report.added} results added, "
        f"{report.unchanged} unchanged, {count_of(len(report.problems), 'problem')}"
    ]
    for reason, times in report.problems_by_reason.items():
        lines.append(f"  {times} x {reason}")
        named = [problem for problem in report.problems if problem.reason == reason]
        for problem in named[:SHOWN]:
            benchmark = f" {problem.benchmark}" if problem.benchmark else ""
            lines.append(f"      {problem.path}{benchmark}")
        if len(named) > SHOWN:
            lines.append(f"      ... and {len(named) - SHOWN} more")
    return "\n".join(lines)
