"""`tracker bisect`: which commit brought the regression."""

from __future__ import annotations

import click
from rich.console import Console

from tracker.bisect import Bisected, bisect
from tracker.cli import Settings
from tracker.cli.lab import open_lab
from tracker.cli.options import LabOptions, lab_options
from tracker.cli.timespan import seconds
from tracker.errors import UsageError
from tracker.gate.progress import SilentProgress
from tracker.measure.git import Commit
from tracker.report.bisect import bisect_json, bisect_text

__all__ = ["command"]


@click.command("bisect")
@click.argument("good")
@click.argument("bad")
@click.option(
    "--metric",
    metavar="NAME",
    help="Metric or the end of its name (default: the worst voting metric).",
)
@click.option(
    "--confidence",
    type=click.FloatRange(0.5, 1, min_open=True, max_open=True),
    default=0.95,
    show_default=True,
    help="Name a culprit at this probability.",
)
@click.option(
    "--max-pairs",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    metavar="N",
    help="Pairs to measure after the gate of GOOD and BAD.",
)
@click.option(
    "--budget", metavar="TIME", help="Start no step that is expected to exceed it: 300, 5m, 2h."
)
@click.option("--fresh", is_flag=True, help="Ignore pairs that the store already has.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@lab_options
@click.pass_obj
def command(
    settings: Settings,
    good: str,
    bad: str,
    metric: str | None,
    confidence: float,
    max_pairs: int,
    budget: str | None,
    fresh: bool,
    as_json: bool,
    lab: LabOptions,
) -> int:
    """Name the commit between GOOD and BAD that made a metric worse, with a probability.

    First a gate must show that BAD is worse. Each step then measures pairs of GOOD and the most
    informative commit, until one commit has the required probability. Commits that cannot be built
    or measured are skipped and remain candidates. GOOD must be an ancestor of BAD; only first parents
    are searched. Every pair is stored at once, so a bisection that is started again continues.

    Exit codes: 0 one commit is named; 3 none can be named; 4 BAD could not be compared with GOOD;
    130 interrupted.
    """
    limit = seconds("--budget", budget)
    console = Console(stderr=True, highlight=False)

    def show(result: Bisected, commit: Commit) -> None:
        left = len(result.candidates)
        line = f"{result.pairs} pairs, {left} candidates; measuring {commit.short} {commit.subject}"
        console.print(line, markup=False, soft_wrap=True)

    with open_lab(settings.db, lab) as here:
        first, last = here.commit(good), here.commit(bad)
        if first.hash == last.hash or not here.repository.is_ancestor(first.hash, last.hash):
            raise UsageError(f"GOOD {good} must be an ancestor of BAD {bad}, and another commit")
        result = bisect(
            here.recorder, here.runner, first,
            here.repository.commits(f"{first.hash}..{last.hash}"), here.policy,
            metric=metric, confidence=confidence, max_pairs=max_pairs, budget=limit, fresh=fresh,
            listener=SilentProgress(), on_step=show,
        )  # fmt: skip
    click.echo(bisect_json(result) if as_json else bisect_text(result), nl=False)
    return result.exit_code
