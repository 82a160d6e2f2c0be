"""`tracker ingest`: asv results directories of any project into the store."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tracker.cli import Settings
from tracker.errors import MeasurementError
from tracker.report.numbers import count_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracker.gate.policy import Policy
    from tracker.ingest import IngestReport

SHOWN = 10  # problems named one by one; the rest are counted


@click.command("ingest")
@click.argument(
    "paths",
    nargs=-1,
    required=True,
    metavar="PATH...",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@click.option(
    "--project", metavar="NAME", help="Store under this name; else pacekeeper.toml's or asv's."
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_obj
def command(
    settings: Settings, paths: tuple[Path, ...], project: str | None, as_json: bool
) -> None:
    """Read asv results into the store; a second time changes nothing.

    PATH is a results directory, or the directory of an asv project. What cannot be read is
    reported and the rest is stored. Exit code 4: nothing readable was found.
    """
    from tracker.ingest import ingest_directory
    from tracker.store import Store

    reports = []
    with Store.open(settings.db) as store:
        for path in paths:
            with _bar(path) as progress:
                name, policy = _project_of(path)
                report = ingest_directory(store, path, project=project or name, progress=progress)
            if policy is not None and report.files:
                store.record_metric_rules(report.project, policy.metrics)
            reports.append(report)
    if as_json:
        click.echo(json.dumps(_as_json(reports), indent=2))
    else:
        for report in reports:
            click.echo(_as_text(report))
    if not any(report.files for report in reports):
        raise MeasurementError(
            "no readable result file in " + ", ".join(report.path for report in reports)
        )


def _project_of(path: Path) -> tuple[str, Policy] | tuple[None, None]:
    """The name that `run` and `gate` use in the checkout that `path` belongs to, and its policy."""
    from tracker.asvfmt import find_project
    from tracker.gate.policy import load_policy

    found = find_project(path)
    if found.home is None:
        return None, None
    policy = load_policy(start=found.home)
    return policy.name or found.name, policy


@contextmanager
def _bar(path: Path) -> Iterator[Callable[[int, int], None] | None]:
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True
    ) as bar:
        task = bar.add_task(f"{path}", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


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
    lines = [
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
