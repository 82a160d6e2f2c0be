"""`tracker calibrate`: the gate's rate of false regressions on this machine."""

from __future__ import annotations

import click
from rich.console import Console

from tracker.calibrate import calibrate
from tracker.cli import Settings
from tracker.cli.lab import open_lab
from tracker.cli.options import LabOptions, lab_options
from tracker.cli.timespan import seconds
from tracker.gate.progress import SilentProgress
from tracker.report import Report
from tracker.report.calibration import CALIBRATION_FORMATS
from tracker.report.numbers import count_of

__all__ = ["command"]


@click.command("calibrate")
@click.option(
    "--gates",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Number of A/A gates, including stored ones.",
)
@click.option("--commit", "ref", default="HEAD", show_default=True, metavar="REF",
              help="Commit to measure against itself.")  # fmt: skip
@click.option(
    "--fresh", is_flag=True, help="Ignore earlier gates, for example after a change of the machine."
)
@click.option(
    "--max-pairs", type=click.IntRange(min=1), metavar="N", help="Maximum pairs of one gate."
)
@click.option(
    "--budget", metavar="TIME", help="Start no gate that is expected to exceed it: 300, 5m, 2h."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(list(CALIBRATION_FORMATS)),
    default="text",
    show_default=True,
)
@lab_options
@click.pass_obj
def command(
    settings: Settings,
    gates: int,
    ref: str,
    fresh: bool,
    max_pairs: int | None,
    budget: str | None,
    form: str,
    lab: LabOptions,
) -> int:
    """Run A/A gates, one commit against itself, and print how often they call a false regression.

    Prints the rate with its exact binomial bound, and for each metric the noise and the minimum
    detectable effect. Stored gates of the same commit, policy and machine count, so a stopped
    calibration continues. Absolute limits are not judged.

    Exit codes: 0 alpha is not refuted; 4 it is, a benchmark fails at random, or no gate was valid;
    130 interrupted.
    """
    limit = seconds("--budget", budget)
    console = Console(stderr=True, highlight=False)

    def show(number: int, report: Report) -> None:
        line = f"A/A gate {number} of {gates}: {report.headline} ({count_of(report.pairs, 'pair')})"
        console.print(line, markup=False, soft_wrap=True)

    with open_lab(settings.db, lab, max_pairs=max_pairs) as here:
        result = calibrate(
            here.recorder, here.runner, here.commit(ref), here.policy,
            gates=gates, budget=limit, fresh=fresh, listener=SilentProgress(), on_gate=show,
        )  # fmt: skip
    click.echo(CALIBRATION_FORMATS[form](result), nl=False)
    return result.exit_code
