"""`tracker run`: measure commits and store the results of each as soon as it is done."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from tracker.cli import Settings
from tracker.cli.lab import open_lab
from tracker.cli.options import LabOptions, lab_options
from tracker.measure.commit_range import CommitDone, RangeReport, launches_of, measure_range
from tracker.measure.git import Commit
from tracker.measure.launch import LaunchResult
from tracker.measure.project import unmeasured_changes

__all__ = ["command"]


@click.command("run")
@click.argument("range_", metavar="[RANGE]", default="HEAD")
@click.option(
    "--repeat", type=click.IntRange(min=1), default=1, metavar="N", help="Launches of each commit."
)
@click.option("--again", is_flag=True, help="Measure commits again that the store already has.")
@click.option("--project", metavar="NAME", help="Name in the store (default: asv's).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@lab_options
@click.pass_obj
def command(
    settings: Settings,
    range_: str,
    repeat: int,
    again: bool,
    project: str | None,
    as_json: bool,
    lab: LabOptions,
) -> int:
    """Measure the commits of RANGE, oldest first; HEAD by default.

    RANGE is a commit or a range of `git rev-list`: A..B, HEAD~3.., v1.0..main. Stored launches of
    the present suites count towards --repeat, so an interrupted run continues. The pairs of a gate
    and ingested results do not count.

    Exits 4 when nothing was measured, 130 when interrupted (143 by SIGTERM). Completed
    measurements are kept.
    """
    console = Console(stderr=True, highlight=False)
    reports: list[RangeReport] = []
    # All benchmarks unless --bench is given: `[gate] bench` is the gate's.
    with open_lab(settings.db, lab, bench=lab.bench, name=project) as here:
        commits = here.repository.commits(range_)
        head = here.repository.resolve("HEAD")
        measures_head = any(commit.hash == head for commit in commits)
        for warning in unmeasured_changes(here.runner.project, head_is_measured=measures_head):
            console.print(f"warning: {warning}", markup=False, soft_wrap=True)
        for name, part in here.environments().items():
            if name:
                console.print(f"environment {name}", markup=False, soft_wrap=True)
            done_before = (
                {}
                if again
                else launches_of(part.recorder, part.runner, commits, environment=name or None)
            )
            with _progress(console, len(commits)) as progress:
                report = measure_range(
                    part.recorder,
                    part.runner,
                    commits,
                    repeat=repeat,
                    done_before=done_before,
                    on_commit=progress.commit,
                    on_launch=progress.launch,
                    on_done=progress.done,
                )
            reports.append(report)
            if report.interrupted:
                break
    # Each environment measures each commit once more.
    total = RangeReport(
        [done for report in reports for done in report.done], reports[-1].interrupted
    )
    if as_json:
        click.echo(json.dumps(_document(total), indent=2))
    else:
        click.echo(_summary(total))
    if total.interrupted:
        return 130
    return 0 if total.num_measured or total.num_skipped == len(total.done) else 4


class _RunProgress:
    """Shows the progress: a bar, and a line for each commit."""

    def __init__(self, console: Console, bar: Progress, total: int) -> None:
        self._console = console
        self._bar = bar
        self._task = bar.add_task("", total=total)

    def commit(self, commit: Commit) -> None:
        self._bar.update(self._task, description=commit.short)

    def launch(self, result: LaunchResult) -> None:
        self._bar.refresh()

    def done(self, done: CommitDone) -> None:
        for line in _lines(done):
            self._console.print(line, markup=False, soft_wrap=True)
        self._bar.advance(self._task)


@contextmanager
def _progress(console: Console, total: int) -> Iterator[_RunProgress]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        yield _RunProgress(console, bar, total)


def _lines(done: CommitDone) -> list[str]:
    name = f"{done.commit.short} {done.commit.subject}"
    if done.skipped:
        return [f"{name}: in the store already"]
    lines = []
    if done.launches:
        times = f", {done.launches} launches" if done.launches > 1 else ""
        lines.append(
            f"{name}: measured {done.measured} of {done.expected} benchmarks{times} "
            f"in {done.seconds:.1f} s"
        )
    lines += [f"  {benchmark}: {reason}" for benchmark, reason in done.failures]
    lines += [f"  warning: {note}" for note in done.notes]
    if done.error is not None:
        lines.append(f"{name}: failed: {done.error}")
    return lines


def _summary(report: RangeReport) -> str:
    parts = [f"{report.num_measured} commits measured"]
    if report.num_skipped:
        parts.append(f"{report.num_skipped} in the store already")
    if report.num_failed:
        parts.append(f"{report.num_failed} failed")
    if report.interrupted:
        parts.append("interrupted")
    return ", ".join(parts)


def _document(report: RangeReport) -> dict[str, object]:
    return {
        "measured": report.num_measured,
        "skipped": report.num_skipped,
        "failed": report.num_failed,
        "interrupted": report.interrupted,
        "commits": [
            {
                "commit": done.commit.hash,
                "subject": done.commit.subject,
                "launches": done.launches,
                "measured": done.measured,
                "expected": done.expected,
                "failures": [
                    {"benchmark": benchmark, "reason": reason}
                    for benchmark, reason in done.failures
                ],
                "notes": done.notes,
                "error": done.error,
                "skipped": done.skipped,
                "seconds": round(done.seconds, 3),
            }
            for done in report.done
        ],
    }
