"""`tracker explain`: which place of a commit got slower, from interleaved pairs of traces."""

from __future__ import annotations

import random
from pathlib import Path

import click

from tracker.cli import Settings
from tracker.cli.lab import open_lab
from tracker.cli.options import LabOptions, lab_options
from tracker.cli.outputs import Outputs
from tracker.domain import Arm
from tracker.explain.capture import PROFILE
from tracker.explain.differences import LEAST_PAIRS
from tracker.explain.run import explain_commits
from tracker.measure.runners import make_runner
from tracker.report.explanation import EXPLANATION_FORMATS, headline

__all__ = ["command"]


@click.command("explain")
@click.argument("base")
@click.argument("head")
@click.option(
    "--pairs",
    type=click.IntRange(min=1),
    default=LEAST_PAIRS,
    show_default=True,
    help=f"Pairs of launches; below {LEAST_PAIRS} nothing is called slower.",
)
@click.option("--seed", type=int, metavar="N", help="Seed for the launch order (default: random).")
@click.option(
    "--format",
    "form",
    type=click.Choice(list(EXPLANATION_FORMATS)),
    default="text",
    show_default=True,
)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE", help="Write the report to FILE."
)
@lab_options
@click.pass_obj
def command(
    settings: Settings,
    base: str,
    head: str,
    pairs: int,
    seed: int | None,
    form: str,
    out: Path | None,
    lab: LabOptions,
) -> int:
    """Say which phase and which function or kernel of HEAD got slower than in BASE, and by how much.

    Launches both commits in interleaved pairs and traces each launch after its timed part. Calls
    are counted exactly; every difference of time has an interval over the pairs.

    Exits 0 where the traces were compared, whatever they show; 4 where nothing could be traced, 130
    when interrupted.
    """
    outputs = Outputs(form, out, ())
    with open_lab(settings.db, lab) as here:
        runner = make_runner(
            here.runner.project, here.policy,
            machine=here.runner.machine, python=here.runner.python, variables=PROFILE,
        )  # fmt: skip
        result = explain_commits(
            runner, here.recorder.project, here.commit(base), here.commit(head), pairs=pairs,
            seed=random.SystemRandom().randrange(2**31) if seed is None else seed,
            on_launch=_say,
        )  # fmt: skip
    summary = "; ".join(f"{suite.benchmark}: {headline(suite)}" for suite in result.suites)
    outputs.write(lambda name: EXPLANATION_FORMATS[name](result), summary)
    return 130 if result.interrupted else 0


def _say(pair: int, pairs: int, arm: Arm) -> None:
    click.echo(f"pair {pair} of {pairs}: tracing {arm}", err=True)
