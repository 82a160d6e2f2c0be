"""`tracker changepoints --confirm`: the commits before and after a shift, measured in pairs."""

from __future__ import annotations

import re

import click
from rich.console import Console

from tracker.cli import Settings
from tracker.cli.lab import open_lab
from tracker.cli.options import LabOptions
from tracker.errors import UsageError
from tracker.findings import Finding
from tracker.gate.measured import gate_commits
from tracker.gate.progress import PlainProgress

__all__ = ["measure"]


def measure(settings: Settings, finding: Finding) -> None:
    """Measure and store pairs of the commits before and after a shift until the gate decides.

    Raises:
        UsageError: The finding belongs to another project or machine than this one, or git does
            not know one of its commits.
    """
    assert finding.before is not None
    benchmarks = sorted({change.series.benchmark for change in finding.changes})
    patterns = tuple(rf"^{re.escape(name)}(\(|$)" for name in benchmarks)
    with open_lab(settings.db, LabOptions(bench=patterns)) as lab:
        here = (lab.recorder.project, lab.runner.machine)
        if here != (finding.project, finding.machine):
            raise UsageError(
                f"{finding.revision.commit[:12]} shifted in {finding.project} on {finding.machine}; "
                f"here is {here[0]} on {here[1]}: narrow with --project and --machine"
            )
        click.echo(
            f"confirming {finding.revision.commit[:12]} against {finding.before.commit[:12]}",
            err=True,
        )
        gate_commits(
            lab.recorder,
            lab.runner,
            lab.commit(finding.before.commit),
            lab.commit(finding.revision.commit),
            lab.policy,
            listener=PlainProgress(Console(stderr=True)),
            resume=True,
        )
